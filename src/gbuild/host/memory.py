"""What the kernel says of this host's memory; see proc_meminfo(5)."""

from __future__ import annotations

from pathlib import Path


def meminfo() -> dict[str, int]:
    """Return the fields of /proc/meminfo in bytes, none where the host does not say."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return {}
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if row[2:] == ["kB"]}
