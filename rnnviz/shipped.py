"""Text files that come with rnnviz: scripts, styles and drawings."""

from pathlib import Path
from xml.etree import ElementTree

from rnnviz.errors import RnnvizError


def read_shipped(path: Path) -> str:
    """The text of a file that comes with rnnviz.

    RnnvizError if it is missing, unreadable, of another kind, or damaged. A script or style sheet
    is whole if its last line is complete and every brace is closed, so one that is cut between two
    of its blocks passes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise RnnvizError("error.shipped_unreadable", path=path.name, why=why) from error
    except UnicodeDecodeError as error:
        raise _damaged(path) from error
    if not (_is_drawing(text) if path.suffix == ".svg" else _is_whole(text)):
        raise _damaged(path)
    return text


def _damaged(path: Path) -> RnnvizError:
    return RnnvizError("error.shipped_damaged", path=path.name, expected=path.suffix)


def _is_whole(text: str) -> bool:
    return text.endswith("\n") and 0 < text.count("{") == text.count("}")


def _is_drawing(text: str) -> bool:
    try:
        return ElementTree.fromstring(text).tag.endswith("svg")
    except ElementTree.ParseError:
        return False
