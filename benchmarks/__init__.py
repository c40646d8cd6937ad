"""Measurements against named peers, in one run and on the same input: `python -m benchmarks`."""
