"""Measures everybody in the same run: `python -m benchmarks --help`. Benchmarks are never tests."""
