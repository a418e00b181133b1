"""The header of a gzip file: the time and the name of what was packed."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, fields

CAUSE = Cause(
    name="gzip-header",
    title="gzip writes the time and the name of the file into its header",
    mend="gzip --no-name (-n); in Python gzip.GzipFile(..., mtime=0)",
    explains=fields("gzip", names=("mtime", "name", "comment", "system")),
)
