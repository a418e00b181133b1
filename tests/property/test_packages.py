"""Bytes of archives and packages: whatever they are, they are read or refused, never a crash."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gbuild.errors import Untrusted, UsageFailure
from gbuild.host.deb import DamagedPackage, control_fields, installed, needed, parse_fields
from gbuild.image.packages import decompress, find
from gbuild.image.proof import Proof, read_proof, write_proof
from gbuild.image.release import parse_release
from gbuild.image.trust import dearmored

_FIELD_NAMES = st.sampled_from(
    ["Date", "Valid-Until", "Suite", "SHA256", "Package", "Filename", "Size", "Version"]
)
_VALUES = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(["Sat, 11 Jul 2026 10:16:00 UTC", "Sat, 99 Foo 99999 1:1:1 +9999", "²"]),
    st.just(f"\n {'a' * 64} 10 main/binary-amd64/Packages"),
)
_STANZAS = st.lists(st.tuples(_FIELD_NAMES, _VALUES), max_size=12).map(
    lambda rows: "".join(f"{name}: {value}\n" for name, value in rows)
)


@given(st.one_of(_STANZAS.map(str.encode), st.binary(max_size=400)))
def test_any_release_is_read_or_refused(data: bytes) -> None:
    with suppress(Untrusted):
        parse_release(data)


@given(st.one_of(_STANZAS.map(str.encode), st.binary(max_size=400)))
def test_any_index_is_read_or_refused(data: bytes) -> None:
    with suppress(Untrusted):
        list(find(b"Package: x\nFilename: p\n" + data, frozenset({"p"})))


@given(st.binary(max_size=400), st.sampled_from(["x.xz", "x.gz", "x"]))
def test_any_compressed_index_is_read_or_refused(data: bytes, path: str) -> None:
    with suppress(Untrusted):
        decompress(data, path)


@given(st.binary(max_size=300), st.sampled_from(["", ".gz", ".xz"]), st.integers(0, 400))
def test_any_package_is_read_or_refused(data: bytes, ending: str, claimed: int) -> None:
    header = f"{'control.tar' + ending:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{claimed:<10}`\n"
    for content in (data, b"!<arch>\n" + data, b"!<arch>\n" + header.encode() + data):
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(content)
            with suppress(DamagedPackage):
                control_fields(Path(file.name))


@given(st.text(max_size=300))
def test_any_control_text_is_read(text: str) -> None:
    needed(parse_fields(text))
    installed(text)


@given(st.dictionaries(st.just("k"), st.binary(max_size=200)), st.binary(max_size=200))
def test_proofs_round_trip_and_strangers_are_refused(texts: dict[str, bytes], odd: bytes) -> None:
    import hashlib

    proof = Proof({hashlib.sha256(data).hexdigest(): data for data in texts.values()})
    assert read_proof(write_proof(proof), path="p") == proof
    with suppress(UsageFailure):
        read_proof(odd, path="p")


@given(st.binary(max_size=200))
def test_any_key_file_is_read_or_refused(data: bytes) -> None:
    armour = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + data
    for content in (data, armour, armour + b"\n-----END PGP PUBLIC KEY BLOCK-----\n"):
        with suppress(UsageFailure):
            assert dearmored(content, where="k")
