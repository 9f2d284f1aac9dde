"""Measured speed and memory, always as a ratio against a peer or a limit; see docs/benchmarks.md."""
