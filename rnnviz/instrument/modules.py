"""Joins ES modules into one text, the form in which a Streamlit component takes its script."""

import re
from collections.abc import Iterator
from pathlib import Path

# The only form of import in the scripts: names, not renamed, from a relative path.
IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.M)
# A comment on lines of its own.
COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/)[ \t]*\n", re.M)


def join_modules(*paths: Path) -> str:
    """The modules and their imports as one module; each once, after the modules that it imports.

    All share one scope, so no two may define the same name. ``export`` is kept, which is harmless.
    Comments are removed, because Streamlit sends the text with every update of a component.
    """
    return "\n".join(COMMENT.sub("", IMPORT.sub("", text)) for text in _in_order(paths, set()))


def _in_order(paths: tuple[Path, ...], seen: set[Path]) -> Iterator[str]:
    for path in map(Path.resolve, paths):
        if path in seen:
            continue
        seen.add(path)
        text = path.read_text("utf-8")
        yield from _in_order(tuple(path.parent / name for name in IMPORT.findall(text)), seen)
        yield text
