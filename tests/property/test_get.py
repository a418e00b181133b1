"""What gget remembers, and which release is older."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.formats.gget_state import Damaged, read_state, write_state
from gbuild.get.remembered import merged
from gbuild.model.memory import Memory
from gbuild.model.release_order import is_older, order

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
MEMORIES = st.builds(
    Memory,
    seen=st.dictionaries(DIGESTS, st.integers(0, 1 << 40), max_size=3),
    counted=st.dictionaries(st.text(max_size=5), st.frozensets(DIGESTS, max_size=3), max_size=3),
    newest=st.dictionaries(st.text(max_size=5), st.sampled_from(["1.0", "1.1", "2.0rc1", "x"])),
)


@given(MEMORIES)
def test_a_memory_comes_back_as_it_was(memory: Memory) -> None:
    assert read_state(write_state(memory), path="p") == memory


@given(MEMORIES, MEMORIES)
def test_memories_put_together_forget_nothing(one: Memory, other: Memory) -> None:
    both = merged(one, other)
    for memory in (one, other):
        assert all(both.seen[digest] <= moment for digest, moment in memory.seen.items())
        assert all(own <= both.counted[release] for release, own in memory.counted.items())
        assert memory.newest.keys() <= both.newest.keys()
    assert merged(both, other).seen == both.seen


@given(st.binary(max_size=200))
def test_a_damaged_memory_is_an_error(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_state(data, path="p")


NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=4)


@given(NUMBERS, NUMBERS)
def test_numbers_decide_as_tuples_do(one: list[int], other: list[int]) -> None:
    a, b = (".".join(map(str, each)) for each in (one, other))
    width = max(len(one), len(other))
    filled = [tuple(each + [0] * (width - len(each))) for each in (one, other)]
    assert is_older(a, b) == (filled[0] < filled[1])


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_has_an_answer(one: str, other: str) -> None:
    assert is_older(one, other) in (True, False, None)
    if is_older(one, other):
        assert is_older(other, one) is False
    assert order(one) == order(one)
