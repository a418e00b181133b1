"""Start a grandchild of its own session and wait for ever."""

import os
import sys
import time


def main(argv: list[str]) -> int:
    """Print a line when both run; ``argv`` marks the processes."""
    del argv
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    time.sleep(600)
    return 0
