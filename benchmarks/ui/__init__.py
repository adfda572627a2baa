"""The app in a real browser: ``python -m benchmarks.ui``."""
