"""Trees as tar streams: what we send is plain, and what we receive cannot reach outside."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbuild.errors import BackendFailure, GbuildError, HostFailure, UsageFailure
from gbuild.target.receive_tree import TreeLimits, receive_tree
from gbuild.target.send_tree import TreeEntry, file_entries, send_tree, tree_entries
from gbuild.target.tar_reader import TreeRefused

DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pieces(data: bytes, size: int = 700) -> Callable[[], bytes]:
    stream = io.BytesIO(data)
    return lambda: stream.read(size)


def unpack(
    data: bytes, dest: Path, *, limits: TreeLimits | None = None, size: int = 700
) -> list[str]:
    warnings: list[str] = []
    receive_tree(
        pieces(data, size),
        dest,
        limits=limits or TreeLimits(),
        finish=lambda: None,
        warn=warnings.append,
    )
    return warnings


def sent(entries: Iterator[TreeEntry], mtime: int = 0) -> bytes:
    out = io.BytesIO()
    send_tree(entries, lambda data: out.write(data) >= 0, mtime=mtime)
    return out.getvalue()


def listing(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


@pytest.fixture
def dest(tmp_path: Path) -> Iterator[Path]:
    """A folder to be made; afterwards nothing lies beside it."""
    above = tmp_path / "above"
    above.mkdir()
    yield above / "out"
    assert {path.name for path in above.iterdir()} <= {"out"}


class TestReceive:
    @pytest.mark.parametrize("size", [1, 512, 700, 1 << 20])
    def test_files_folders_and_links_arrive(self, dest: Path, size: int) -> None:
        data = tar(
            member("./", type=DIRECTORY),
            member("./bin/", type=DIRECTORY, mode=0o2777),
            member("./bin/tool", b"#!" * 700, mode=0o6751),
            member("./share/deep/empty", mode=0o640),
            member("./share/" + "n" * 120, b"long"),
            member("./lib", type=LINK, linkname="share/deep"),
            member("./bin/up", type=LINK, linkname="../share/deep/empty"),
        )
        assert unpack(data, dest, size=size) == []
        assert listing(dest) == {
            "bin": None,
            "bin/tool": b"#!" * 700,
            "bin/up": "../share/deep/empty",
            "lib": "share/deep",
            "share": None,
            "share/deep": None,
            "share/deep/empty": b"",
            "share/" + "n" * 120: b"long",
        }

    def test_modes_are_reduced_to_two(self, dest: Path) -> None:
        data = tar(
            member("./d/", type=DIRECTORY, mode=0o7777),
            member("./d/x", mode=0o6711),
            member("./d/r", mode=0o4666),
            member("./d/n", mode=0),
        )
        before = os.umask(0o077)
        try:
            unpack(data, dest)
        finally:
            os.umask(before)
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (dest, *dest.rglob("*"))}
        assert modes == {"out": 0o755, "d": 0o755, "x": 0o755, "r": 0o644, "n": 0o644}

    @pytest.mark.parametrize(
        ("why", "members"),
        [
            ("hard link", [member("./a"), member("./b", type=HARD, linkname="./a")]),
            ("hard link", [member("./b", type=HARD, linkname="/etc/passwd")]),
            ("named pipe", [member("./p", type=tarfile.FIFOTYPE)]),
            ("character device", [member("./c", type=tarfile.CHRTYPE, devmajor=1, devminor=3)]),
            ("block device", [member("./c", type=tarfile.BLKTYPE)]),
            ("sparse", [member("./s", type=tarfile.GNUTYPE_SPARSE)]),
            ("type", [member("./s", type=b"V")]),
            ("not a name below", [member("/etc/passwd")]),
            ("not a name below", [member("a"), member("/b")]),
            ("not a name below", [member("./../x")]),
            ("not a name below", [member("./a/../../x")]),
            ("not a name below", [member("./a//x")]),
            ("not a name below", [member("./a/./x")]),
            ("not a name below", [member("..")]),
            ("not a name below", [member("", type=DIRECTORY)]),
            ("control character", [member("./a\nb")]),
            ("control character", [member("./\x1b[2J")]),
            ("control character", [member("./a\u2028b")]),
            ("control character", [member("./a\x85b")]),
            ("longer than 255", [member("./" + "é" * 200)]),
            ("more than 100 folders", [member("./" + "d/" * 150 + "x")]),
            ("twice", [member("./a"), member("./a")]),
            ("twice", [member("./a"), member("./a/b")]),
            ("twice", [member("./d/", type=DIRECTORY), member("./d")]),
            ("twice", [member("./a"), member("./a", type=LINK, linkname="b")]),
            ("is no file but has data", [member("./d/", b"x" * 600, type=DIRECTORY)]),
        ],
    )
    def test_what_is_no_honest_tree_is_refused(
        self, dest: Path, why: str, members: list[tuple[tarfile.TarInfo, bytes]]
    ) -> None:
        with pytest.raises(TreeRefused, match=why):
            unpack(tar(*members), dest)

    @pytest.mark.parametrize(
        "target",
        ["/etc/passwd", "../x", "a/../../x", "a/..", "./../x", "d/../..", "", "a\nb", "x" * 300],
    )
    def test_links_that_leave_the_tree_are_refused(self, dest: Path, target: str) -> None:
        with pytest.raises(TreeRefused):
            unpack(tar(member("./link", type=LINK, linkname=target)), dest)

    def test_a_chain_of_links_leads_nowhere_else(self, dest: Path, tmp_path: Path) -> None:
        """Each link alone stays inside; together they would climb."""
        with pytest.raises(TreeRefused, match="link out of the tree"):
            unpack(
                tar(
                    member("./a/b/", type=DIRECTORY),
                    member("./a/b/up", type=LINK, linkname="../.."),
                    member("./out", type=LINK, linkname="a/b/up/../x"),
                ),
                dest,
            )

    def test_nothing_is_written_through_a_link(self, dest: Path, tmp_path: Path) -> None:
        inner = dest.parent / "victim"
        inner.mkdir()
        with pytest.raises(TreeRefused, match="twice"):
            unpack(
                tar(
                    member("./d", type=LINK, linkname="e"),
                    member("./d/file", b"owned"),
                ),
                dest,
            )
        assert list(inner.iterdir()) == []
        inner.rmdir()

    def test_names_that_are_not_utf8_are_refused(self, dest: Path) -> None:
        data = tar(member("./a\udcff"))
        with pytest.raises(TreeRefused, match="not UTF-8"):
            unpack(data, dest)

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT])
    def test_pax_headers_are_refused_whatever_they_say(self, dest: Path, form: int) -> None:
        info, data = member("./a", b"x")
        info.pax_headers = {"comment": "x" * (1 << 20)}
        with pytest.raises(TreeRefused, match="PAX header"):
            unpack(tar((info, data), form=form), dest)

    def test_a_name_of_a_megabyte_is_refused(self, dest: Path) -> None:
        with pytest.raises(TreeRefused, match="a name of"):
            unpack(tar(member("./" + "x" * (1 << 20))), dest)

    def test_too_many_entries_are_refused_early(self, dest: Path) -> None:
        data = tar(*(member(f"./{number}") for number in range(50)))
        with pytest.raises(TreeRefused, match="more than 20 entries"):
            unpack(data, dest, limits=TreeLimits(entries=20))

    def test_too_many_bytes_are_refused_before_they_come(self, dest: Path) -> None:
        header = tar(member("./a", b"x" * 1000))[:512]
        with pytest.raises(TreeRefused, match="more than 999 bytes"):
            unpack(header, dest, limits=TreeLimits(size=999))

    def test_a_size_beyond_all_sizes_is_refused(self, dest: Path) -> None:
        info, _ = member("./a")
        info.size = 1 << 80
        with pytest.raises(TreeRefused, match="beyond all sizes"):
            unpack(info.tobuf(tarfile.GNU_FORMAT), dest)

    @pytest.mark.parametrize(
        "field", [b"-0000000001", b"0000_000001", b"+0000000001", b"00000000009"]
    )
    def test_odd_numbers_are_refused(self, dest: Path, field: bytes) -> None:
        block = bytearray(tar(member("./a"))[:512])
        block[124:136] = field + b"\0"
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        with pytest.raises(TreeRefused, match="has a number"):
            unpack(bytes(block), dest)

    def test_a_damaged_header_is_refused(self, dest: Path) -> None:
        data = bytearray(tar(member("./a")))
        data[0] ^= 1
        with pytest.raises(TreeRefused, match="damaged"):
            unpack(bytes(data), dest)

    def test_data_after_the_end_is_refused(self, dest: Path) -> None:
        with pytest.raises(TreeRefused, match="goes on after its end"):
            unpack(tar(member("./a")) + b"x", dest)

    def test_zeros_without_end_are_refused(self, dest: Path) -> None:
        with pytest.raises(TreeRefused, match="goes on after its end"):
            unpack(tar(member("./a")) + bytes(8 << 20), dest, size=1 << 16)

    def test_a_cut_stream_leaves_nothing(self, dest: Path) -> None:
        data = tar(member("./a", b"x" * 5000), member("./b"))
        for length in (0, 100, 512, 3000, 5632, 6656):
            with pytest.raises(TreeRefused, match="ends in the middle"):
                unpack(data[:length], dest)
            assert not dest.exists()

    def test_the_senders_failure_is_told_instead_of_a_cut_stream(self, dest: Path) -> None:
        def finish() -> None:
            raise BackendFailure("tar ended with status 2")

        with pytest.raises(BackendFailure, match="status 2"):
            receive_tree(pieces(b""), dest, limits=TreeLimits(), finish=finish, warn=print)
        assert not dest.exists()

    def test_names_alike_are_warned_about(self, dest: Path) -> None:
        warnings = unpack(tar(member("./README"), member("./ReadMe"), member("./other")), dest)
        assert warnings == ["'./README' and './ReadMe' are one name on some file systems"]

    def test_composed_and_decomposed_are_alike(self, dest: Path) -> None:
        assert len(unpack(tar(member("./\u00e9"), member("./e\u0301")), dest)) == 1

    def test_an_existing_destination_is_left_alone(self, dest: Path) -> None:
        dest.mkdir()
        with pytest.raises(HostFailure, match="exists already"):
            unpack(tar(member("./a")), dest)
        assert list(dest.iterdir()) == []

    def test_a_missing_parent_is_an_error_of_this_host(self, tmp_path: Path) -> None:
        with pytest.raises(HostFailure, match="cannot write"):
            unpack(tar(member("./a")), tmp_path / "no" / "out")

    @settings(
        max_examples=300,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(at=st.integers(0, 5119), value=st.integers(0, 255))
    def test_any_changed_byte_is_refused_or_stays_inside(
        self, tmp_path_factory: pytest.TempPathFactory, at: int, value: int
    ) -> None:
        """Whatever one byte becomes, the outcome is a whole tree or a clean refusal."""
        data = bytearray(
            tar(
                member("./d/", type=DIRECTORY),
                member("./d/a", b"x" * 700),
                member("./" + "l" * 130, b"y"),
                member("./s", type=LINK, linkname="d/a"),
            )
        )
        data[at % len(data)] = value
        above = tmp_path_factory.mktemp("fuzz")
        try:
            unpack(bytes(data), above / "out")
        except GbuildError:
            assert not (above / "out").exists()
        assert {path.name for path in above.iterdir()} <= {"out"}


class TestSend:
    def test_python_reads_what_we_write(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        (source / "b").mkdir(parents=True)
        (source / "b" / ("n" * 150)).write_bytes(b"long" * 1000)
        (source / "a").write_bytes(b"tool")
        (source / "a").chmod(0o4700)
        (source / "link").symlink_to("x" * 140)
        data = sent(tree_entries(source), mtime=1_500_000_000)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = archive.getmembers()
        assert [(m.name, m.mode, m.type) for m in members] == [
            ("a", 0o755, tarfile.REGTYPE),
            ("b", 0o755, DIRECTORY),
            ("b/" + "n" * 150, 0o644, tarfile.REGTYPE),
            ("link", 0o777, LINK),
        ]
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {
            (0, 0, "", "", 1_500_000_000)
        }
        assert len(data) % 10240 == 0

    def test_what_is_sent_is_received(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        (source / "x" / "y").mkdir(parents=True)
        for size in (0, 1, 511, 512, 513, 300_000):
            (source / "x" / str(size)).write_bytes(os.urandom(size))
        (source / "x" / "y" / "up").symlink_to("../512")
        unpack(sent(tree_entries(source)), tmp_path / "copy")
        assert listing(tmp_path / "copy") == listing(source)

    def test_the_stream_does_not_show_this_host(self, tmp_path: Path) -> None:
        streams = []
        for number, umask in enumerate((0o002, 0o077)):
            before = os.umask(umask)
            try:
                source = tmp_path / f"source{number}"
                names = ["a", "b", "c"] if number else ["c", "b", "a"]
                for name in names:
                    (source / "d").mkdir(parents=True, exist_ok=True)
                    (source / "d" / name).write_text(name)
                    os.utime(source / "d" / name, (number, number))
            finally:
                os.umask(before)
            streams.append(sent(tree_entries(source)))
        assert streams[0] == streams[1]

    def test_files_come_under_new_names_in_order(self, tmp_path: Path) -> None:
        (tmp_path / "one").write_text("1")
        (tmp_path / "two").write_text("2")
        files = [(tmp_path / "two", "sub/z"), (tmp_path / "one", "a")]
        with tarfile.open(fileobj=io.BytesIO(sent(file_entries(files)))) as archive:
            assert archive.getnames() == ["a", "sub/z"]

    def test_a_size_beyond_octal_is_written_as_gnu_does(self, tmp_path: Path) -> None:
        big = tmp_path / "source" / "big"
        big.parent.mkdir()
        with big.open("wb") as stream:
            stream.truncate(9 << 30)
        got = bytearray()

        def write(data: bytes | memoryview) -> bool:
            got.extend(data)
            return False

        send_tree(tree_entries(big.parent), write, mtime=0)
        info = tarfile.TarInfo.frombuf(bytes(got[:512]), "utf-8", "strict")
        assert info.size == 9 << 30

    def test_a_fifo_is_refused_and_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageFailure, match="neither a file"):
            sent(tree_entries(tmp_path))

    def test_a_fifo_given_as_a_file_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageFailure, match="is not a file"):
            sent(file_entries([(tmp_path / "pipe", "x")]))

    def test_a_file_that_vanished_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(HostFailure, match="gone: No such file"):
            sent(file_entries([(tmp_path / "gone", "x")]))

    def test_it_stops_when_nobody_reads(self, tmp_path: Path) -> None:
        for number in range(5):
            (tmp_path / str(number)).write_bytes(b"x" * 300_000)
        calls: list[int] = []

        def write(data: bytes | memoryview) -> bool:
            calls.append(len(data))
            return False

        send_tree(tree_entries(tmp_path), write, mtime=0)
        assert len(calls) == 1
