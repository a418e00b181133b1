"""Replace argv[0] by a symbolic link to argv[1]."""

import os
import shutil


def main(argv: list[str]) -> int:
    """Remove what is there first, whatever it is."""
    place, target = argv
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    elif os.path.lexists(place):
        os.unlink(place)
    os.symlink(target, place)
    return 0
