"""Databases of SQLite, as the statements that would make them (sqlite.org/fileformat.html)."""

from __future__ import annotations

import sqlite3
from itertools import islice

from gbuild.check.diagnose.member import Container, Member

_LARGEST = 64 << 20
_STATEMENTS = 100_000


def sqlite(data: bytes) -> Container:
    """Read a database, in memory; nothing that it defines itself is run.

    Raises:
        ValueError: it is broken, or too large.
    """
    if len(data) > _LARGEST:
        raise ValueError(len(data))
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        connection.execute("PRAGMA trusted_schema = OFF")
        text = "\n".join(islice(connection.iterdump(), _STATEMENTS))
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()
    return Container("sqlite", (Member("", text.encode("utf-8", "replace")),))
