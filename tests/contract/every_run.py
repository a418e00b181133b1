"""What tests of backends take in every run, and what with ``GBUILD_TEST_FULL=1``."""

from __future__ import annotations

import os

from gbuild.target.contract import Contract

FULL = bool(os.environ.get("GBUILD_TEST_FULL"))
"""Whether everything is run, however long it takes."""


def files(number: int) -> int:
    """Return how many files the largest tree has: ``number``, or as many as the contract says.

    Trees go the same way on all backends; userns has them all in every run.
    """
    return Contract.files if FULL else number
