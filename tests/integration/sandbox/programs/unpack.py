"""Unpack a tar from standard input into argv[0]."""

import sys
import tarfile


def main(argv: list[str]) -> int:
    """Keep owners and modes."""
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for entry in tar:
            tar.extract(entry, argv[0], numeric_owner=True)
    return 0
