"""Remove everything below argv[0]."""

import os
import shutil


def main(argv: list[str]) -> int:
    """Keep the folder itself."""
    for name in os.listdir(argv[0]):
        path = os.path.join(argv[0], name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    return 0
