"""In which order a linker laid the functions of a program out. Pure.

Format: ELF's symbol tables (elf(5), ``Elf32_Sym`` and ``Elf64_Sym``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_FUNCTION = 2
"""STT_FUNC"""
_MOST = 50_000


def functions(table: bytes, names: bytes, *, wide: bool, order: str) -> Iterator[str]:
    """Yield the names of the functions that a table of symbols defines, as they lie in memory.

    ``order`` is that of bytes, as struct writes it. Those that lie at one place stand by name.

    Raises:
        ValueError, struct.error: the table is broken.
    """
    layout = struct.Struct(f"{order}IBBHQQ" if wide else f"{order}IIIBBH")
    found = []
    for at in range(
        0, min(len(table), _MOST * layout.size) // layout.size * layout.size, layout.size
    ):
        fields = layout.unpack_from(table, at)
        name, info, section, value = (
            (fields[0], fields[1], fields[3], fields[4])
            if wide
            else (fields[0], fields[3], fields[5], fields[1])
        )
        if info & 15 == _FUNCTION and section:
            end = names.index(b"\0", name)
            found.append((section, value, names[name:end].decode("latin-1")))
    yield from (name for _, _, name in sorted(found))
