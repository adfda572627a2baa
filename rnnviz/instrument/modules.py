"""Joins ES modules into one text, and style sheets likewise, so that a page loads one file."""

import re
from collections.abc import Iterator
from pathlib import Path

from rnnviz.shipped import read_shipped

# The only form of import in the scripts: names, not renamed, from a relative path.
IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.M)
# A comment on lines of its own.
COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/)[ \t]*\n", re.M)


def join_modules(*paths: Path) -> str:
    """The modules and their imports as one module; each once, after the modules that it imports.

    All share one scope, so no two may define the same name. ``export`` is kept, which is harmless.
    Comments are removed, which halves what a browser loads. RnnvizError for a damaged file.
    """
    return "\n".join(COMMENT.sub("", IMPORT.sub("", text)) for text in _in_order(paths, set()))


def join_styles(*paths: Path) -> str:
    """The style sheets as one. RnnvizError for a damaged file."""
    return "\n".join(map(read_shipped, paths))


def _in_order(paths: tuple[Path, ...], seen: set[Path]) -> Iterator[str]:
    for path in map(Path.resolve, paths):
        if path in seen:
            continue
        seen.add(path)
        text = read_shipped(path)
        yield from _in_order(tuple(path.parent / name for name in IMPORT.findall(text)), seen)
        yield text
