"""The stand-in for VirtualBox refuses nothing but what is documented, and says where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_STANDIN = Path(__file__).parents[2] / "integration" / "virtualbox" / "standin"
_SOURCE = re.compile(r"\bI[A-Z]\w+(?:::\w+)?|\bmanual\b|VBoxManage \w+:|VBox/\w+\.h")
"""An interface of the SDK reference, a page of the user manual, or a header of VirtualBox's."""


def test_each_refusal_says_where_it_is_documented() -> None:
    places = {(path.name, number): note for path in _STANDIN.glob("*.py")
              for number, note in _refusals(path)}  # fmt: skip
    assert len(places) > 20
    assert [place for place, note in places.items() if not _SOURCE.search(note)] == []


def _refusals(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line of each refusal, and the comment right before it."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if "raise Refusal(" in line:
            first = number
            while lines[first - 1].lstrip().startswith("#"):
                first -= 1
            yield number + 1, " ".join(lines[first:number])
