"""What keeps the app from starting, in one sentence in the language of the shell."""

import errno
import os
from pathlib import Path
from socket import socket

from rnnviz.locale import LANGUAGES, labels


def sentence(key: str, **values: object) -> str:
    """A text of the catalogs, as the command prints it."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    setting = next((os.environ[name] for name in names if os.environ.get(name)), "")
    language = setting[:2] if setting[:2] in LANGUAGES else "en"
    return f"rnnviz: {labels(language)(key, **values)}"


def find_home() -> None:
    """Gives a user whom the system does not know a home folder that does not exist.

    Streamlit looks for its settings in the home folder, and fails where there is none.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/nonexistent"  # as Debian names it


def why_not_served() -> str | None:
    """Why Streamlit has not begun to serve, if its port is the reason; it has read its settings."""
    from streamlit import get_option

    address, port = get_option("server.address") or "", get_option("server.port")
    try:
        with socket() as one:
            one.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            shown = address or "localhost"
            return sentence("start.port_in_use", port=port, address=f"http://{shown}:{port}")
    return None
