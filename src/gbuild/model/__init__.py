"""Frozen values without I/O and without third-party imports."""
