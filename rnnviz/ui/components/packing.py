"""The payload of a component: a line of JSON, then one line per body."""

import json


def packed(header: object, *bodies: str) -> bytes:
    r"""The payload as bytes: Streamlit would serialise anything else as JSON twice, and sign it.

    bodies: only the last may have line breaks.

    >>> packed({"key": "norms"}, "[1]", "[2]")
    b'{"key": "norms"}\n[1]\n[2]'
    """
    return "\n".join([json.dumps(header), *bodies]).encode()
