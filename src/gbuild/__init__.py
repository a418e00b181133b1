"""gbuild: deterministic builds that many people repeat, sign and check."""

__version__ = "0.1.0"
