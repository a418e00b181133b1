"""Sign with a program of the person's choice, called as Gitian called it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gbuild.errors import SigningKeyFailure, UsageFailure
from gbuild.host.process import ToolFailed, run


def sign_with(
    program: str, *, signer: str, name: str, document: bytes, environment: Mapping[str, str]
) -> bytes | None:
    """Run ``PROGRAM -u SIGNER FILE`` and return what it wrote to ``FILE.sig``, if anything.

    ``true`` as program makes an assertion that is signed later, on another machine.

    Args:
        program: words as a shell would split them; no shell runs.
        signer: what ``-u`` gets.
        name: the file's name.
        document: the bytes to sign.
        environment: the person's, all of it: the program is theirs.

    Raises:
        SigningKeyFailure: the program failed.
    """
    try:
        words = shlex.split(program)
    except ValueError as error:
        raise UsageFailure(f"not a command: {program}", details=(str(error),)) from error
    if not words:
        raise UsageFailure("the signing program is empty")
    with tempfile.TemporaryDirectory(prefix="gsign-") as folder:
        path = Path(folder) / name
        path.write_bytes(document)
        try:
            run([*words, "-u", signer, path], env=environment)
        except ToolFailed as error:
            raise SigningKeyFailure(
                f"the signing program failed: {program}", details=error.details
            ) from error
        if path.read_bytes() != document:
            raise SigningKeyFailure(f"the signing program changed the assertion: {program}")
        made = path.with_name(f"{name}.sig")
        return made.read_bytes() if made.is_file() else None
