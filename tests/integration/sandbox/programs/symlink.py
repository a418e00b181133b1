"""Replace argv[0] by a symbolic link to argv[1]."""

import shutil
from pathlib import Path


def main(argv: list[str]) -> int:
    """Remove what is there first, whatever it is."""
    place = Path(argv[0])
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(argv[1])
    return 0
