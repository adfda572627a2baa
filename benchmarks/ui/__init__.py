"""Benchmarks of the app in a real browser: ``python -m benchmarks.ui``."""
