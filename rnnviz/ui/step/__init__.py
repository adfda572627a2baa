"""The step page: its controls and cards."""
