"""gget: enough persons must agree before anything is in place."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from tests.integration.inputs.conftest import Site

from gbuild.errors import AnswerIsNo, HostFailure, Untrusted, UsageFailure, WrongHash
from gbuild.formats.gget_state import Damaged
from gbuild.host.foreign import Refused
from gbuild.model.policy import Policy
from gbuild.model.verdict import Outcome
from gbuild.verify.policy import default_policy

from .project import FILES, START, Project, Signer

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/reference/schemas/gget.schema.json").read_text())


def gget(project: Project, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command itself."""
    return subprocess.run(
        [sys.executable, "-m", "gbuild.cli.gget", *words],
        cwd=project.root,
        env={"PATH": os.environ["PATH"], "HOME": str(project.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_what_enough_persons_signed_is_put_in_place_whole(project: Project) -> None:
    project.release()
    result = project.get()
    assert result.state == "fetched"
    assert project.got() == FILES
    assert result.sizes == {path: len(data) for path, data in FILES.items()}
    assert [stat.S_IMODE(p.stat().st_mode) for p in project.destination.rglob("*")] == [
        0o755, 0o755, 0o644, 0o644
    ]  # fmt: skip
    assert project.left_over() == []
    (memory,) = project.state.glob("*.json")
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600


def test_a_second_run_changes_nothing(project: Project) -> None:
    project.release()
    project.get()
    before = (project.destination / "1.0").stat()
    assert project.get().state == "present"
    assert (project.destination / "1.0").stat().st_ino == before.st_ino


@pytest.mark.parametrize(("by", "persons"), [(("alice",), 2), (("alice", "bob"), 3)])
def test_too_few_fetch_nothing(project: Project, by: tuple[str, ...], persons: int) -> None:
    project.release(by=by)
    result = project.get(persons=persons)
    assert result.state == "refused"
    assert result.agreement.verdicts[0].outcome is Outcome.UNTRUSTED
    assert not project.destination.exists()


def test_signers_who_differ_fetch_nothing(project: Project) -> None:
    project.release()
    project.release(files={"hello.tar.gz": b"another"}, by=("carol",))
    result = project.get()
    assert result.agreement.verdicts[0].outcome is Outcome.MISMATCH
    assert not project.destination.exists()


def test_only_some_files_are_judged_and_fetched(project: Project) -> None:
    project.release(files={**FILES, "hello.exe": b"one"})
    project.release(files={**FILES, "hello.exe": b"other"}, by=("carol",))
    assert project.get().state == "refused"
    assert project.get(only=("*.tar.gz",)).state == "fetched"
    assert project.got() == FILES


def test_a_file_that_is_not_what_was_signed_stays_out(project: Project) -> None:
    project.release()
    (project.out / "hello.tar.gz").write_bytes(b"replaced")
    with pytest.raises(WrongHash, match="not the file that was signed"):
        project.get()
    assert project.got() == {}


def test_files_may_lie_flat_and_in_several_places(project: Project) -> None:
    project.release()
    other = project.root / "other"
    other.mkdir()
    flat = {"hello.tar.gz": b"three", "src/notes.txt": b"notes"}
    project.release("1.1", flat)
    (project.out / "src/notes.txt").rename(other / "notes.txt")
    assert project.get(project.out, other, release="1.1").state == "fetched"
    assert project.got("1.1") == flat


def test_two_files_with_the_same_bytes(project: Project) -> None:
    same = {"a": b"same", "b/c": b"same"}
    project.release(files=same)
    project.get()
    assert project.got() == same


def test_a_link_among_the_sources_is_not_followed(project: Project) -> None:
    project.release(files={"a": b"secret"})
    (project.root / "secret").write_bytes(b"secret")
    (project.out / "a").unlink()
    (project.out / "a").symlink_to(project.root / "secret")
    with pytest.raises(Exception, match="could not be fetched") as caught:
        project.get()
    assert any("symbolic link" in line for line in caught.value.details)  # type: ignore[attr-defined]


def test_other_files_in_the_way_are_left_alone(project: Project) -> None:
    project.release()
    mine = project.destination / "1.0" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(HostFailure, match="there already") as caught:
        project.get()
    assert "mine: not of this release" in caught.value.details
    assert project.got() == {"mine": b"mine"}


def test_a_link_in_the_place_of_the_release_is_not_taken(project: Project) -> None:
    """What lies behind it is right today; nobody knows about tomorrow."""
    project.release()
    project.get(destination=project.root / "elsewhere")
    project.destination.mkdir()
    (project.destination / "1.0").symlink_to(project.root / "elsewhere/1.0")
    with pytest.raises(HostFailure, match=r"1\.0 is a symbolic link"):
        project.get()


def test_a_staging_folder_that_is_a_link_is_refused(project: Project) -> None:
    project.release()
    project.destination.mkdir()
    (project.root / "elsewhere").mkdir()
    (project.destination / ".gget-1.0").symlink_to(project.root / "elsewhere")
    with pytest.raises(HostFailure, match="not made by gget"):
        project.get()
    assert list((project.root / "elsewhere").iterdir()) == []


def test_a_path_that_is_a_file_and_a_folder_is_refused(project: Project) -> None:
    project.release(files={"a/b": b"1"})
    project.sign("1.0", "carol", (project.sigs / "1.0/alice/hello-build.assert").read_bytes())
    (project.out / "a/b").unlink()
    (project.out / "a").rmdir()
    project.release(files={"a": b"1"}, name="other")
    with pytest.raises(UsageFailure, match="both a file and a folder"):
        project.get()
    assert not project.destination.exists()


def test_a_path_that_leaves_its_folder_is_no_entry(project: Project) -> None:
    project.release(files={"a": b"1"})
    entry = project.sigs / "1.0/alice/hello-build.assert"
    bad = entry.read_bytes().replace(b"  a\n", b"  ../a\n")
    for signer in ("alice", "bob"):
        project.sign("1.0", signer, bad)
    result = project.get()
    assert result.state == "refused"
    assert not (project.root / "a").exists()


def test_names_that_windows_does_not_have_are_said(project: Project) -> None:
    project.release(files={"aux.txt": b"1", "plain": b"2"})
    assert project.get().state == "fetched"
    (warning,) = [event.text for event in project.told if event.kind == "warning"]
    assert warning == "aux.txt: 'aux.txt' is no name on Windows"


def test_two_packages_may_not_have_one_file_of_different_bytes(project: Project) -> None:
    project.release(files={"a": b"1"})
    project.release(files={"a": b"2"}, name="other")
    with pytest.raises(AnswerIsNo, match="two packages"):
        project.get()
    assert project.get(package="other").state == "fetched"
    assert project.got() == {"a": b"2"}


def test_a_release_that_nobody_signed(project: Project) -> None:
    project.release()
    with pytest.raises(Untrusted, match=r"nobody has signed release 2\.0") as caught:
        project.get(release="2.0")
    assert caught.value.details == ("releases there: 1.0",)


def test_a_destination_that_cannot_be_had(project: Project) -> None:
    project.release()
    (project.root / "file").write_text("")
    with pytest.raises(HostFailure, match="no release can be put in"):
        project.get(destination=project.root / "file")
    with pytest.raises(UsageFailure, match="there is no folder"):
        project.get(destination=project.root / "not/there")


# Memory.


def test_an_old_tree_served_again_is_refused(project: Project) -> None:
    project.release()
    old = project.archive()
    project.release("1.1", {"hello.tar.gz": b"new"})
    assert project.get(release="1.1").state == "fetched"
    _replace(project, old)
    with pytest.raises(Untrusted, match="it may be an old one") as caught:
        project.get(release="1.0", allow_older=True)
    assert "1.1" in caught.value.details[0]


def test_a_signature_that_counted_may_not_vanish(project: Project) -> None:
    project.release(by=("alice", "bob", "carol"))
    project.get()
    for file in (project.sigs / "1.0/carol").iterdir():
        file.unlink()
    with pytest.raises(Untrusted, match="gone or changed"):
        project.get()


def test_a_stranger_cannot_make_honest_trees_look_old(
    project: Project, signers: dict[str, Signer]
) -> None:
    project.release()
    mallory = project.sigs / "1.0" / "mallory"
    mallory.mkdir()
    for name in ("hello-build.assert", "hello-build.assert.sig"):
        (mallory / name).write_bytes((project.sigs / "1.0/alice" / name).read_bytes())
    document = (mallory / "hello-build.assert").read_bytes()
    signature = signers["carol"].person.sign(document, signers["carol"].key)
    (mallory / "hello-build.assert.sig").write_bytes(signature)
    assert project.get().state == "fetched"
    for file in mallory.iterdir():
        file.unlink()
    mallory.rmdir()
    assert project.get().state == "present"


def test_a_downgrade_is_refused(project: Project) -> None:
    project.release("1.9")
    project.release("1.10")
    project.get(release="1.10")
    with pytest.raises(Untrusted, match=r"1\.9 is older than 1\.10"):
        project.get(release="1.9")
    assert not (project.destination / "1.9").exists()
    assert project.get(release="1.9", allow_older=True).state == "fetched"


def test_names_that_tell_no_order_are_said(project: Project) -> None:
    project.release("spring")
    project.release("autumn")
    project.get(release="spring")
    assert project.get(release="autumn").state == "fetched"
    assert any("nobody can tell" in event.text for event in project.told)


def test_a_project_is_remembered_wherever_its_tree_lies(project: Project) -> None:
    project.release("1.0")
    project.release("1.1")
    project.get(release="1.1", project="hello")
    project.sigs.rename(project.root / "moved")
    moved = str(project.root / "moved")
    with pytest.raises(Untrusted, match="older"):
        project.get(signatures=moved, project="hello")


def test_a_damaged_memory_is_not_forgotten(project: Project) -> None:
    project.release()
    project.get()
    (memory,) = project.state.glob("*.json")
    memory.write_bytes(memory.read_bytes()[:40])
    with pytest.raises(Damaged, match="cannot be read"):
        project.get()


def test_a_memory_that_cannot_be_kept_stops_all(project: Project) -> None:
    project.release()
    project.state.write_text("a file where the folder should be")
    with pytest.raises(HostFailure, match="cannot be remembered"):
        project.get()
    assert not project.destination.exists()


def test_a_waiting_period_runs_from_the_first_sight(project: Project) -> None:
    project.release()
    policy = _patient(days=3)
    with pytest.raises(Untrusted, match="not known for long enough") as caught:
        project.get(policy=policy)
    assert "72 hours" in caught.value.details[0]
    assert not project.destination.exists()
    with pytest.raises(Untrusted):
        project.get(policy=policy, now=START + 3 * 86_400 - 1)
    assert project.get(policy=policy, now=START + 3 * 86_400).state == "fetched"


def test_a_fresh_contradiction_is_heard_during_the_wait(project: Project) -> None:
    project.release()
    policy = _patient(days=3)
    with pytest.raises(Untrusted):
        project.get(policy=policy)
    project.release(files={"hello.tar.gz": b"another"}, by=("carol",))
    result = project.get(policy=policy, now=START + 4 * 86_400)
    assert result.agreement.verdicts[0].outcome is Outcome.MISMATCH


def test_a_dry_run_changes_nothing(project: Project) -> None:
    project.release()
    result = project.get(dry_run=True)
    assert result.state == "dry-run"
    assert list(result.agreement.files) == sorted(FILES)
    assert not project.destination.exists()
    assert not project.state.exists()


# Trees.


def test_a_tree_at_a_commit_of_a_repository(project: Project) -> None:
    project.release(by=("alice", "bob"))
    _git(project.sigs, "init", "--quiet")
    _git(project.sigs, "add", ".")
    _git(project.sigs, "commit", "--quiet", "-m", "Add 1.0")
    commit = _git(project.sigs, "rev-parse", "HEAD").strip()
    (project.sigs / "1.0/bob/hello-build.assert").unlink()
    assert project.get().state == "refused"
    assert project.get(commit=commit).state == "fetched"
    with pytest.raises(UsageFailure, match="no commit"):
        project.get(commit="f" * 40)


def test_a_tree_from_the_web_needs_keys_of_ones_own(project: Project, site: Site) -> None:
    project.release()
    address = site.serve("/sigs.tar.gz", project.archive())
    with pytest.raises(UsageFailure, match="cannot say itself whose keys count"):
        project.get(signatures=address)
    assert project.get(signatures=address, keys=(project.keys,)).state == "fetched"


def test_an_archive_that_unpacks_without_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gbuild.host.tarball.MAX_UNPACKED", 1 << 20)
    file = project.root / "bomb.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        _member(archive, "1.0/alice/a", b"\0" * (2 << 20))
    with pytest.raises(Refused, match="holds more than 1 MiB"):
        project.get(signatures=str(file))


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "1.0/a\nb", "1.0/.git/config", "a\\b", "y" * 256]
)
def test_an_archive_with_an_odd_name(project: Project, name: str) -> None:
    file = project.root / "odd.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        _member(archive, name, b"x")
    with pytest.raises(Refused, match="a name that is not taken"):
        project.get(signatures=str(file))


@pytest.mark.parametrize(("number", "length"), [(3000, 10), (1, 2 << 20)])
def test_an_archive_with_endless_headers(project: Project, number: int, length: int) -> None:
    """Each would be read into memory, or into the one before it."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, length
    header = info.tobuf(tarfile.GNU_FORMAT) + b"n" * length + b"\0" * (-length % 512)
    file = project.root / "headers.tar.gz"
    file.write_bytes(gzip.compress(header * number, 1))
    with pytest.raises(Refused, match="that can be read"):
        project.get(signatures=str(file))


def test_an_archive_with_links_and_devices(project: Project) -> None:
    project.release()
    file = project.root / "links.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(project.sigs, arcname=".")
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"1.0/odd{kind.decode()}/hello-build.assert")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert project.get(signatures=str(file)).state == "fetched"


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b\x08\x00", b"<html>"])
def test_an_archive_that_is_none(project: Project, data: bytes) -> None:
    file = project.root / "none.tar.gz"
    file.write_bytes(data)
    with pytest.raises((Refused, Untrusted)):
        project.get(signatures=str(file))


# The command.


def test_the_command_answers_in_text_and_json(project: Project) -> None:
    project.release()
    done = gget(project, "-r", "1.0", "-s", "sigs", "out", "-d", "got", "--persons", "2", "--json")
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert (done.returncode, answer["state"]) == (0, "fetched")
    again = gget(project, "-r", "1.0", "-s", "sigs", "out", "-d", "got")
    assert again.returncode == 0
    assert "GOOD: everybody who counts signed the same files" in again.stdout
    assert again.stdout.endswith(
        "2 files: all of them are in " + f"{project.root}/got/1.0 already\n"
    )


def test_the_exit_codes_are_those_of_gverify(project: Project) -> None:
    project.release()
    words = ("-r", "1.0", "-s", "sigs", "out", "-d", "got")
    assert gget(project, *words, "--persons", "3").returncode == 8
    (project.out / "hello.tar.gz").write_bytes(b"replaced")
    wrong = gget(project, *words)
    assert wrong.returncode == 4
    assert "hello.tar.gz is not the file that was signed" in wrong.stderr
    project.release(files={"hello.tar.gz": b"another"}, by=("carol",))
    differ = gget(project, *words, "--json")
    assert differ.returncode == 1
    jsonschema.validate(json.loads(differ.stdout), SCHEMA)
    assert json.loads(differ.stdout)["state"] == "refused"
    assert gget(project, "-r", "1.0", "-s", "sigs", "ftp://x/", "-d", "got").returncode == 2


def test_a_download_config_of_gitian(project: Project, signers: Mapping[str, Signer]) -> None:
    """Keys lie beside the config, under its names; the tree's own do not matter."""
    project.release(by=("alice", "bob"))
    shutil.rmtree(project.sigs / "builder-keys")
    folder = project.root / "downloader"
    folder.mkdir()
    lines = [f"name: hello\nurls:\n- file://{project.out}\nsigners:"]
    for name, weight in (("alice", 40), ("bob", 40), ("carol", 40)):
        (folder / f"{name}-key.pgp").write_bytes(signers[name].armored)
        lines.append(f"  {signers[name].key}:\n    weight: {weight}\n    name: {name}")
        lines.append(f"    key: {name}")
    config = folder / "linux-download-config"
    words = ("-r", "1.0", "-s", "sigs", "-d", "got", "-c", str(config))
    config.write_text("\n".join([*lines, "minimum_weight: 120\n"]))
    few = gget(project, *words)
    assert few.returncode == 8
    assert "needed: a weight of 120 from alice (40), bob (40), carol (40)" in few.stdout
    config.write_text("\n".join([*lines, "minimum_weight: 80\n"]))
    done = gget(project, *words)
    assert (done.returncode, project.got()) == (0, FILES), done.stderr


def test_names_from_a_tree_are_escaped(project: Project) -> None:
    project.release()
    evil = project.sigs / "1.0" / "x\033[2J\033]0;evil\a"
    evil.mkdir()
    (evil / "hello-build.assert").write_bytes(b"\033[31m")
    done = gget(project, "-r", "1.0", "-s", "sigs", "out", "-d", "got")
    assert done.returncode == 8
    assert "\033" not in done.stdout + done.stderr


def _patient(*, days: int) -> Policy:
    return replace(default_policy(persons=2), minimum_age=days * 86_400)


def _replace(project: Project, archive: bytes) -> None:
    shutil.rmtree(project.sigs)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(project.root / "unpacked")  # noqa: S202 - our own
    (project.root / "unpacked/hello.sigs-main").rename(project.sigs)


def _member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True
    ).stdout
