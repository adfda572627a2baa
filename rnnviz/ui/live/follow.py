"""What follows a slider or a weight under the hand: asked for beside the page, not through it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go

from rnnviz.errors import RnnvizError
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.live.chart import written

SCRIPT = Path(__file__).with_name("follow.js").read_text(encoding="utf-8")
ADDRESS = "/rnnviz/follow"


class Live(NamedTuple):
    """Whose figures follow, and how its reader sees them; the address says the rest."""

    page: str
    language: str
    dark: bool


class Followed(NamedTuple):
    """What follows on a page, each part made from settings.

    figures: by the key of their charts. words: HTML by the key of ``show_words``. None stands for
    what cannot be had that fast.
    """

    figures: Mapping[str, Callable[[], go.Figure | Drawing | None]]
    words: Mapping[str, Callable[[], str | None]]

    def parts(self, seen: list[str]) -> Iterator[str]:
        """A line for each that is in sight, as soon as it is made: its key, and what it now is.

        That is a figure's JSON, or words as JSON; nothing for what cannot be had, the reason of
        which the page itself says.
        """
        for name in dict.fromkeys(seen):
            made = ""
            if name in self.words:
                with suppress(RnnvizError):
                    said = self.words[name]()
                    made = "" if said is None else json.dumps(said)
            elif name in self.figures:
                with suppress(RnnvizError):
                    figure = self.figures[name]()
                    made = "" if figure is None else written(figure)
            else:
                continue
            yield f"{name} {made}\n"
