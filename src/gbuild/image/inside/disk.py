"""A tree to a file system in a file, by mke2fs; a program for ``run_trusted``.

Arguments: descriptor of the file, the tree, the time of everything in seconds since the epoch, the
size in KiB, the program mke2fs and its options. Mapped root sees every file's owner as the image
has it.
"""

from __future__ import annotations

import os


def main(argv: list[str]) -> int:
    """Become mke2fs."""
    descriptor, tree, date, size, program, *options = argv
    words = [program, *options, "-d", tree, f"/proc/self/fd/{descriptor}", f"{size}k"]
    environment = {"E2FSPROGS_FAKE_TIME": date, "LC_ALL": "C"}
    os.execve(program, words, environment)  # noqa: S606 - nothing is left to do here
