"""The gradients page: its controls and cards."""
