"""Slow, separate implementations that tests and benchmarks compare the package with."""
