"""Benchmarks of many visitors at once: ``python -m benchmarks.load``."""
