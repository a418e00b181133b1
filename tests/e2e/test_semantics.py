"""What a script sees: Gitian's environment, its inputs, and nothing of the host."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

_GOLDEN = Path(__file__).parents[1] / "golden"
_VARYING = re.compile(
    r"^(BASHPID|PPID|SECONDS|EPOCH\w+|S?RANDOM|BASH_VERS\w+|BASH_ARG\w+|LINENO)=.*\n", re.MULTILINE
)
_DUMP = """\
env | LC_ALL=C sort > $OUTDIR/env
set -o posix; set > $OUTDIR/set
umask > $OUTDIR/umask
pwd > $OUTDIR/pwd
hostname > $OUTDIR/hostname
ulimit -a > $OUTDIR/ulimit
"""


def _check_golden(name: str, text: str) -> None:
    path = _GOLDEN / name
    if os.environ.get("GBUILD_TEST_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"what a script sees has changed: {name}"


@pytest.mark.parametrize(
    ("kind", "more"),
    [("gitian", "enable_cache: true\n"), ("ours", "enable_cache: true\nnetwork: none\n")],
)
def test_the_environment(project: Project, kind: str, more: str) -> None:
    path = project.describe(_DUMP, more=more)
    path.write_text(path.read_text().replace("network: none\n", "", 1))
    project.gbuild(path, "--offline", "-j", "3", "-m", "777")
    out = project.root / "build" / "out"
    _check_golden(f"env-{kind}.txt", (out / "env").read_text())
    _check_golden(f"set-{kind}.txt", _VARYING.sub("", (out / "set").read_text()))
    assert (out / "umask").read_text() == "0002\n"
    assert (out / "pwd").read_text() == "/home/debian/build\n"
    assert (out / "hostname").read_text() == "gitian\n"


def test_nothing_of_the_host_is_there(project: Project) -> None:
    planted = replace(
        project.commands,
        environment={"SECRET_TOKEN": "canary-4711", "SSH_AUTH_SOCK": "/tmp/canary-4711"},
    )
    (project.commands.home / ".netrc").write_text("canary-4711")
    script = (
        "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' > all\n"
        "grep -c canary all > $OUTDIR/n || :\n"
        "ls /proc/self/fd | wc -l > $OUTDIR/fds\n"
        "cat /proc/keys > $OUTDIR/keys 2>/dev/null || :\n"
        "grep -rl canary /home /root /tmp /etc /var/tmp 2>/dev/null > $OUTDIR/files || :\n"
        "ls -A /home /var/tmp /mnt > $OUTDIR/folders\n"
    )
    planted.run("gbuild", project.describe(script), cwd=project.root)
    out = project.root / "build" / "out"
    assert (out / "n").read_text() == "0\n"
    assert (out / "fds").read_text() == "4\n"
    assert (out / "files").read_text() == ""
    assert "gbuild" not in (out / "folders").read_text()


def test_the_network_is_off(project: Project) -> None:
    script = (
        "ls /sys/class/net > $OUTDIR/interfaces\n"
        "getent hosts debian.org && exit 1\n"
        "timeout 5 bash -c '> /dev/tcp/127.0.0.1/22' 2>/dev/null && exit 1\n"
        "timeout 5 bash -c '> /dev/tcp/192.0.2.1/80' 2>/dev/null && exit 1\n"
        "true\n"
    )
    project.gbuild(project.describe(script))
    assert (project.root / "build" / "out" / "interfaces").read_text() == "lo\n"


def test_files_have_modes_and_times_of_no_host(project: Project) -> None:
    inputs = project.root / "inputs"
    inputs.mkdir()
    (inputs / "data").write_text("x")
    (inputs / "data").chmod(0o600)
    path = project.describe(
        "stat -c '%n %a %U %G %Y %s' data > $OUTDIR/stat", more="files: [data]\n"
    )
    project.gbuild(path)
    seen = (project.root / "build" / "out" / "stat").read_text()
    assert seen == "data 644 debian debian 1706702400 1\n"


def test_alternatives_are_set_as_root(project: Project) -> None:
    path = project.describe(
        "readlink -f /usr/bin/awk > $OUTDIR/awk",
        more="alternatives:\n- {package: awk, path: /usr/bin/mawk}\n",
    )
    project.gbuild(path)
    assert (project.root / "build" / "out" / "awk").read_text() == "/usr/bin/mawk\n"
    bad = project.describe("true", more="alternatives:\n- {package: awk, path: /usr/bin/no}\n")
    ended = project.gbuild(bad, code=6)
    assert "update-alternatives" in ended.stderr
    assert "install.log" in ended.stderr


def test_the_dry_run_starts_nothing(project: Project) -> None:
    ended = project.gbuild(project.describe("true"), "--dry-run")
    assert "run 20 lines with setarch x86_64 bash -x" in ended.stdout
    assert not (project.root / "build").exists()
    answer = project.gbuild(project.describe("true"), "--dry-run", "--json").answer
    assert answer["plan"]["jobs"][0]["network"] == "none"


def test_the_statement(project: Project) -> None:
    answer = project.gbuild(project.describe("echo > $OUTDIR/x"), "--json").answer
    statement = json.loads(Path(answer["statement"]).read_bytes())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    subject = {s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
    assert subject["x"] == answer["artifacts"][0]["sha256"]
    text = json.dumps(statement)
    for fact in ("userns", "tmpfs", answer["report"]["sha256"], answer["jobs"][0]["image"]):
        assert fact in text


def test_resume_takes_what_is_finished(project: Project) -> None:
    path = project.describe("date +%N > $OUTDIR/when")
    first = project.gbuild(path, "--json").answer
    again = project.gbuild(path, "--resume", "--json").answer
    assert again["jobs"][0]["reused"]
    assert again["artifacts"] == first["artifacts"]
    (project.root / "build" / "bookworm-amd64" / "out" / "when").write_text("tampered")
    other = project.gbuild(path, "--resume", "--json").answer
    assert not other["jobs"][0]["reused"]
    assert other["artifacts"] != first["artifacts"]


def test_a_second_build_needs_no_network_and_installs_nothing(project: Project) -> None:
    path = project.describe("echo > $OUTDIR/x")
    first = project.gbuild(path, "--json").answer
    second = project.gbuild(path, "--offline", "--json")
    assert second.answer["artifacts"] == first["artifacts"]
    steps = [json.loads(line)["text"] for line in second.stderr.splitlines()]
    assert not [text for text in steps if re.search("fetch|download|image|resolv|prov", text)]
