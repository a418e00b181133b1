"""What gsign writes, read by the tools that others have: Ruby's YAML, gpg, sha256sum."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .people import Person, Workspace

ACCEPT = Path(__file__).with_name("accept.rb")


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    made = person()
    made.make("Alice <alice@example.org>")
    return made


def ruby(path: Path) -> dict[str, Any]:
    done = subprocess.run(["ruby", ACCEPT, path], check=True, capture_output=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def assertion(workspace: Workspace, alice: Person) -> Path:
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 0, signed.err
    return workspace.sigs / "hello" / "1.0" / "alice@example.org" / "hello-build.assert"


def test_ruby_reads_every_field(workspace: Workspace, alice: Person) -> None:
    files = {"hello.tar.gz": b"one", "src/hello.tar.gz": b"two"}
    report = workspace.report(files)
    read = ruby(assertion(workspace, alice))
    assert read["class"] == "Psych::Omap"
    assert read["same"], "a safe loader sees something else"
    assert read["keys"] == [
        "out_manifest",
        "in_manifest",
        "base_manifests",
        "cache_common_manifest",
        "cache_package_manifest",
        "release",
        "name",
        "type",
        "optionals",
    ]
    assert read["fields"] == {
        "out_manifest": report.out_manifest,
        "in_manifest": report.in_manifest,
        "base_manifests": dict(report.base_manifests),
        "cache_common_manifest": report.cache_common_manifest,
        "cache_package_manifest": "",
        "release": "1.0",
        "name": "hello",
        "type": "build",
        "optionals": None,
    }
    assert read["again"]


@pytest.mark.parametrize(
    "release",
    ["1.0", "1e3", "0x10", "010", "1_000", "2024-05-01", "yes", "null", "1.2-linux", "2.10~rc1+b"],
)
def test_a_release_is_text_to_ruby_whatever_it_looks_like(
    workspace: Workspace, alice: Person, release: str
) -> None:
    signed = workspace.run(
        "gsign", "-r", release, "-s", "alice@example.org", "hello.yml", person=alice
    )
    assert signed.code == 0, signed.err
    (path,) = workspace.sigs.rglob("*.assert")
    assert ruby(path)["fields"]["release"] == release


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": b""},
        {"a b": b"1", "ü.tar": b"2", "x: y": b"3", "#c": b"4", "it's": b"5", '"q"': b"6"},
        {f"{n:03}": b"%d" % n for n in range(200)},
    ],
)
def test_file_names_of_every_kind(
    workspace: Workspace, alice: Person, files: dict[str, bytes]
) -> None:
    workspace.build(files)
    (workspace.root / "build" / "out").mkdir(parents=True, exist_ok=True)
    read = ruby(assertion(workspace, alice))
    assert read["fields"]["out_manifest"] == workspace.report(files).out_manifest


def test_ruby_writes_the_same_bytes(workspace: Workspace, alice: Person) -> None:
    path = assertion(workspace, alice)
    assert ruby(path)["rewritten"].encode() == path.read_bytes()


def test_an_out_manifest_that_sha256sum_takes(workspace: Workspace, alice: Person) -> None:
    manifest = ruby(assertion(workspace, alice))["fields"]["out_manifest"]
    out = workspace.root / "build" / "out"
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "-"],
        cwd=out,
        input=manifest.encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"hello.tar.gz: OK\nsrc/hello.tar.gz: OK\n"


def test_gpg_verifies_as_gitian_called_it(workspace: Workspace, alice: Person) -> None:
    path = assertion(workspace, alice)
    done = subprocess.run(
        ["gpg", "--quiet", "--batch", "--verify", f"{path}.sig", path],
        env={"PATH": os.environ["PATH"], "GNUPGHOME": str(alice.home)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"Good signature" in done.stderr
    path.write_bytes(path.read_bytes() + b"\n")
    changed = subprocess.run(
        ["gpg", "--quiet", "--batch", "--verify", f"{path}.sig", path],
        env={"PATH": os.environ["PATH"], "GNUPGHOME": str(alice.home)},
        capture_output=True,
        check=False,
    )
    assert changed.returncode != 0


def test_two_signers_give_ruby_equal_manifests(
    workspace: Workspace, alice: Person, person: Callable[[], Person]
) -> None:
    bob = person()
    bob.make("Bob <bob@example.org>")
    first = ruby(assertion(workspace, alice))["fields"]
    workspace.sign(bob, "--signer", "bob@example.org")
    folder = workspace.sigs / "hello" / "1.0" / "bob@example.org"
    second = ruby(folder / "hello-build.assert")["fields"]
    for field in ("out_manifest", "release", "name"):
        assert first[field] == second[field]
