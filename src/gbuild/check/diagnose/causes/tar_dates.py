"""Dates of the members of a tar archive."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, fields

CAUSE = Cause(
    name="tar-dates",
    title="an archive records when each file was changed",
    mend="tar --mtime=@$SOURCE_DATE_EPOCH, with --format=gnu or "
    "--pax-option=delete=atime,delete=ctime",
    explains=fields("tar", "cpio", names=("mtime", "pax atime", "pax ctime")),
)
