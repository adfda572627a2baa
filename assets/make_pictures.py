"""Take the screenshots of the README, with the browser of the tests.

python -m assets.make_pictures [--out assets]
"""

import argparse
from pathlib import Path

from tests.browser import launched, serving, visiting, windows

WIDTH = 1400  # pixels
# The height of each picture, its page, and what its address sets.
PICTURES: dict[str, tuple[int, str, dict[str, object]]] = {
    "step": (1010, "/", {}),
    "gradients": (920, "/gradients", {}),
    "compare": (1010, "/compare", {"part": "cells"}),
}


def take(folder: Path) -> None:
    """Writes one PNG per page into ``folder``."""
    with serving() as server, launched() as browser:
        for name, (height, path, query) in PICTURES.items():
            with (
                windows(browser, viewport={"width": WIDTH, "height": height}) as context,
                visiting(context, server.address) as visit,
            ):
                visit.open(path, language="en", **query)
                visit.page.wait_for_load_state("networkidle")
                visit.settle().page.screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    take(parser.parse_args().out)
