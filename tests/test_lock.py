"""The lock files: exact versions and hashes of everything that is installed, on every system."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
# Its builds have different files: see requirements.in.
UNHASHED = "torch"
(TORCH,) = tomllib.loads((ROOT / "lock.toml").read_text(encoding="utf-8"))["dependency-metadata"]
STATED: list[str] = TORCH["requires-dist"]
PYTHONS = ("3.11.7", "3.12.1", "3.13.0")
SYSTEMS = (
    ("linux", "Linux", "x86_64"),
    ("linux", "Linux", "aarch64"),
    ("darwin", "Darwin", "arm64"),
    ("win32", "Windows", "AMD64"),
)


def listed(name: str) -> list[Requirement]:
    """The requirements of a file, in its order, without hashes and options."""
    text = re.sub(r"\\\n", "", (ROOT / name).read_text(encoding="utf-8"))
    lines = [line.split(" #")[0].split("--hash")[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line[:1].isalnum()]


def environments() -> Iterator[Environment]:
    for python in PYTHONS:
        for system, name, machine in SYSTEMS:
            found = default_environment()
            found.update(
                python_version=python.rpartition(".")[0],
                python_full_version=python,
                sys_platform=system,
                platform_system=name,
                platform_machine=machine,
                os_name="nt" if system == "win32" else "posix",
            )
            yield found


def pinned(name: str, environment: Environment | None = None) -> dict[str, Version]:
    """The version that a file gives for each package in an environment, by default this one."""
    values = {**(environment or default_environment())}
    found: dict[str, Version] = {}
    for requirement in listed(name):
        if requirement.marker is None or requirement.marker.evaluate(values):
            (one,) = requirement.specifier
            package = canonicalize_name(requirement.name)
            assert one.operator == "==", requirement
            assert package not in found, f"{package} twice in one environment"
            found[package] = Version(one.version)
    return found


ENTRY = re.compile(
    r"^[a-z\d.-]+==[\w.]+( ; .*?)?(?P<hashes>( \\\n {4}--hash=sha256:\w{64})*)$", re.M
)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_version_has_its_hashes_and_no_address(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [*ENTRY.finditer(text)]
    assert len(entries) == len(listed(name)) > 40
    assert [entry[0] for entry in entries if not entry["hashes"]] == []
    assert "://" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_the_pinned_version_of_each_package_everywhere(name: str):
    direct = pinned(name.replace(".txt", ".in"))
    direct.pop(UNHASHED, None)
    for environment in environments():
        locked = pinned(name, environment)
        assert direct.items() <= locked.items(), "run `make lock`"
        assert not [package for package in locked if re.match("torch|nvidia|cuda|triton", package)]


def test_both_locks_agree():
    for environment in environments():
        app, tools = (pinned(name, environment) for name in LOCKS)
        both = app.keys() & tools.keys()
        assert {package: app[package] for package in both} == {
            package: tools[package] for package in both
        }


def test_the_lock_fits_what_the_wheel_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    for environment in environments():
        locked = pinned(LOCKS[0], environment) | {UNHASHED: pinned("requirements.in")[UNHASHED]}
        for requirement in map(Requirement, asked):
            assert locked[canonicalize_name(requirement.name)] in requirement.specifier


def needed(roots: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Everything that these packages need here, each with the extras asked for."""
    found: dict[str, set[str]] = {}
    waiting = [(name, extras) for name, extras in roots.items()]
    while waiting:
        name, extras = waiting.pop()
        if name in found and extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | extras
        for one in map(Requirement, STATED if name == UNHASHED else requires(name) or ()):
            values = [{**default_environment(), "extra": extra} for extra in ("", *found[name])]
            if one.marker is None or any(map(one.marker.evaluate, values)):
                waiting.append((canonicalize_name(one.name), {*one.extras}))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_everything_that_is_needed_is_locked_and_installed(name: str):
    """Also what a dependency needs, and what that needs; of torch without a build's libraries."""
    direct = listed(name.replace(".txt", ".in"))
    roots = {str(canonicalize_name(one.name)): {*one.extras} for one in direct}
    locked = {package: v for lock in LOCKS for package, v in pinned(lock).items()}
    used = {*needed(roots)} - {UNHASHED}
    assert {package: Version(version(package)) for package in used} == {
        package: locked[package] for package in used
    }


def test_torch_needs_what_the_lock_was_made_with():
    """A CUDA build also needs libraries, of the exact versions that it names."""
    (pin,) = (one for one in listed("requirements.in") if one.name == UNHASHED)
    assert (UNHASHED, str(pin.specifier)) == (TORCH["name"], f"=={TORCH['version']}")
    lines = [Requirement(line) for line in requires(UNHASHED) or ()]
    built = {canonicalize_name(one.name): str(one.specifier) for one in lines if one.marker is None}
    stated = {one.name: str(one.specifier) for one in map(Requirement, STATED)}
    assert built.items() <= stated.items()
