"""Owners of the members of a tar archive."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, fields

CAUSE = Cause(
    name="tar-owners",
    title="an archive records who owns each file",
    mend="tar --owner=0 --group=0 --numeric-owner",
    explains=fields("tar", "cpio", names=("uid", "gid", "user", "group")),
)
