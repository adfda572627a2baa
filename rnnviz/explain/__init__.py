"""What a trace says in words and equations: terms, equations, unit order, Keras outputs."""
