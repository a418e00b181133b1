"""Raise an exception that nobody expected."""


def main(argv: list[str]) -> int:
    """Fail."""
    raise RuntimeError(argv[0])
