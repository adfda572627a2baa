"""The command ``rnnviz``: serves the app."""

import sys

from rnnviz.ui.trouble import find_home, sentence, why_not_served


def main() -> None:
    """Runs ``streamlit run`` on the app; the command's own options are passed on to it."""
    find_home()
    try:
        from streamlit.web.cli import main as streamlit
    except ModuleNotFoundError as error:
        sys.exit(sentence("start.missing_package", name=str(error.name).partition(".")[0]))

    from rnnviz.ui.app_folder import APP

    sys.argv = ["streamlit", "run", str(APP / "app.py"), *sys.argv[1:]]
    try:
        streamlit()
    except SystemExit as end:
        sys.exit((end.code and why_not_served()) or end.code)


if __name__ == "__main__":
    main()
