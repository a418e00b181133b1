"""Look for bytes that a reader cannot stand, guided by which lines they reach (atheris).

    python tests/fuzz/fuzz.py READER|every SECONDS [FOLDER]

What reaches new lines is added to FOLDER, by default the saved corpus beside this file; what
breaks a reader is written to the current folder as ``crash-*``. ``every`` takes all readers in
turns and saves nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
CLONE = HERE.parents[1]
sys.path[:0] = [str(CLONE), str(CLONE / "src")]

with atheris.instrument_imports(include=["gbuild"]):
    from tests.fuzz import readers

NAMES = tuple(readers.READERS)


def _one(name: str) -> None:
    atheris.Setup(_options(HERE / "corpus" / name), lambda data: readers.read(name, bytes(data)))
    atheris.Fuzz()


def _every() -> None:
    """The first byte chooses the reader."""

    def read(data: bytes) -> None:
        if data:
            readers.read(NAMES[data[0] % len(NAMES)], bytes(data[1:]))

    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(NAMES):
            for path in (HERE / "corpus" / name).iterdir():
                Path(folder, f"{name}-{path.name}").write_bytes(
                    bytes((number,)) + path.read_bytes()
                )
        atheris.Setup(_options(Path(folder)), read)
        atheris.Fuzz()


def _options(folder: Path) -> list[str]:
    seconds = sys.argv[2]
    saved = [*sys.argv[3:], str(folder)]
    limits = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", "-print_final_stats=1"]
    return [sys.argv[0], f"-max_total_time={seconds}", *limits, *saved]


if __name__ == "__main__":
    _every() if sys.argv[1] == "every" else _one(sys.argv[1])
