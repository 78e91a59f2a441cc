"""Measurements: the figures of README.md and benchmarks/RESULTS.md come from these commands."""
