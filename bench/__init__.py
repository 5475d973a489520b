"""Benchmarks: every peer live in the same run, on the same articles and the same store binary."""
