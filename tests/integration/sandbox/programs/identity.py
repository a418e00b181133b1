"""Print who we are, what we inherited and what we may do."""

import json
import os
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Return the number of arguments."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    facts = {
        "uid": os.getuid(),
        "pid": os.getpid(),
        "argv": argv,
        "environment": sorted(os.environ),
        "effective": status["CapEff"],
        "folder": sorted(path.name for path in Path(argv[0]).iterdir()),
    }
    json.dump(facts, sys.stdout)
    return len(argv)
