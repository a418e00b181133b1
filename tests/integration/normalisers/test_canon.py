"""The normalisers, run as a target runs them: one content, one spelling, and nothing escapes."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gbuild.engine.normalise import normalisers

FOLDER = Path(normalisers()[0].path).parent
EPOCH = "1700000000"


@pytest.fixture
def canon(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a normaliser in a folder of its own; it leaves nothing behind, there or elsewhere."""

    def run(
        program: str,
        *words: str | Path,
        code: int = 0,
        data: bytes = b"",
        umask: int = 0o022,
        **environment: str,
    ) -> subprocess.CompletedProcess[bytes]:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        path = f"{FOLDER}:/usr/bin:/bin"
        given = {"PATH": path, "TMPDIR": str(scratch), "SOURCE_DATE_EPOCH": EPOCH} | environment
        done = subprocess.run(
            [FOLDER / f"canon-{program}", *words],
            env={key: value for key, value in given.items() if value},
            cwd=tmp_path,
            input=data,
            capture_output=True,
            umask=umask,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert list(scratch.iterdir()) == []
        assert not list(tmp_path.glob(".canon*"))
        return done

    return run


Canon = Callable[..., subprocess.CompletedProcess[bytes]]


def tar_of(*members: tuple[str, dict[str, Any], bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, fields, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


LINK = {"type": tarfile.SYMTYPE, "linkname": "b"}
HARD = {"type": tarfile.LNKTYPE}


def test_the_programs_are_clean_shell() -> None:
    programs = [one.path for one in normalisers()]
    assert len(programs) == 5
    subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", *programs], check=True)


def test_tars_of_one_content_become_one(canon: Canon, tmp_path: Path) -> None:
    folder = {"type": tarfile.DIRTYPE, "mode": 0o755}
    first = tar_of(
        ("t", folder, b""),
        ("t/b", {"mtime": 5, "uid": 7, "uname": "me"}, b"data"),
        ("t/h", {**HARD, "linkname": "t/b"}, b""),
        ("t/-x\nodd \xff", {"mode": 0o664}, b""),
        ("t/l", LINK, b""),
    )
    second = tar_of(
        ("./t/l", {**LINK, "mtime": 9}, b""),
        ("./t/h", {"mode": 0o600}, b"data"),
        ("./t/-x\nodd \xff", {}, b"the last one counts"),
        ("./t/-x\nodd \xff", {}, b""),
        ("./t/b", {**HARD, "linkname": "./t/h"}, b""),
        ("./t", {**folder, "mode": 0o700, "mtime": 1}, b""),
        kind=tarfile.PAX_FORMAT,
    )
    made = canon("tar", data=first).stdout
    assert canon("tar", data=second, umask=0o077, LC_ALL="C.UTF-8", TZ="XXX-5").stdout == made
    assert canon("tar", data=made).stdout == made
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        found = [(m.name, m.mode, m.mtime, m.uid, m.linkname) for m in archive if not m.issym()]
    assert found == [
        ("t", 0o755, int(EPOCH), 0, ""),
        ("t/-x\nodd \xff", 0o644, int(EPOCH), 0, ""),
        ("t/b", 0o644, int(EPOCH), 0, ""),
        ("t/h", 0o644, int(EPOCH), 0, "t/b"),
    ]
    path = tmp_path / "-x.tgz"
    path.write_bytes(gzip.compress(second, 1, mtime=3))
    path.chmod(0o640)
    canon("tar", "-x.tgz")
    assert gzip.decompress(path.read_bytes()) == made
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime) == (0o640, int(EPOCH))
    assert canon("tar", data=gzip.compress(first)).stdout == path.read_bytes()


@pytest.mark.parametrize(
    "members",
    [
        [("/abs", {}, b"x")],
        [("../up", {}, b"x")],
        [("a/../../up", {}, b"x")],
        [("a", {"type": tarfile.SYMTYPE, "linkname": ".."}, b""), ("a/../x", {}, b"x")],
    ],
)
def test_a_tar_whose_members_lie_outside_is_refused(canon: Canon, members: Any) -> None:
    assert b"would lie outside" in canon("tar", data=tar_of(*members), code=1).stderr


def test_a_tar_cannot_write_through_its_links(canon: Canon, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    through = tar_of(
        ("a", {"type": tarfile.SYMTYPE, "linkname": str(target)}, b""), ("a/x", {}, b"x")
    )
    canon("tar", data=through, code=1)
    hard = {**HARD, "linkname": str(tmp_path / "secret")}
    (tmp_path / "secret").write_text("secret")
    canon("tar", data=tar_of(("a", hard, b"")), code=1)
    assert list(target.iterdir()) == []


def test_gzip_files_of_one_content_become_one(canon: Canon, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"data" * 99, 1, mtime=5))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"data" * 9) + gzip.compress(b"data" * 90))
    canon("gzip", "a.gz", "b.gz")
    made = (tmp_path / "a.gz").read_bytes()
    assert made == (tmp_path / "b.gz").read_bytes() == canon("gzip", data=made).stdout
    assert (made[3], made[4:8]) == (0, b"\0\0\0\0")
    assert gzip.decompress(made) == b"data" * 99


def ar_of(*members: tuple[str, bytes], date: int = 9, mode: int = 0o100600) -> bytes:
    found = b"!<arch>\n"
    for name, data in members:
        head = f"{name:16}{date:<12}{date:<6}{date:<6}{mode:<8o}{len(data):<10}`\n"
        found += head.encode() + data + (b"x" if len(data) % 2 else b"")
    return found


def test_ar_archives_of_one_content_become_one(canon: Canon) -> None:
    members = [("/", b"\0" * 4), ("//", b"a_long_name.o/\n"), ("x.o/", b"1"), ("x.o/", b"22")]
    made = canon("ar", data=ar_of(*members)).stdout
    assert canon("ar", data=ar_of(*members, date=77, mode=0o100644)).stdout == made
    assert canon("ar", data=made).stdout == made
    assert canon("ar", data=ar_of(*reversed(members))).stdout != made
    assert made.count(f"x.o/            {EPOCH}  0     0     100644  ".encode()) == 2


def zip_of(path: Path, *members: tuple[str, bytes], mode: int = 0o100644, year: int = 1999) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = str(year).encode()
        for name, data in members:
            info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def test_zip_files_of_one_content_become_one(canon: Canon, tmp_path: Path) -> None:
    members = [("b/\xe4 odd", b"2"), ("META-INF/MANIFEST.MF", b"1"), ("a", b"3"), ("b/", b"")]
    first = zip_of(tmp_path / "a.zip", *members)
    second = zip_of(tmp_path / "b.zip", *reversed(members), mode=0o100664, year=2020)
    canon("zip", first.name, second.name, umask=0o077)
    made = first.read_bytes()
    assert made == second.read_bytes() == canon("zip", data=made).stdout
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["META-INF/MANIFEST.MF", "a", "b/", "b/\xe4 odd"]
        assert {one.date_time for one in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}


def test_a_link_in_a_zip_stays_a_link_and_leads_nowhere(canon: Canon, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a", str(tmp_path).encode()), mode=0o120777)
    zip_of(tmp_path / "b.zip", ("../../b", b"x"))
    canon("zip", "a.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].external_attr >> 16 == 0o120777
    before = (tmp_path / "b.zip").read_bytes()
    assert b"would lie outside" in canon("zip", "b.zip", code=1).stderr
    assert (tmp_path / "b.zip").read_bytes() == before


def test_a_large_zip_is_not_held_in_memory(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("zeros", bytes(64 << 20)))
    limited = f'ulimit -d 32768; exec "{FOLDER}/canon-zip" a.zip'
    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(["sh", "-c", limited], cwd=tmp_path, env=environment, check=True)
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].file_size == 64 << 20


@pytest.mark.parametrize("program", ["tar", "zip", "gzip", "ar"])
def test_what_is_no_archive_or_half_of_one_fails_in_one_line_and_stays(
    canon: Canon, tmp_path: Path, program: str
) -> None:
    whole = {
        "tar": tar_of(("a", {}, os.urandom(30_000))),
        "zip": zip_of(tmp_path / "w.zip", ("a", os.urandom(30_000))).read_bytes(),
        "gzip": gzip.compress(os.urandom(30_000)),
        "ar": ar_of(("a", os.urandom(30_000))),
    }[program]
    bad = tmp_path / "bad"
    for data in (b"junk" * 300, whole[:20_000]):
        bad.write_bytes(data)
        said = canon(program, "bad", code=1).stderr
        assert said.startswith(f"canon-{program}: ".encode())
        assert said.count(b"\n") == 1, said
        assert bad.read_bytes() == data


@pytest.mark.root
def test_a_tar_of_more_files_than_there_is_room_for_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing can be made any more then, no mark of a failure either."""
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*((f"{number}", {}, b"") for number in range(100))))
    before = path.read_bytes()
    (tmp_path / "scratch").mkdir()
    limited = (
        "mount -t tmpfs -o nr_inodes=50 small scratch && "
        f'TMPDIR="$PWD/scratch" "{FOLDER}/canon-tar" a.tar; echo $?'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", limited],
        cwd=tmp_path,
        env={"PATH": f"{FOLDER}:/usr/sbin:/usr/bin:/bin", "SOURCE_DATE_EPOCH": EPOCH},
        capture_output=True,
        check=True,
    )
    assert path.read_bytes() == before
    assert done.stdout.split()[0] == b"1"
    assert done.stderr.startswith(b"canon-tar: its members cannot be unpacked here: tar: ")
    assert b"No space left" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_sparse_tar_that_claims_more_than_any_target_gives_is_refused_at_once(
    canon: Canon, tmp_path: Path
) -> None:
    with (tmp_path / "hole").open("wb") as stream:
        stream.truncate(1 << 40)
    subprocess.run(["tar", "-cSf", "a.tar", "hole"], cwd=tmp_path, check=True)
    before = (tmp_path / "a.tar").read_bytes()
    assert len(before) < 1 << 20
    said = canon("tar", "a.tar", code=1).stderr
    assert re.fullmatch(rb"canon-tar: its members claim 102[45] GiB in all, .*\n", said)
    assert (tmp_path / "a.tar").read_bytes() == before
    with (tmp_path / "hole").open("wb") as stream:
        stream.truncate(1 << 24)
    subprocess.run(["tar", "-cSf", "a.tar", "hole"], cwd=tmp_path, check=True)
    canon("tar", "a.tar")
    assert (tmp_path / "a.tar").stat().st_size > 1 << 24


def test_the_time_is_the_references_or_nothing_is_done(canon: Canon) -> None:
    data = tar_of(("a", {}, b""))
    by_epoch = canon("tar", data=data).stdout
    given = {"SOURCE_DATE_EPOCH": "", "REFERENCE_DATETIME": "2023-11-14 22:13:20", "TZ": "XXX-9"}
    assert canon("tar", data=data, **given).stdout == by_epoch
    said = canon("tar", data=data, SOURCE_DATE_EPOCH="", code=1).stderr
    assert b"neither SOURCE_DATE_EPOCH nor REFERENCE_DATETIME" in said
    assert canon("tar", data=data, SOURCE_DATE_EPOCH="1e9", code=1).stdout == b""


def test_a_missing_program_is_named_with_its_package(canon: Canon, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("sh", "date", "mktemp", "chmod", "rm", "cat"):
        (few / name).symlink_to(f"/usr/bin/{name}")
    said = canon("zip", "x", PATH=f"{FOLDER}:{few}", code=1).stderr
    assert (
        said
        == b"canon-zip: the target has no python3: add python3 to the packages of the descriptor\n"
    )
