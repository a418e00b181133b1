"""InRelease texts and Packages indexes: what is read, what is refused."""

from __future__ import annotations

import lzma
import zlib

import pytest

from gbuild.errors import Untrusted
from gbuild.image.packages import decompress, find, names, with_needs
from gbuild.image.release import parse_release

_DIGEST = "a" * 64
_TEXT = f"""\
Origin: Debian
Label: Debian
Suite: oldstable
Codename: bookworm
Date: Sat, 11 Jul 2026 10:16:00 UTC
Valid-Until: Sat, 18 Jul 2026 10:16:00 UTC
Acquire-By-Hash: yes
No-Support-for-Architecture-all: Packages
Architectures: all amd64
Components: main
MD5Sum:
 {"b" * 32} 10 main/binary-amd64/Packages
SHA256:
 {_DIGEST}       30 main/binary-amd64/Packages
 {_DIGEST}       20 main/binary-amd64/Packages.gz
 {"c" * 64}       10 main/binary-amd64/Packages.xz
 {"d" * 64}       10 main/binary-all/Packages.xz
"""

_INDEX = b"""\
Package: hello
Version: 2.10-3
Architecture: amd64
Essential: yes
Filename: pool/main/h/hello/hello_2.10-3_amd64.deb
Size: 53080
SHA256: AAAA
Description: says
 Filename: pool/main/n/not-this/one.deb

Package: other
Version: 1
Architecture: all
Filename: ./pool/o.deb
Size: 1
SHA256: bbbb
"""


def test_the_fields_of_a_release() -> None:
    release = parse_release(_TEXT.encode())
    assert (release.origin, release.codename, release.by_hash) == ("Debian", "bookworm", True)
    assert release.date == 1783764960
    assert release.valid_until == release.date + 7 * 86400


def test_the_smallest_index_is_chosen_and_known_by_its_hash() -> None:
    (index,) = parse_release(_TEXT.encode()).packages("main", "amd64")
    assert (index.path, index.size) == ("main/binary-amd64/Packages.xz", 10)
    assert index.by_hash == f"main/binary-amd64/by-hash/SHA256/{'c' * 64}"


def test_an_archive_that_keeps_all_apart_gives_two_indexes() -> None:
    text = _TEXT.replace("No-Support-for-Architecture-all: Packages\n", "")
    paths = [one.path for one in parse_release(text.encode()).packages("main", "amd64")]
    assert paths == ["main/binary-amd64/Packages.xz", "main/binary-all/Packages.xz"]


def test_nothing_for_another_architecture() -> None:
    assert parse_release(_TEXT.encode()).packages("main", "riscv64") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Date: Sat, 11 Jul 2026 10:16:00 UTC\n",
        _TEXT.replace("Date: Sat, 11 Jul 2026 10:16:00 UTC", "Date: yesterday"),
        _TEXT.replace("Date: Sat, 11 Jul 2026 10:16:00 UTC\n", ""),
        _TEXT.replace("main/binary-amd64/Packages.gz", "../../../etc/passwd"),
        _TEXT.replace("main/binary-amd64/Packages.gz", "/etc/passwd"),
        _TEXT.replace(f" {_DIGEST}       20", " short 20"),
        _TEXT.replace(f" {_DIGEST}       20", f" {_DIGEST} -1"),
    ],
)
def test_a_release_that_cannot_be_read_is_not_trusted(text: str) -> None:
    with pytest.raises(Untrusted):
        parse_release(text.encode())


def test_stanzas_are_found_by_path_and_descriptions_do_not_count() -> None:
    paths = frozenset(
        {"pool/main/h/hello/hello_2.10-3_amd64.deb", "pool/main/n/not-this/one.deb", "pool/o.deb"}
    )
    found = list(find(_INDEX, paths))
    assert [(one.name, one.essential, one.sha256) for one in found] == [
        ("hello", True, "aaaa"),
        ("other", False, "bbbb"),
    ]
    assert found[1].path == "pool/o.deb"


def test_a_stanza_without_its_hash_is_not_trusted() -> None:
    with pytest.raises(Untrusted, match="other lacks SHA256"):
        list(find(_INDEX.replace(b"SHA256: bbbb\n", b""), frozenset({"pool/o.deb"})))


def test_names_of_an_index() -> None:
    assert names(_INDEX) == {"hello", "other"}


def _index(*stanzas: tuple[str, str]) -> bytes:
    rest = "Version: 1\nArchitecture: amd64\nFilename: pool/x.deb\nSize: 1\nSHA256: aa\n"
    return "\n".join(f"Package: {name}\n{rest}{more}" for name, more in stanzas).encode()


def test_what_packages_need_is_followed_by_name() -> None:
    index = _index(
        ("top", "Pre-Depends: base (>= 2)\nDepends: gone | left | right, a:any\nRecommends: no\n"),
        ("base", "Depends: awk, right | left\n"),
        ("a", "Depends: top, chosen | other\n"),
        *((name, "") for name in ("left", "right", "chosen", "other", "no")),
    )
    assert [one.name for one in with_needs(index, {"top"})] == [
        "top",
        "base",
        "left",
        "a",
        "chosen",
    ]
    found = with_needs(index, {"other", "a", "right"})  # what is asked for counts as an alternative
    assert [one.name for one in found] == ["a", "other", "right", "top", "base"]


def test_what_is_asked_for_must_be_there() -> None:
    with pytest.raises(Untrusted, match="the index has no x, y"):
        with_needs(_index(("a", "")), {"a", "y", "x"})


def test_indexes_are_decompressed_by_their_ending() -> None:
    packed = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    gz = packed.compress(_INDEX) + packed.flush()
    assert decompress(_INDEX, "Packages") == _INDEX
    assert decompress(gz, "Packages.gz") == _INDEX
    assert decompress(lzma.compress(_INDEX), "Packages.xz") == _INDEX
    for data, path in ((gz[:-9], "x.gz"), (lzma.compress(_INDEX)[:-9], "x.xz"), (b"no", "x.xz")):
        with pytest.raises(Untrusted):
            decompress(data, path)
