"""ES modules joined into one: a component of Streamlit, or a page, takes its script as one text."""

import re
from collections.abc import Iterator
from pathlib import Path

# The only form of import in the scripts: names, unrenamed, of a file given by a relative path.
IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.M)
# A comment on lines of its own.
COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/)[ \t]*\n", re.M)


def join_modules(*paths: Path) -> str:
    """The modules and those they import, each once and after what it imports, as one module.

    All share one scope, so no two may define the same name; ``export`` stays and does no harm.
    Comments are left out: Streamlit sends the text again with every change of a component.
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
