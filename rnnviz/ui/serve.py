"""The command ``rnnviz``: serves the app; with ``--workers n`` by several servers."""

import sys

from rnnviz.ui.trouble import find_home, sentence, why_not_served


def main() -> None:
    """Runs ``streamlit run`` on the app; options other than ``--workers`` are passed on to it."""
    count, options = _workers(sys.argv[1:])
    if count != 1:
        from rnnviz.ui.workers import serve, tell

        if count is None:
            tell("serve.workers")
        sys.exit(serve(count, options) if count else 2)
    find_home()
    try:
        from streamlit.web.cli import main as streamlit
    except ModuleNotFoundError as error:
        sys.exit(sentence("start.missing_package", name=str(error.name).partition(".")[0]))

    from rnnviz.ui.app_folder import APP

    sys.argv = ["streamlit", "run", str(APP / "app.py"), *options]
    try:
        streamlit()
    except SystemExit as end:
        sys.exit((end.code and why_not_served()) or end.code)


def _workers(options: list[str]) -> tuple[int | None, list[str]]:
    """The number of servers, None if it is no positive number; and the other options."""
    for place, option in enumerate(options):
        name, has_value, value = option.partition("=")
        if name == "--workers":
            end = place + (1 if has_value else 2)
            value = value if has_value else "".join(options[place + 1 : end])
            count = int(value) if value.isascii() and value.isdigit() else 0
            return count or None, options[:place] + options[end:]
    return 1, options


if __name__ == "__main__":
    main()
