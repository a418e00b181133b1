"""glock and gbase as a program uses them: every answer follows the published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .conftest import World
from .mirror import SUITE

SCHEMAS = Path(__file__).parents[3] / "docs/reference/schemas"
DESCRIPTOR = f"""\
name: tiny
distro: debian
suites: [{SUITE}]
architectures: [amd64]
base: minimal
packages: [tool]
reference_datetime: "2024-01-01 00:00:00"
script: make
"""


def answer(world: World, command: str, *words: str, code: int = 0) -> Any:
    """Run a command with --json; return its answer, held against the schema."""
    done = subprocess.run(
        [sys.executable, "-m", f"gbuild.cli.{command}", *words, "--json"],
        cwd=world.folder,
        env={**world.environment, "PATH": "/usr/bin:/bin", "GBUILD_STORE": str(world.store.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    schema = json.loads((SCHEMAS / f"{command}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    return document


@pytest.fixture
def tiny(world: World) -> World:
    (world.folder / "tiny.yml").write_text(DESCRIPTOR)
    return world


def test_a_lock_is_made_proved_shown_and_compared(tiny: World) -> None:
    made = answer(tiny, "glock", "--no-image", "tiny.yml")
    assert made["format"] == "gbuild.glock.resolve/1"
    proved = answer(tiny, "glock", "verify", "--offline", "tiny.yml")
    label = f"{SUITE}-amd64"
    assert proved["environments"][label]["packages"] == made["environments"][label]["packages"]
    shown = answer(tiny, "glock", "show", "tiny.lock")
    assert shown["digest"] == made["digest"]

    assert answer(tiny, "glock", "diff", "tiny.lock", "tiny.lock")["changes"] == []
    (tiny.folder / "old.lock").write_bytes((tiny.folder / "tiny.lock").read_bytes())
    tiny.mirror.package("tool", "2", fields="Depends: libtool-part (>= 2)\n")
    tiny.mirror.publish()
    answer(tiny, "glock", "--no-image", "tiny.yml")
    (change,) = answer(tiny, "glock", "diff", "old.lock", "tiny.lock", code=1)["changes"]
    assert (change["package"], change["new"], change["same_version"]) == ("tool:amd64", "2", False)


def test_a_changed_lock_is_not_proved(tiny: World) -> None:
    answer(tiny, "glock", "--no-image", "tiny.yml")
    lock = tiny.folder / "tiny.lock"
    package = json.loads(lock.read_bytes())["environments"][0]["packages"][0]
    lock.write_text(lock.read_text().replace(package["sha256"], "0" * 64))
    error = answer(tiny, "glock", "verify", "--offline", "tiny.yml", code=8)["error"]
    assert error["kind"] == "Untrusted"
    assert any(package["name"] in line for line in error["details"])


def test_a_usage_error_follows_the_schema_too(tiny: World) -> None:
    assert answer(tiny, "glock", "no-such.yml", code=2)["error"]["kind"] == "UsageFailure"
    assert answer(tiny, "gbase", "prune", "--older-than", "x", code=2)["error"]["code"] == 2


def test_a_store_without_images(tiny: World) -> None:
    assert answer(tiny, "gbase", "list")["images"] == []
    assert answer(tiny, "gbase", "prune", "--all")["removed"] == []
