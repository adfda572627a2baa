"""What goes to a component: a line of JSON, and after it bodies of a line each."""

import json


def packed(header: object, *bodies: str) -> bytes:
    r"""The message as bytes, for Streamlit writes anything else as JSON twice, and signs it.

    bodies: without a line break, but for the last.

    >>> packed({"key": "norms"}, "[1]", "[2]")
    b'{"key": "norms"}\n[1]\n[2]'
    """
    return "\n".join([json.dumps(header), *bodies]).encode()
