"""What a build made may be hostile: it is unknown then, and nothing stops or grows."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import pytest

from gbuild.check.compare import because, compare, compare_reports
from gbuild.check.diagnose.apart import diagnose_apart
from gbuild.check.diagnose.containers import opened
from gbuild.check.diagnose.diagnosis import Known, diagnose
from gbuild.check.diagnose.walk import MOST
from gbuild.model.manifest import Report
from gbuild.ui import comparison_text
from gbuild.ui.escape import line

from .pairs import elf

BACKWARDS = b"!<arch>\n" + f"{'a/':16}{0:<12}{0:<6}{0:<6}{'644':8}{-60:<10}`\n".encode()


def _sparse() -> bytes:
    """A member of a few bytes that claims four gigabytes (tar(5), GNU.sparse)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"GNU.sparse.size": "4000000000", "GNU.sparse.map": "0,1"}
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    return out.getvalue()


def _dated(when: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"mtime": when}
        tar.addfile(info)
    return out.getvalue()


def _overlapping() -> bytes:
    """An ELF file with many sections that are each the whole file."""
    data = bytearray(elf(text=b"\x90" * 64))
    (table,) = struct.unpack_from("<Q", data, 40)
    for number in (1, 2):
        struct.pack_into("<QQ", data, table + 64 * number + 24, 0, len(data))
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [BACKWARDS, elf()[:64], _sparse(), _dated("inf"), _overlapping()],
    ids=["ar", "elf without sections", "sparse", "date", "overlapping"],
)
def test_a_container_that_lies_is_looked_at_as_bytes(data: bytes) -> None:
    assert opened(data) is None
    found = diagnose("f", data + b"\0\1\2", data + b"\3\4\5")
    assert (found.traces, found.unknown) == ((), True)


def test_many_empty_members_of_gzip_are_unpacked_at_once() -> None:
    found = opened(gzip.compress(b"", mtime=0) * 40_000 + gzip.compress(b"x", mtime=0))
    assert found is not None
    assert found.members[0].data == b"x"


def test_long_texts_with_many_lines_alike_are_compared() -> None:
    one, two = ("".join(f"{side}{n}\n\n" for n in range(4_000)) for side in "ab")
    assert diagnose("f", one.encode(), two.encode()).unknown


def test_what_comes_after_the_last_difference_looked_at_is_unknown() -> None:
    one, two = ("".join(f"{n} {y}-01-02 03:04:05\n" for n in range(MOST + 9)) for y in (2026, 2027))
    found = diagnose("f", one.encode(), two.encode())
    assert {trace.cause for trace in found.traces} == {"timestamp"}
    assert found.unknown


def test_files_are_diagnosed_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("by x on gitian;")
    (tmp_path / "b").write_text("by x on far.example;")
    known = (Known("hostname", "gitian", "far.example"),)
    found = diagnose_apart(tmp_path / "a", tmp_path / "b", name="f", known=known)
    assert [trace.cause for trace in found.traces] == ["hostname"]
    assert not found.unknown
    gone = diagnose_apart(tmp_path / "a", tmp_path / "missing", name="f")
    assert (gone.traces, gone.unknown) == ((), True)


def test_links_that_are_given_are_followed(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "out.bin").write_text(side)
        (tmp_path / side / "latest").symlink_to("out.bin")
    assert not compare(tmp_path / "a/latest", tmp_path / "b/latest").same
    assert compare(tmp_path / "a/latest", tmp_path / "a/out.bin").same


def test_packages_that_only_one_side_tells_of_are_not_the_same() -> None:
    def report(out: str, **base: str) -> Report:
        return Report(out_manifest=f"{out * 64}  p\n", in_manifest="", base_manifests=base)

    apart = compare_reports("x", report("0", one="a"), "y", report("1", two="b"))
    assert because(apart) == ("2 packages that only one has, or with other bytes",)
    silent = compare_reports("x", report("0"), "y", report("1"))
    assert because(silent) == ()


def test_a_name_cannot_forge_a_line(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
    (tmp_path / "a" / "x\nall the same").write_text("")
    told = [line(one) for one in comparison_text.lines(compare(tmp_path / "a", tmp_path / "b"))]
    assert r"only in A  x\nall the same" in told[-1]
    assert not any("\n" in one for one in told)
