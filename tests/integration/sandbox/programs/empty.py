"""Remove everything below argv[0]."""

import shutil
from pathlib import Path


def main(argv: list[str]) -> int:
    """Keep the folder itself."""
    for path in Path(argv[0]).iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return 0
