"""The digest of a file does not depend on where its holes lie, nor on how it arrives."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gbuild.backends.kvm.content import BLOCK, Sorter, blocks, digest_of

_PARTS = {0: b"begin", BLOCK - 2: b"over the edge", 5 * BLOCK: b"x" * (2 * BLOCK + 1)}
_SIZE = 40 * BLOCK + 3


def _whole() -> bytes:
    data = bytearray(_SIZE)
    for offset, part in _PARTS.items():
        data[offset : offset + len(part)] = part
    return bytes(data)


def _sparse(path: Path) -> Path:
    with path.open("wb") as out:
        for offset, part in _PARTS.items():
            out.seek(offset)
            out.write(part)
        out.truncate(_SIZE)
    return path


def _dense(path: Path) -> Path:
    path.write_bytes(_whole())
    return path


def test_holes_make_no_difference(tmp_path: Path) -> None:
    sparse, dense = _sparse(tmp_path / "sparse"), _dense(tmp_path / "dense")
    assert digest_of(sparse) == digest_of(dense)
    assert list(blocks(sparse)) == list(blocks(dense))
    assert sum(len(block) for _, block in blocks(sparse)) == 5 * BLOCK


@pytest.mark.parametrize("change", [b"", b"\0", b"\1"])
def test_every_change_makes_one(tmp_path: Path, change: bytes) -> None:
    path = _dense(tmp_path / "changed")
    path.write_bytes(_whole()[:-1] + change)
    same = digest_of(path) == digest_of(_dense(tmp_path / "other"))
    assert same == (change == b"\0")


def test_a_block_elsewhere_is_something_else(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x" * BLOCK + bytes(BLOCK))
    two.write_bytes(bytes(BLOCK) + b"x" * BLOCK)
    assert digest_of(one) != digest_of(two)


@pytest.mark.parametrize("seed", range(20))
def test_what_arrives_in_pieces_has_the_files_digest(tmp_path: Path, seed: int) -> None:
    lot, data, at = random.Random(seed), _whole(), 0  # noqa: S311
    sorter = Sorter(_SIZE)
    while at < _SIZE:
        length = min(lot.choice([1, 1000, BLOCK - 1, BLOCK, 3 * BLOCK + 7]), _SIZE - at)
        piece = data[at : at + length]
        if piece.count(0) == length and lot.random() < 0.8:
            sorter.hole(length)
        else:
            sorter.data(piece)
        at += length
    assert sorter.hex() == digest_of(_dense(tmp_path / "file"))
