"""Print who we are, what we inherited and what we may do."""

import json
import os
import sys


def main(argv: list[str]) -> int:
    """Return the number of arguments."""
    with open("/proc/self/status", encoding="ascii") as stream:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    facts = {
        "uid": os.getuid(),
        "pid": os.getpid(),
        "argv": argv,
        "environment": sorted(os.environ),
        "effective": status["CapEff"],
        "fds": sorted(os.listdir("/proc/self/fd")),
        "folder": sorted(os.listdir(argv[0])) if argv else [],
    }
    json.dump(facts, sys.stdout)
    return len(argv)
