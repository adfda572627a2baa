"""A trace explained: terms of a gate, equations, unit order, Keras outputs."""
