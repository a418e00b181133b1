"""Timestamp proofs of RFC 3161, checked by openssl against authorities that a person named.

openssl works on files in a folder of its own and needs no network. A proof is checked as of the
moment it states: authorities' certificates end, what they once stated stays.
"""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.process import Completed, run, which

_SECONDS = 20.0
_TIME = re.compile(
    rb"^Time stamp: ([A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d)(?:\.\d+)? (\d{4}) GMT$", re.MULTILINE
)


class Authorities:
    """Checks proofs by the authorities whose certificates are in a PEM file.

    Args:
        certificates: roots, and certificates between them and the authorities, if any.

    Raises:
        UsageFailure: the file holds no certificate.
    """

    def __init__(self, certificates: Path) -> None:
        self._openssl = which("openssl", package="openssl")
        self._file = certificates.absolute()
        done = self._run("x509", "-in", self._file, "-noout")
        if done.returncode != 0:
            raise UsageFailure(
                f"{certificates} holds no certificate",
                hint="a PEM file with the certificates of timestamp authorities",
            )

    def seen(self, data: bytes, proof: bytes) -> int | None:
        """Return when an authority says it saw the data, in seconds since the epoch.

        None when the proof does not hold: it is damaged, of other data, or by somebody else.
        """
        with tempfile.TemporaryDirectory(prefix="gbuild-proof-") as folder:
            subject, response, token = (Path(folder, name) for name in ("data", "tsr", "token"))
            subject.write_bytes(data)
            response.write_bytes(proof)
            # the response's own status is signed by nobody: only the token is read from here on
            self._run("ts", "-reply", "-in", response, "-token_out", "-out", token)
            if not token.exists():
                return None
            moment = self._stated(token)
            return moment if moment is not None and self._holds(token, subject, moment) else None

    def _stated(self, token: Path) -> int | None:
        shown = self._run("ts", "-reply", "-in", token, "-token_in", "-text")
        stated = _TIME.findall(shown.stdout)
        if shown.returncode != 0 or len(stated) != 1:
            return None
        text = b" ".join(stated[0]).decode()
        parsed = datetime.strptime(text, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        return int(parsed.timestamp())

    def _holds(self, token: Path, subject: Path, moment: int) -> bool:
        trusted = ("-CAfile", self._file, "-untrusted", self._file)
        done = self._run(
            "ts", "-verify", "-in", token, "-token_in", "-data", subject, *trusted,
            "-attime", str(moment),
        )  # fmt: skip
        return done.returncode == 0

    def _run(self, *words: str | Path) -> Completed:
        return run((self._openssl, *words), timeout=_SECONDS, check=False)
