"""hello: the same bytes wherever it is built."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Commands


def _sums(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_twice_the_same_bytes_and_the_same_report(
    commands: Commands, locked_hello: Path, tmp_path: Path
) -> None:
    reports, sums = [], []
    for _ in range(2):
        answer = commands.run(
            "gbuild", locked_hello / "hello.yml", "--json", cwd=locked_hello
        ).answer
        assert answer["format"] == "gbuild.gbuild/1"
        reports.append((locked_hello / "result" / "hello-res.yml").read_bytes())
        sums.append(_sums(locked_hello / "build" / "out"))
        shutil.rmtree(locked_hello / "build")
        time.sleep(2)
    assert reports[0] == reports[1]
    assert sums[0] == sums[1]
    assert set(sums[0]) == {"hello", "hello-2.10-linux-amd64.tar.gz"}
