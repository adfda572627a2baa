"""The LaTeX of a cell's equations as HTML, so that a page can write new numbers into it."""

import re
from html import escape

_TOKEN = re.compile(
    r"\\mathrm\{(?P<name>(?:\\_|[^{}])*)\}"
    r"|\\text\{(?P<text>[^{}]*)\}"
    r"|_\{(?P<below>(?:[^{}]|\{[^{}]*\})*)\}|_(?P<letter_below>\w)"
    r"|\^\{(?P<above>[^{}]*)\}"
    r"|\\(?P<command>[a-z]+|,)"
    r"|(?P<slot>\[[^\]]*\])"
    r"|(?P<letters>[A-Za-z]+)"
    r"|(?P<sign>[-+=])"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)"
)
_COMMANDS = {",": "\u2009", "sigma": "<i>σ</i>", "infty": "∞", "cdot": " · ", "odot": " ⊙ "}


def html_of(latex: str) -> str:
    r"""HTML of an equation; slots in square brackets stay.

    Of the LaTeX that ``explain.equations`` writes: letters, subscripts, activations, signs.

    >>> print(html_of(r"\tanh(W_g x_{36} - b) \cdot [(cell_state]"))
    tanh(<i>W</i><sub><i>g</i></sub><i>x</i><sub>36</sub> − <i>b</i>) · [(cell_state]
    """
    html = ""
    for token in _TOKEN.finditer(latex):
        kind, text = str(token.lastgroup), token[str(token.lastgroup)]
        html += _html_of_sign(text, html) if kind == "sign" else _html_of(kind, text)
    return html.strip()


def _html_of(kind: str, text: str) -> str:
    match kind:
        case "name":
            return escape(text.replace(r"\_", "_"))
        case "below" | "letter_below":
            return f"<sub>{html_of(text)}</sub>"
        case "above":
            return f"<sup>{html_of(text)}</sup>"
        case "command":
            return _COMMANDS.get(text, text)
        case "letters":
            return "".join(f"<i>{letter}</i>" for letter in text)
        case "slot" if text.startswith("[+"):
            return f" {text}"
        case "space":
            return ""
        case _:
            return escape(text)


def _html_of_sign(sign: str, before: str) -> str:
    """A sign with spaces around it, but for that of a negative number."""
    sign = sign.replace("-", "−")
    return sign if not before or before.endswith(("(", "= ")) else f" {sign} "
