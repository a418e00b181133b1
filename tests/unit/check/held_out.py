"""Pairs of files as real programs write them, made without a look at the diagnosers.

The texts are in ``held_out_first.txt`` (and ``held_out_second.txt``): a header
``==== NAME :: CAUSES :: ALSO``, the first text, a line ``----`` and the second. CAUSES is what a
careful reader would name; ALSO is what could as well be said, and counts neither way. The
objects of gcc are in ``held_out_elf.txt``, one a line: name and xz in base 85.
"""

from __future__ import annotations

import base64
import lzma
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two builds of one artefact and what a careful reader would say of them."""

    name: str
    first: bytes
    second: bytes
    causes: frozenset[str]
    also: frozenset[str] = frozenset()


def pair(name: str, first: bytes, second: bytes, causes: str = "", also: str = "") -> Pair:
    """A pair, with its causes as words."""
    return Pair(
        name=name,
        first=first,
        second=second,
        causes=frozenset(causes.split()),
        also=frozenset(also.split()),
    )


def texts(name: str) -> list[Pair]:
    """The pairs of one file of texts."""
    blocks = (HERE / name).read_text(encoding="utf-8").split("==== ")[1:]
    return [_text(block) for block in blocks]


def _text(block: str) -> Pair:
    header, _, body = block.partition("\n")
    name, causes, also = (part.strip() for part in (header + " :: ").split("::")[:3])
    first, second = body.split("----\n")
    return pair(name, first.encode(), second.encode(), causes, also)


def gcc() -> dict[str, bytes]:
    """What gcc 12 made of small programs, by name."""
    lines = (HERE / "held_out_elf.txt").read_text(encoding="ascii").splitlines()
    return {name: lzma.decompress(base64.b85decode(code)) for name, code in map(str.split, lines)}


def objects() -> list[Pair]:
    """The pairs of objects of the first set."""
    held = gcc()
    return [
        pair("built.o", held["date_a.o"], held["date_b.o"], "timestamp"),
        pair("half-debug.o", held["dbg_1.o"], held["dbg_2.o"], "build-path"),
        pair("half-assert.o", held["assert_1.o"], held["assert_2.o"], "build-path"),
        pair("three", held["id_1"], held["id_2"], "build-id"),
        pair("twice-optimised.o", held["cg_1.o"], held["cg_2.o"]),
        pair("twice-constant.o", held["cg_2.o"], held["cg_5.o"]),
        pair("exit-code", held["c_1"], held["c_2"], "build-id"),
    ]
