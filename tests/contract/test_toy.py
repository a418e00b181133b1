"""A backend of another package: found by its entry point, held to the contract, nothing edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the toy is installed beside gbuild, as pip would do it."""
    place = tmp_path_factory.mktemp("site")
    project = tomllib.loads((TOY / "pyproject.toml").read_text())["project"]
    (place / "gbuild_toy").symlink_to(TOY / "gbuild_toy")
    info = place / f"gbuild_toy-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["gbuild.backends"].items()
    lines = ["[gbuild.backends]", *(f"{name} = {value}" for name, value in points)]
    (info / "entry_points.txt").write_text("\n".join(lines))
    paths = os.pathsep.join((str(place), str(ROOT / "src")))
    return {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def run(
    environment: dict[str, str], *words: str | Path, cwd: Path, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        env=environment, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_the_toy_keeps_the_contract(installed: dict[str, str], tmp_path: Path) -> None:
    words = ("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", TOY)
    done = run(installed, *words, TOY / "test_contract.py", cwd=tmp_path)
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout or os.getuid() != 0, done.stdout


def test_it_is_found_by_its_name(installed: dict[str, str], tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store"))
    done = run(installed, "gbuild.cli.gdoctor", "--json", "--backend", "toy", *store, cwd=tmp_path)
    assert json.loads(done.stdout)["backends"][0]["name"] == "toy"
    words = ("gbuild.cli.gtarget", "list", "--backend", "toy", "--backend-option", "ncie=3")
    done = run(installed, *words, *store, cwd=tmp_path, code=2)
    assert "no option 'ncie'" in done.stderr
    assert "nice: how low" in done.stderr


def test_it_is_small() -> None:
    texts = [path.read_text() for path in (TOY / "gbuild_toy").glob("*.py")]
    assert 0 < sum(len(text.splitlines()) for text in texts) <= 250
