"""The data of a component: a line of JSON, then bodies of one line each."""

import json


def message_bytes(header: object, *bodies: str) -> bytes:
    r"""The data as bytes, because Streamlit serialises anything else as JSON twice, and signs it.

    bodies: without line breaks, except for the last.

    >>> message_bytes({"key": "norms"}, "[1]", "[2]")
    b'{"key": "norms"}\n[1]\n[2]'
    """
    return "\n".join([json.dumps(header), *bodies]).encode()
