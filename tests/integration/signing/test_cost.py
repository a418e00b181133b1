"""What the commands load: verifying must not need the half that builds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .people import Person, Workspace

HEAVY = ("paramiko", "gnupg", "yaml", "rich", "cryptography")


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("command", ["gsign", "gverify"])
def test_help_loads_nothing_slow(command: str) -> None:
    modules = loaded(f"import gbuild.cli.{command}")
    assert not modules & {*HEAVY, "subprocess", "tempfile", "hashlib"}


def test_verifying_needs_neither_ssh_nor_python_gnupg() -> None:
    modules = loaded("import gbuild.verify.release, gbuild.verify.keys, gbuild.verify.document")
    assert not modules & {"paramiko", "gnupg", "rich", "cryptography"}


@pytest.mark.root
def test_a_full_disk(workspace: Workspace, person: object) -> None:
    assert callable(person)
    alice: Person = person()
    alice.make("Alice <alice@example.org>")
    workspace.sigs.mkdir()
    environment = {**workspace.environment, "GNUPGHOME": str(alice.home)}
    script = (
        'mount -t tmpfs -o size=16k none "$1" && head -c 12k /dev/zero > "$1/ballast"\n'
        'cd "$2"; "$3" -m gbuild.cli.gsign -s alice@example.org -r 1.0 hello.yml; echo "code $?"\n'
        'find "$1" -type f'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh",
         workspace.sigs, workspace.root, sys.executable],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split("\n") == ["code 3", f"{workspace.sigs}/ballast", ""]
    assert "No space left" in done.stderr
