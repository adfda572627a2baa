"""Suffixes of torch's parameter names, and the names of its types."""


def parameter_suffix(layer: int, direction: int) -> str:
    """The suffix after ``weight_ih``, ``bias_hh``, … of a layer and direction.

    layer: counted from 0. direction: 0 forward, 1 backward.

    >>> parameter_suffix(0, 0), parameter_suffix(2, 1)
    ('_l0', '_l2_reverse')
    """
    return f"_l{layer}" + "_reverse" * direction


def dtype_name(kind: object) -> str:
    """A dtype, layout or device without the prefix of torch."""
    return str(kind).removeprefix("torch.")
