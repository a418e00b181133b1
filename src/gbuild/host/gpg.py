"""The person's own keyring and agent: the only place where python-gnupg is used.

Here, and nowhere else in gbuild, the person's environment matters: GNUPGHOME, the agent's
socket, and the terminal or display on which pinentry asks for the passphrase.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from gbuild.errors import SigningKeyFailure
from gbuild.host.process import CLEAN_ENVIRONMENT, run, which

if TYPE_CHECKING:
    import gnupg

PERSONAL = (
    "HOME",
    "GNUPGHOME",
    "GPG_TTY",
    "TERM",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "PINENTRY_USER_DATA",
)
"""What gpg, its agent and pinentry need of the person's environment."""

_DIGESTS = "SHA512 SHA384 SHA256"
_TAIL = 6
_TRIES = 4
_NO_AGENT = "can't connect to the"
"""What gpg says, in the clean environment's language, of an agent that does not answer."""
_LAUNCH_TIMEOUT = 60.0


def personal_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the clean environment with what signing needs of the person's."""
    kept = {name: environment[name] for name in PERSONAL if name in environment}
    if "GPG_TTY" not in kept and (terminal := _terminal()):
        kept["GPG_TTY"] = terminal
    return {**CLEAN_ENVIRONMENT, **kept}


def _terminal() -> str | None:
    try:
        return os.ttyname(0)
    except (OSError, AttributeError):  # Windows does not name terminals
        return None


class PersonalKeyring:
    """gpg as the person has it.

    Args:
        environment: the person's; only :data:`PERSONAL` reaches gpg.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = personal_environment(environment)

    @cached_property
    def _gpg(self) -> gnupg.GPG:
        import gnupg

        program = which("gpg", package="gnupg")
        try:
            return gnupg.GPG(gpgbinary=str(program), env=self._environment, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SigningKeyFailure(
                "gpg cannot use your keyring", details=(str(error).strip(),)
            ) from error

    def listing(self, *, secret: bool) -> str:
        """Return the keys as a colon listing (see gbuild.formats.gpgstatus).

        gpg gives its agent five seconds to come up, which a busy host may not have: then it lists
        no secret key. So the agent is started and gpg asked again.

        Raises:
            SigningKeyFailure: gpg listed nothing for another reason than that there is nothing.
        """
        made = self._gpg.list_keys(secret)
        for _ in range(_TRIES):
            data: bytes = made.data
            if data or (not made.returncode and _NO_AGENT not in made.stderr):
                return data.decode("utf-8", "replace")
            self._launch_agent()
            made = self._gpg.list_keys(secret)
        raise SigningKeyFailure(
            "gpg could not list your keys",
            details=_own_words(made.stderr),
            hint="try: gpgconf --launch gpg-agent && gpg --list-secret-keys",
        )

    def _launch_agent(self) -> None:
        """Start the agent unless it runs; whether that helped, the next listing tells."""
        argv = (which("gpgconf", package="gpgconf"), "--launch", "gpg-agent")
        run(argv, env=self._environment, timeout=_LAUNCH_TIMEOUT, check=False)

    def sign(self, document: bytes, *, key: str) -> bytes:
        """Return a binary detached signature by exactly this key.

        Args:
            document: the bytes to sign.
            key: a fingerprint; with ``!`` at the end that very subkey.

        Raises:
            SigningKeyFailure: gpg did not sign; details are its own words.
        """
        made = self._gpg.sign(
            document,
            clearsign=False,
            detach=True,
            binary=True,
            extra_args=[
                "--no-armor",
                f"--personal-digest-preferences={_DIGESTS}",
                f"--local-user={key}",
            ],
        )
        signature: bytes = made.data
        if made.returncode or not signature:
            raise SigningKeyFailure(
                f"gpg did not sign with {key}",
                details=_own_words(made.stderr),
                hint="try: echo | gpg --detach-sign --local-user " + key + " >/dev/null",
            )
        return signature

    def export(self, *fingerprints: str) -> bytes:
        """Return public keys armored, without the signatures of others; all without argument."""
        text: str = self._gpg.export_keys(list(fingerprints), minimal=True)
        return text.encode()


def _own_words(stderr: str) -> tuple[str, ...]:
    said = [line for line in stderr.splitlines() if line and not line.startswith("[GNUPG:]")]
    return tuple(said[-_TAIL:])
