"""Every error gbuild raises on purpose, one exit code per family.

    GbuildError
    ├── AnswerIsNo          1   the question was answered, and the answer is no (mismatch)
    ├── UsageFailure        2   flags, descriptor, configuration, signing key
    │   ├── DescriptorInvalid
    │   ├── NameInvalid
    │   └── SigningKeyFailure
    ├── HostFailure         3   this host lacks something or is busy; the hint mends it
    │   ├── MissingTool
    │   └── Busy
    ├── Unavailable         4   network, an input that cannot be had or has a wrong hash
    │   └── WrongHash
    ├── BackendFailure      5   a machine could not be made or was lost
    ├── BuildFailed         6   the build script failed
    ├── TimedOut            7
    ├── Untrusted           8   a bad, missing or insufficient signature; beats 1
    └── Bug                70

Only the command line boundary (``gbuild.cli``) catches these.
"""

from __future__ import annotations

from typing import ClassVar

INTERRUPTED = 130
"""Exit code after ctrl-C."""


class GbuildError(Exception):
    """An expected failure: what happened, the evidence, and what to do about it.

    Args:
        brief: one line that says what and where.
        details: lines of evidence, shown below the brief.
        hint: what the person can do, usually a command.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self, brief: str, *, details: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.hint = hint

    @property
    def lines(self) -> tuple[str, ...]:
        """The brief with the details below it, for an error that tells of several."""
        return (self.brief, *(f"  {line}" for line in self.details))

    def retold(
        self, brief: str, *, details: tuple[str, ...], hint: str | None = None
    ) -> GbuildError:
        """Return an error of the same family that says this, with our hint unless one is given."""
        again = GbuildError.__new__(type(self))
        GbuildError.__init__(again, brief, details=details, hint=hint or self.hint)
        return again


class AnswerIsNo(GbuildError):
    """The question was answered and the answer is no: a mismatch."""

    exit_code = 1


class UsageFailure(GbuildError):
    """A flag, a descriptor, a configuration or a key that the person must correct."""

    exit_code = 2


class DescriptorInvalid(UsageFailure):
    """A descriptor or lock that does not follow its schema; details hold one block per problem."""


class NameInvalid(UsageFailure):
    """A package, suite, directory, file, signer or release name outside its strict grammar."""


class SigningKeyFailure(UsageFailure):
    """The signing key is missing, ambiguous, expired or unusable."""


class HostFailure(GbuildError):
    """This host lacks something or is busy."""

    exit_code = 3


class MissingTool(HostFailure):
    """A program or library that this step needs is not installed."""


class Busy(HostFailure):
    """Another process holds the lock that this step needs."""


class Unavailable(GbuildError):
    """The network failed, or an input can be had nowhere."""

    exit_code = 4


class WrongHash(Unavailable):
    """An input was found, but its bytes are not the ones that were asked for."""


class BackendFailure(GbuildError):
    """A machine could not be made, did not answer, or was lost."""

    exit_code = 5


class BuildFailed(GbuildError):
    """The build script of the descriptor failed."""

    exit_code = 6


class TimedOut(GbuildError):
    """Something took longer than its limit; the brief says what was waited for."""

    exit_code = 7


class Untrusted(GbuildError):
    """A signature is bad, missing or there are too few of them."""

    exit_code = 8


class Bug(GbuildError):
    """A state that should be impossible: a defect of gbuild itself."""

    exit_code = 70
