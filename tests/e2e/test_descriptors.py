"""The descriptors that come with gbuild, built as they are."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.formats.lockfile import read_lock
from gbuild.host.store import Store

from .archives import serve
from .conftest import DESCRIPTORS, RELEASES_ONLY

if TYPE_CHECKING:
    from .conftest import Project

_GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A. Writer",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A. Writer",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2024-03-01T10:00:00+02:00",
    "GIT_COMMITTER_DATE": "2024-03-01T12:00:00+02:00",
    "PATH": "/usr/bin:/bin",
}


def _git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, env=_GIT, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def greeter(project: Project) -> Path:
    """A project of the person's: a git repository with one tag."""
    source = project.root / "my-greeter"
    source.mkdir()
    (source / "greeting.c").write_text('const char *greeting(void) { return "good day"; }\n')
    (source / "main.c").write_text(
        "#include <stdio.h>\nconst char *greeting(void);\n"
        "int main(void) { return puts(greeting()) < 0; }\n"
    )
    _git("init", "-q", "-b", "main", cwd=source)
    _git("add", ".", cwd=source)
    _git("commit", "-q", "-m", "Say good day", cwd=source)
    _git("tag", "-a", "v1.0", "-m", "1.0", cwd=source)
    shutil.copy(DESCRIPTORS / "greeter.yml", project.root)
    for suffix in (".lock", ".lock.proof"):  # its packages are hello's
        shutil.copy(project.lock.with_suffix(suffix), project.root / f"greeter{suffix}")
    return source


def test_a_git_remote_and_the_cache(project: Project, greeter: Path) -> None:
    words = ("greeter.yml", "--commit", "greeter=v1.0", "--url", f"greeter={greeter}", "--json")
    first = project.gbuild(*words).answer
    state = _before(first)
    out = project.root / "build" / "out"
    assert (
        subprocess.run([out / "greeter"], capture_output=True, check=True).stdout == b"good day\n"
    )
    assert (out / "version.txt").read_text() == "v1.0\n"

    report = (project.root / "result" / "greeter-res.yml").read_text()
    commit = _git("rev-parse", "HEAD", cwd=greeter)
    assert f"git:{commit} greeter" in report
    cached = list((project.root / "cache" / "greeter").iterdir())
    assert [path.suffix for path in cached] == [".o"]
    assert f"{hashlib.sha256(cached[0].read_bytes()).hexdigest()}  {cached[0].name}" in report

    second = project.gbuild(*words).answer
    assert second["artifacts"] == first["artifacts"]
    filled = _before(second)
    assert filled != state
    assert _before(project.gbuild(*words, "--cache-read-only").answer) == filled


def _before(answer: dict[str, str]) -> str:
    """Return what the statement says of the caches before the run."""
    statement = json.loads(Path(answer["statement"]).read_bytes())
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return json.dumps([one for one in dependencies if "cache" in json.dumps(one)])


def test_a_poisoned_cache_shows_and_can_be_left_out(project: Project, greeter: Path) -> None:
    words = ("greeter.yml", "--commit", "greeter=v1.0", "--url", f"greeter={greeter}", "--json")
    clean = project.gbuild(*words).answer
    state = _before(clean)
    (cached,) = (project.root / "cache" / "greeter").iterdir()
    evil = project.root / "evil.c"
    evil.write_text('const char *greeting(void) { return "evil"; }\n')
    subprocess.run(["cc", "-c", evil, "-o", cached], check=True)

    poisoned = project.gbuild(*words).answer
    assert poisoned["artifacts"] != clean["artifacts"]
    assert _before(poisoned) != state
    without = project.gbuild(*words, "--no-cache").answer
    assert without["artifacts"] == clean["artifacts"]
    assert "cache_package_manifest: ''" in (
        project.root / "result" / "greeter-res.yml"
    ).read_text().replace('""', "''")


@pytest.fixture
def own_debian(project: Project, store: Path) -> Project:
    """A project that resolves its packages from an archive of our own.

    A person with this descriptor takes what today's pockets have: there a test cannot leave out
    those that change every day.
    """
    folder = project.root / "elsewhere"
    folder.mkdir()
    shutil.copy(DESCRIPTORS / "gitian-classic.yml", folder)
    words = ("--no-image", "gitian-classic.yml", *RELEASES_ONLY)
    project.commands.run("glock", *words, cwd=folder)
    path = folder / "gitian-classic.lock"
    environment = read_lock(path.read_bytes(), path=str(path)).environments[0]
    told = serve(folder, environment, Store(store), distro="debian", suite="bookworm")
    return replace(project, commands=replace(project.commands, environment=told))


@pytest.mark.slow
def test_a_pure_gitian_descriptor(own_debian: Project, hello_tarball: Path) -> None:
    project = own_debian
    shutil.copy(DESCRIPTORS / "gitian-classic.yml", project.root)
    ended = project.gbuild("gitian-classic.yml", code=4)
    assert "hello_2.10.orig.tar.gz" in ended.stderr
    inputs = project.root / "inputs"
    inputs.mkdir(exist_ok=True)
    shutil.copy(hello_tarball, inputs / "hello_2.10.orig.tar.gz")
    ended = project.gbuild("gitian-classic.yml")
    assert "does not say whether its script needs the network" in ended.stderr
    assert "hello-classic.lock" in ended.stderr
    assert (project.root / "result" / "hello-classic.lock").exists()
    assert (project.root / "build" / "out" / "hello-linux64.zip").exists()
    first = (project.root / "result" / "hello-classic-res.yml").read_bytes()
    for suffix in (".lock", ".lock.proof"):
        kept = project.root / "result" / f"hello-classic{suffix}"
        kept.rename(project.root / f"gitian-classic{suffix}")
    ended = project.gbuild("gitian-classic.yml", "--offline", "--resume")
    assert (project.root / "result" / "hello-classic-res.yml").read_bytes() == first
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    assert [one for one in warnings if "limits that this host cannot hold" not in one] == []
