"""How the file of a Debian package is called: ``name_version_arch.deb``. Pure.

It is the name that apt gives it in its cache, and that base manifests have: the colon after an
epoch is written ``%3a``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"([^_/]+)_([^_/]+)_([^_/]+)\.deb\Z")
_COLON = re.compile("%3a", re.IGNORECASE)


class DebFile(NamedTuple):
    """A package as the name of its file tells it."""

    name: str
    version: str
    arch: str

    @property
    def file_name(self) -> str:
        """The name of the file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


def read_file_name(file: str) -> DebFile | None:
    """Return what a file name says, or None when it is not of that form."""
    match = _FORM.match(file)
    if match is None:
        return None
    name, version, arch = match.groups()
    return DebFile(name, _COLON.sub(":", version), arch)
