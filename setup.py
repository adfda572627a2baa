"""Packs the app's files, which are outside the package in the source tree, as rnnviz/app."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

APP_FILES = (
    "app.py",
    "pages/*.py",
    ".streamlit/config.toml",
    "assets/characters_*",
    "assets/*.svg",
)


class BuildWithApp(build_py):
    """build_py that also copies the app's files."""

    def run(self) -> None:
        super().run()
        for pattern in APP_FILES:
            for path in sorted(Path().glob(pattern)):
                copy = Path(self.build_lib, "rnnviz", "app", path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(path), str(copy))


setup(cmdclass={"build_py": BuildWithApp})
