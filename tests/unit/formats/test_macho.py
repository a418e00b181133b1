"""Code signatures of macOS programs: the linker's own are put off and on."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.errors import AnswerIsNo, UsageFailure
from gbuild.formats.macho import NotMachO, attach, detach, is_program, is_signed, unsigned_form

PROGRAMS = Path(__file__).parents[2] / "golden" / "programs"
CPUS = {"x86_64": 0x01000007, "arm64": 0x0100000C}


def thin(arch: str) -> bytes:
    return (PROGRAMS / f"macos-{arch}").read_bytes()


def fat(*programs: tuple[str, bytes]) -> bytes:
    """Join programs as lipo does, each aligned to 16 KiB."""
    head = struct.pack(">2I", 0xCAFEBABE, len(programs))
    body = b""
    for arch, data in programs:
        body += bytes(-len(body) % 0x4000)
        head += struct.pack(">5I", CPUS[arch], 0, 0x4000 + len(body), len(data), 14)
        body += data
    return head.ljust(0x4000, b"\0") + body


@pytest.fixture(params=["x86_64", "arm64"])
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_the_linker_signed_is_made_again_from_its_parts(arch: str) -> None:
    signed = thin(arch)
    signatures = detach(signed)
    bare = unsigned_form(signed)
    assert list(signatures) == [arch]
    assert (is_signed(signed), is_signed(bare)) == (True, False)
    assert unsigned_form(bare) == bare
    assert attach(bare, signatures) == signed
    assert attach(signed, signatures) == signed


def test_several_architectures() -> None:
    signed = fat(("x86_64", thin("x86_64")), ("arm64", thin("arm64")))
    bare = fat(("x86_64", unsigned_form(thin("x86_64"))), ("arm64", unsigned_form(thin("arm64"))))
    signatures = detach(signed)
    assert set(signatures) == {"x86_64", "arm64"}
    assert unsigned_form(signed) == unsigned_form(bare)
    assert attach(bare, signatures) == signed


def test_any_other_difference_shows(arch: str) -> None:
    changed = bytearray(thin(arch))
    changed[0x2000 if arch == "x86_64" else 0x4000] ^= 1
    assert unsigned_form(bytes(changed)) != unsigned_form(thin(arch))
    with pytest.raises(AnswerIsNo, match="made for other bytes: page"):
        attach(unsigned_form(bytes(changed)), detach(thin(arch)))


def test_a_signature_of_another_program_is_refused() -> None:
    other = {"x86_64": detach(thin("arm64"))["arm64"]}
    with pytest.raises(AnswerIsNo, match="it covers"):
        attach(unsigned_form(thin("x86_64")), other)


def test_every_architecture_needs_its_signature() -> None:
    both = fat(("x86_64", thin("x86_64")), ("arm64", thin("arm64")))
    with pytest.raises(UsageFailure, match="architectures"):
        attach(both, detach(thin("arm64")))


def test_what_lies_behind_the_signature_is_refused(arch: str) -> None:
    with pytest.raises(NotMachO, match="at its end"):
        unsigned_form(thin(arch) + b"payload")


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"\xfa\xde\x0c\xc0" + b"\xff" * 40])
def test_damaged_signatures(damage: bytes) -> None:
    with pytest.raises(UsageFailure, match="code signature"):
        attach(unsigned_form(thin("x86_64")), {"x86_64": damage})


def test_no_program() -> None:
    for data in (b"", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe\0\0\0\1", b"\x7fELF" * 99):
        with pytest.raises(NotMachO):
            unsigned_form(data)
    assert not is_program(b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(99))  # a class file of Java


@given(st.data())
def test_damaged_programs_are_refused_or_read(data: st.DataObject) -> None:
    both = data.draw(st.booleans())
    program = bytearray(fat(("x86_64", thin("x86_64"))) if both else thin("x86_64"))
    start = 0x4000 if both else 0
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, 40) | st.integers(start, start + 1100))
        program[place] = data.draw(st.integers(0, 255))
    cut = bytes(program[: data.draw(st.integers(0, len(program)))])
    for damaged in (bytes(program), cut):
        with suppress(UsageFailure, AnswerIsNo):
            unsigned_form(damaged)
            attach(damaged, detach(thin("x86_64")))
