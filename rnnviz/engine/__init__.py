"""How a record is made: only ``rnnviz.trace`` and ``rnnviz.gradients`` build on this package."""
