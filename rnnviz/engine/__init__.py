"""Runs networks over sequences and records every gate, state and gradient; ``run`` is the entry."""
