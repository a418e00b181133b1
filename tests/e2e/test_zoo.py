"""The zoo: every broken descriptor is told by its cause, every mended one is reproducible.

One check builds the scripts of all broken descriptors side by side as one descriptor, so that
each of its builds counts for every cause; another one those of the mended.
"""

from __future__ import annotations

import json
import shutil
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from .conftest import CLONE, DESCRIPTORS

if TYPE_CHECKING:
    from .conftest import Commands

ZOO = DESCRIPTORS / "zoo"
SCHEMA = CLONE / "docs/reference/schemas/gcheck.schema.json"

EXPECTED = {
    "address": ["addresses"],
    "ar-members": [],
    "archive-order": ["file-system"],
    "build-path": ["build-path"],
    "directory-order": ["file-system"],
    "environment": ["environment"],
    "file-modes": ["umask"],
    "gzip-header": [],
    "hash-order": ["hash-seed"],
    "home": ["home"],
    "hostname": ["hostname"],
    "jobs": ["jobs"],
    "kernel-version": ["kernel-version"],
    "locale": ["locale"],
    "memory-size": ["memory"],
    "parallelism": ["cpus"],
    "random-identifier": [],
    "tar-dates": [],
    "tar-owners": ["ids"],
    "timestamp": [],
    "timezone": ["timezone"],
    "uninitialised": ["uninitialised"],
    "user": ["user"],
}
"""The variations that change each one; those with none differ by themselves."""

SEEN = {"jobs": "parallelism"}
"""The cause seen in the bytes, where it is not called as the folder."""


def test_the_table_is_the_zoo() -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in ZOO.iterdir() if path.is_dir())


def _script(path: Path) -> str:
    return path.read_text().partition("\nscript: |\n")[2]


def _together(kind: str, folder: Path) -> Path:
    """Write one descriptor of all of a kind: each in a folder of its own."""
    head = (ZOO / "timestamp" / f"{kind}.yml").read_text().partition("\nscript: |\n")[0]
    lines = [head.replace("zoo-timestamp", "zoo"), "normalise: true", "script: |"]
    for cause in EXPECTED:
        lines += [
            f'  mkdir "$OUTDIR/{cause}" {cause}',
            f'  (cd {cause}; OUTDIR="$OUTDIR/{cause}"',
            _script(ZOO / cause / f"{kind}.yml").rstrip("\n"),
            "  )",
        ]
    path = folder / "zoo.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def check(commands: Commands, locked_hello: Path, tmp_path: Path) -> Any:
    """Check all descriptors of a kind; return the answer."""

    def run(kind: str, code: int) -> Any:
        path = _together(kind, tmp_path)
        for suffix in (".lock", ".lock.proof"):
            shutil.copy(locked_hello / f"hello{suffix}", path.with_suffix(suffix))
        answer = commands.run("gcheck", "--json", path, cwd=tmp_path, code=code).answer
        jsonschema.validate(answer, json.loads(SCHEMA.read_bytes()))
        written = json.loads((tmp_path / "result" / "zoo-check.json").read_bytes())
        assert written == answer
        assert (tmp_path / "result" / "zoo-check.html").stat().st_size > 10_000
        return answer

    return run


@pytest.mark.slow
def test_every_broken_one_is_told_by_its_cause(check: Any) -> None:
    answer = check("broken", 1)
    found = {a["path"].split("/")[0]: a for a in answer["artifacts"]}
    told = {name: sorted(chain.from_iterable(a["causes"])) for name, a in found.items()}
    assert told == EXPECTED
    verdicts = {name: a["verdict"] for name, a in found.items()}
    assert verdicts == {n: "sensitive" if names else "unstable" for n, names in EXPECTED.items()}
    assert all(artifact["certain"] for artifact in found.values())
    seen = {name: {t["cause"] for t in a["traces"]} - {"build-id"} for name, a in found.items()}
    assert seen == {name: {SEEN.get(name, name)} for name in EXPECTED}
    assert [name for name, artifact in found.items() if artifact["unknown"]] == []


@pytest.mark.slow
def test_every_mended_one_is_reproducible_in_two_builds(check: Any) -> None:
    answer = check("mended", 0)
    assert answer["reproducible"]
    assert [build["kind"] for build in answer["builds"]] == ["control", "all"]
    assert len(answer["artifacts"]) == len(EXPECTED)
