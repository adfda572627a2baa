"""The largest network within a parameter budget."""

from dataclasses import replace

from rnnviz.cells import Form
from rnnviz.counting.gates import count_parameters
from rnnviz.counting.size import Size
from rnnviz.errors import RnnvizError, described, is_whole

SEARCH_UP_TO = 1_000_000  # the largest hidden size that ``fit_hidden`` returns


def fit_hidden(
    form: Form,
    input_size: int,
    budget: int,
    *,
    layers: int = 1,
    directions: int = 1,
    biases: int = 2,
    least: int = 1,
    most: int = SEARCH_UP_TO,
) -> int:
    """The largest hidden size in [least, most] with at most budget parameters.

    RnnvizError if the least has more.

    >>> [fit_hidden(Form(cell), 3, 1344) for cell in ("rnn", "gru", "lstm")]
    [34, 18, 16]
    """
    smallest = Size(form, input_size, least, layers, directions, biases)

    def fits(hidden: int) -> bool:
        return count_parameters(replace(smallest, hidden_size=hidden)) <= budget

    for name, number, lowest in (("budget", budget, None), ("most", most, smallest.hidden_size)):
        if not is_whole(number) or (lowest is not None and number < lowest):
            expected = "an integer" if lowest is None else f"≥ {lowest}"
            raise RnnvizError(
                "error.initialise_number", name=name, came=described(number), expected=expected
            )
    # NumPy's integers of few bits would overflow
    budget, least, most = int(budget), int(least), int(most)
    if not fits(least):
        raise RnnvizError(
            "error.budget",
            budget=budget,
            cell=form.cell.upper(),
            hidden=least,
            smallest=count_parameters(smallest),
        )
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(middle) else (least, middle - 1)
    return least
