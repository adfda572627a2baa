"""The command ``rnnviz``: serves the app."""

import sys


def main() -> None:
    """Runs ``streamlit run`` on the app; the command's own options are passed on to it."""
    from streamlit.web.cli import main as streamlit

    from rnnviz.ui.app_folder import APP

    sys.argv = ["streamlit", "run", str(APP / "app.py"), *sys.argv[1:]]
    streamlit()
