"""What a zip file says of its members beside dates and modes: the system, owners, a comment."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, fields

CAUSE = Cause(
    name="zip-metadata",
    title="zip records owners, the system or a comment",
    mend="zip -X leaves extra fields away",
    explains=fields("zip", "extra", "system", "comment"),
)
