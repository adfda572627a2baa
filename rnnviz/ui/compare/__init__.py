"""The compare page: its controls and cards."""
