"""How torch's stacks name the parameters of a layer and direction."""


def parameter_suffix(layer: int, direction: int) -> str:
    """What follows ``weight_ih``, ``bias_hh``, … in a stack's parameter names.

    layer: counted from 0. direction: 0 forward, 1 backward.

    >>> parameter_suffix(0, 0), parameter_suffix(2, 1)
    ('_l0', '_l2_reverse')
    """
    return f"_l{layer}" + "_reverse" * direction
