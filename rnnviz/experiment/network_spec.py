"""The form, depth and direction of one compared network, and how an address writes it."""

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
MIN_NETWORKS, MAX_NETWORKS, MAX_LAYERS = 2, 4, 4
PATTERN = re.compile(r"(\w+)(?:\.([1-9]))?(\.both)?", re.ASCII)


class NetworkSpec(NamedTuple):
    """One of the compared networks: a form by name, its layers, and whether it is bidirectional."""

    form: FormName
    layers: Annotated[int, Field(ge=1, le=MAX_LAYERS)] = 1
    bidirectional: bool = False

    def __str__(self) -> str:
        layers = f".{self.layers}" if self.layers > 1 else ""
        return self.form + layers + ".both" * self.bidirectional

    @property
    def is_trained(self) -> bool:
        """Whether there is a shipped model of it."""
        return self in (NetworkSpec(form) for form in TRAINED)


DEFAULT_NETWORKS = tuple(NetworkSpec(form) for form in TRAINED)


def keys_of(networks: Sequence[NetworkSpec]) -> list[str]:
    """One key per network, as the address writes it; a repeated network gets a number.

    >>> keys_of((NetworkSpec("gru", 2, True), NetworkSpec("lstm"), NetworkSpec("lstm")))
    ['gru.2.both', 'lstm', 'lstm 2']
    """
    keys: list[str] = []
    for place, network in enumerate(networks):
        earlier = networks[:place].count(network)
        keys.append(f"{network} {earlier + 1}" if earlier else str(network))
    return keys


def read_networks(value: Any) -> tuple[NetworkSpec, ...]:
    """Networks from an address: ``form.layers.both``, separated by commas.

    ValueError for any other text.

    >>> read_networks("lstm,rnn_relu.2.both")[1]
    NetworkSpec(form='rnn_relu', layers=2, bidirectional=True)
    """
    if not isinstance(value, str):
        return tuple(value)
    networks: list[NetworkSpec] = []
    for part in value.split(","):
        match = PATTERN.fullmatch(part)
        if match is None or match[1] not in get_args(FormName):
            raise ValueError(part)
        networks.append(NetworkSpec(match[1], int(match[2] or 1), match[3] is not None))  # pyright: ignore[reportArgumentType]  # a FormName, as checked
    return tuple(networks)
