"""A cell's equations in LaTeX, by convention."""

from rnnviz.activations import find_activation
from rnnviz.cells import Form

X, H = "x_t", "h_{t-1}"


def write_formulas(
    form: Form, *, flip_update: bool = False, reset_after: bool = True, one_bias: bool = False
) -> list[str]:
    r"""The equations of one step in LaTeX, one per line, in the order of evaluation.

    flip_update: a GRU's z replaces the state instead of keeping it. reset_after: its reset applies
    after the product with U_n. one_bias: one bias vector per gate instead of two.

    >>> for line in write_formulas(Form("rnn"), one_bias=True): print(line)
    h_t = \tanh(W x_t + U h_{t-1} + b)
    >>> write_formulas(Form("gru"), flip_update=True)[-1]
    'h_t = (1 - z) \\odot h_{t-1} + z \\odot n'
    """
    if form.cell == "rnn":
        total = f"W {X} + U {H} + b" if one_bias else f"W {X} + b_{{ih}} + U {H} + b_{{hh}}"
        return [f"h_t = {_called(form.nonlinearity, total)}"]
    if form.cell == "gru":
        return _gru(form, flip_update=flip_update, reset_after=reset_after, one_bias=one_bias)
    return _lstm(form, one_bias=one_bias)


def _written(name: str | None) -> str:
    """An activation in LaTeX; "" for the identity."""
    found = find_activation(str(name))
    assert found is not None
    return found.latex


def _called(name: str | None, total: str) -> str:
    """φ(total); the total alone for the identity."""
    function = _written(name)
    return f"{function}({total})" if function else total


def _gru(form: Form, *, flip_update: bool, reset_after: bool, one_bias: bool) -> list[str]:
    inside, outside = ("b_{hn}", "b_{in}") if not one_bias else ("", "b_n")
    if reset_after:
        recurrent = f"r \\odot (U_n {H} + {inside})" if inside else f"r \\odot (U_n {H})"
    else:
        recurrent = f"U_n (r \\odot {H})" + (f" + {inside}" if inside else "")
    keep, replace = ("z", "(1 - z)") if not flip_update else ("(1 - z)", "z")
    new = rf"{replace} \odot n", rf"{keep} \odot {H}"
    return [
        f"r = {_called(form.gate_activation, _sum('r', one_bias=one_bias))}",
        f"z = {_called(form.gate_activation, _sum('z', one_bias=one_bias))}",
        f"n = {_called(form.activation, f'W_n {X} + {outside} + {recurrent}')}",
        f"h_t = {' + '.join(reversed(new) if flip_update else new)}",
    ]


def _lstm(form: Form, *, one_bias: bool) -> list[str]:
    def gate(letter: str, name: str, seen: str = "") -> str:
        peephole = rf" + p_{letter} \odot {seen}" if seen and form.peephole else ""
        return f"{letter} = {_called(name, _sum(letter, one_bias=one_bias) + peephole)}"

    sigma = form.gate_activation
    return [
        "i = 1 - f" if form.coupled else gate("i", sigma, "c_{t-1}"),
        gate("f", sigma, "c_{t-1}"),
        gate("g", form.activation),
        r"c_t = f \odot c_{t-1} + i \odot g",
        gate("o", sigma, "c_t"),
        rf"h_t = o \odot {_called(form.output_activation, 'c_t')}",
    ]


def _sum(letter: str, *, one_bias: bool) -> str:
    if one_bias:
        return f"W_{letter} {X} + U_{letter} {H} + b_{letter}"
    return f"W_{letter} {X} + b_{{i{letter}}} + U_{letter} {H} + b_{{h{letter}}}"
