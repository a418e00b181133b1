"""Code signatures of Windows programs, without a tool that makes them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.errors import UsageFailure
from gbuild.formats.authenticode import (
    NotPortableExecutable,
    attach,
    detach,
    is_program,
    is_signed,
    unsigned_form,
)

PROGRAMS = Path(__file__).parents[2] / "golden" / "programs"
SIGNATURE = b"\x30\x82\x00\x05hello"


@pytest.fixture(params=["windows-x86_64.exe", "windows-i686.exe"])
def program(request: pytest.FixtureRequest) -> bytes:
    return (PROGRAMS / str(request.param)).read_bytes()


@pytest.mark.parametrize("tail", [b"", b"x", b"overlay"])
def test_a_signature_goes_on_and_comes_off(program: bytes, tail: bytes) -> None:
    signed = attach(program + tail, SIGNATURE)
    assert (is_signed(program + tail), is_signed(signed)) == (False, True)
    assert detach(signed) == SIGNATURE
    assert unsigned_form(signed) == unsigned_form(program + tail)
    assert len(signed) % 8 == 0


def test_any_other_difference_shows(program: bytes) -> None:
    signed = bytearray(attach(program, SIGNATURE))
    signed[-40 - len(SIGNATURE)] ^= 1
    assert unsigned_form(bytes(signed)) != unsigned_form(program)


def test_another_check_sum_alone_does_not(program: bytes) -> None:
    place = int.from_bytes(program[0x3C:0x40], "little") + 24 + 64
    changed = program[:place] + b"\1\2\3\4" + program[place + 4 :]
    assert unsigned_form(changed) == unsigned_form(program)


def test_what_lies_behind_the_signature_is_refused(program: bytes) -> None:
    with pytest.raises(NotPortableExecutable, match="at its end"):
        unsigned_form(attach(program, SIGNATURE) + b"payload.")


def test_a_second_signature_and_a_wrong_one_are_refused(program: bytes) -> None:
    with pytest.raises(UsageFailure, match="already"):
        attach(attach(program, SIGNATURE), SIGNATURE)
    with pytest.raises(UsageFailure, match="DER"):
        attach(program, b"-----BEGIN")
    with pytest.raises(UsageFailure, match="not signed"):
        detach(program)


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ" + bytes(200), b"PE\0\0" * 50, b"\x7fELF" * 99])
def test_no_program(data: bytes) -> None:
    with pytest.raises(NotPortableExecutable):
        unsigned_form(data)
    assert is_program(data) == data.startswith(b"MZ")


@given(st.data())
def test_damaged_programs_are_refused_or_read(data: st.DataObject) -> None:
    program = bytearray((PROGRAMS / "windows-i686.exe").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        program[data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    cut = bytes(program[: data.draw(st.integers(0, len(program)))])
    for damaged in (bytes(program), cut):
        with suppress(UsageFailure):
            unsigned_form(damaged)
            detach(attach(damaged, SIGNATURE))
