"""The networks that stand side by side, and how an address writes them."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field

from rnnviz.cells import Form

FormName = Literal[
    "rnn",
    "rnn_relu",
    "rnn_sigmoid",
    "rnn_identity",
    "lstm",
    "lstm_peephole",
    "lstm_coupled",
    "gru",
    "gru_reset_before",
]
FORMS: Mapping[str, Form] = {
    "rnn": Form("rnn"),
    "rnn_relu": Form("rnn", "relu"),
    "rnn_sigmoid": Form("rnn", "sigmoid"),
    "rnn_identity": Form("rnn", "identity"),
    "lstm": Form("lstm"),
    "lstm_peephole": Form("lstm", peephole=True),
    "lstm_coupled": Form("lstm", coupled=True),
    "gru": Form("gru"),
    "gru_reset_before": Form("gru", reset_after=False),
}
TRAINED: tuple[FormName, ...] = ("lstm", "gru", "rnn")  # the shipped character models
FEWEST, MOST, MOST_LAYERS = 2, 4, 4
PATTERN = re.compile(r"(\w+)(?:\.([1-9]))?(\.both)?", re.ASCII)


class Compared(NamedTuple):
    """One of the networks: its form by name, its layers, and whether it reads both ways."""

    form: FormName
    layers: Annotated[int, Field(ge=1, le=MOST_LAYERS)] = 1
    both: bool = False

    def __str__(self) -> str:
        return self.form + (f".{self.layers}" if self.layers > 1 else "") + ".both" * self.both

    @property
    def is_trained(self) -> bool:
        """Whether there is a shipped model of it."""
        return self in (Compared(form) for form in TRAINED)


FIRST_NETWORKS = tuple(Compared(form) for form in TRAINED)


def keys_of(networks: Sequence[Compared]) -> list[str]:
    """A key for each network, as the address writes it; one that comes again has a number.

    >>> keys_of((Compared("gru", 2, True), Compared("lstm"), Compared("lstm")))
    ['gru.2.both', 'lstm', 'lstm 2']
    """
    found: list[str] = []
    for place, network in enumerate(networks):
        again = networks[:place].count(network)
        found.append(f"{network} {again + 1}" if again else str(network))
    return found


def read_networks(came: Any) -> tuple[Compared, ...]:
    """Networks from an address, ``form.layers.both``, with commas between them.

    ValueError for any other text.

    >>> read_networks("lstm,rnn_relu.2.both")
    (Compared(form='lstm', layers=1, both=False), Compared(form='rnn_relu', layers=2, both=True))
    """
    if not isinstance(came, str):
        return tuple(came)
    found: list[Compared] = []
    for part in came.split(","):
        match = PATTERN.fullmatch(part)
        if match is None or match[1] not in get_args(FormName):
            raise ValueError(part)
        found.append(Compared(match[1], int(match[2] or 1), match[3] is not None))  # pyright: ignore[reportArgumentType]  # one of the names
    return tuple(found)
