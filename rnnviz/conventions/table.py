"""The conventions: the order of packed gates, layouts, and variants of the equations."""

from dataclasses import dataclass, replace

from rnnviz.cells import GATE_NAMES, PEEPHOLES, Form
from rnnviz.errors import RnnvizError


@dataclass(frozen=True)
class Convention:
    """How one framework or paper packs and defines the cells.

    title: the display name. lstm, gru: the gates in the order of the packed weights; lstm is empty
    if the convention has only GRUs. layout: names and layout of arrays: "torch" (rows are units),
    "keras" (transposed), "onnx" (rows, and a leading axis for the direction).
    update_keeps: h_t = z h + (1 − z) n; False: h_t = (1 − z) h + z n.
    reset_after: a GRU's reset applies after the product with U_n; None: a flag decides.
    biases, gru_biases: bias vectors per gate of an RNN or LSTM, and of a GRU.
    peepholes: gates in the order of their rows. coupled: the form of a coupled LSTM: "own" (i =
    1 − f, no block for i), "input" (f = 1 − i, all four blocks), "" (an ordinary LSTM whose rows
    of i are those of f negated, which is exact: σ(−a) = 1 − σ(a)).

    >>> ONNX.order(Form("gru")), KERAS.transposed, CHUNG.update_keeps
    (('update_gate', 'reset_gate', 'hidden_candidate'), True, False)
    """

    name: str
    title: str
    lstm: tuple[str, ...]
    gru: tuple[str, ...]
    layout: str = "torch"
    update_keeps: bool = True
    reset_after: bool | None = None
    biases: int = 2
    gru_biases: int = 2
    peepholes: tuple[str, ...] = ()
    projection: bool = False
    coupled: str = ""

    @property
    def transposed(self) -> bool:
        """Whether a gate's weights are columns: (input, units), x W instead of W x."""
        return self.layout == "keras"

    def order(self, form: Form) -> tuple[str, ...]:
        """The gates in the order of the packed weights. RnnvizError for a cell it does not have."""
        self.check_cell(form)
        if form.coupled and self.coupled == "own":
            return form.gates
        return {"rnn": GATE_NAMES["rnn"], "lstm": self.lstm, "gru": self.gru}[form.cell]

    def bias_vectors(self, form: Form) -> int:
        """Bias vectors per gate."""
        return self.gru_biases if form.cell == "gru" else self.biases

    def peephole_order(self, form: Form) -> tuple[str, ...]:
        """The gates with peepholes, in the order of their rows."""
        if not form.peephole:
            return ()
        return form.peepholes if self.coupled == "own" else self.peepholes

    def check_cell(self, form: Form) -> None:
        """RnnvizError if the convention has only GRUs and the form is another cell."""
        if form.cell != "gru" and not self.lstm:
            raise RnnvizError("error.convention_cell", convention=self.title, cell=form.cell)

    def check(self, form: Form) -> None:
        """RnnvizError if the convention cannot represent the form."""
        self.check_cell(form)
        if form.peephole and not self.peepholes:
            raise RnnvizError("error.no_peepholes", convention=self.title)
        if self.layout == "keras" and form.cell == "lstm":
            activation, output = form.activation, form.output_activation
            if activation != output:
                given = {"activation": activation, "output": output}
                raise RnnvizError("error.one_activation", convention=self.title, **given)
        if form.cell == "gru" and self.reset_after not in (None, form.reset_after):
            key = "error.reset_is_after" if form.reset_after else "error.reset_is_before"
            raise RnnvizError(key, convention=self.title)


LSTM, GRU = GATE_NAMES["lstm"], GATE_NAMES["gru"]
ZRN = ("update_gate", "reset_gate", "hidden_candidate")
IFGO = ("input_gate", "forget_gate", "cell_candidate", "output_gate")
IOFG = ("input_gate", "output_gate", "forget_gate", "cell_candidate")

TORCH = Convention("torch", "torch", LSTM, GRU, reset_after=True, projection=True)
# This project's cells: torch's names and layout, and every variant.
PROJECT = replace(
    TORCH,
    name="project",
    title="rnnviz",
    reset_after=None,
    peepholes=PEEPHOLES,
    coupled="own",
)
KERAS = Convention(
    "keras", "Keras (reset_after=True)", IFGO, ZRN, "keras", reset_after=True, biases=1
)
KERAS_RESET_BEFORE = replace(
    KERAS,
    name="keras_reset_before",
    title="Keras (reset_after=False)",
    reset_after=False,
    gru_biases=1,
)
ONNX = Convention(
    "onnx",
    "ONNX",
    IOFG,
    ZRN,
    "onnx",
    peepholes=("input_gate", "output_gate", "forget_gate"),
    coupled="input",
)
# The papers do not pack weights: their gates are in torch's order here, with one bias.
CHO = Convention("cho", "Cho et al. (2014)", (), GRU, reset_after=False, biases=1, gru_biases=1)
CHUNG = replace(CHO, name="chung", title="Chung et al. (2014)", update_keeps=False)

CONVENTIONS = {
    convention.name: convention
    for convention in (TORCH, KERAS, KERAS_RESET_BEFORE, ONNX, CHO, CHUNG)
}
