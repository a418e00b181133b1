"""What fuzzing found worth keeping is read again in every run, and some seconds of new bytes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .readers import READERS, read

HERE = Path(__file__).parent
SECONDS = 3


@pytest.mark.parametrize("name", READERS)
def test_the_saved_corpus(name: str) -> None:
    saved = sorted((HERE / "corpus" / name).iterdir())
    assert saved, "run tests/fuzz/fuzz.py for this reader, and keep what it finds"
    for path in saved:
        read(name, path.read_bytes())


@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="atheris is not installed")
def test_new_bytes_for_some_seconds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", "every", str(SECONDS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = [path.read_bytes()[:2000] for path in tmp_path.glob("*-*")]
    assert (done.returncode, found) == (0, []), done.stderr[-4000:]
