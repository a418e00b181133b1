"""The script that a target runs: Gitian's preamble, then the descriptor's script.

Old and new tools may sign the same release, so every line that Gitian's gbuild wrote is
written here too, in its order, and nothing more unless a key of our own asks for it.
``tests/golden`` holds dumps of what a script sees.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gbuild.engine.normalise import NORMALISERS
from gbuild.errors import DescriptorInvalid
from gbuild.model.descriptor import Descriptor
from gbuild.model.surroundings import USUAL, Surroundings

_GITIAN = {"i386": (32, "i386"), "amd64": (64, "x86_64"), "linux64": (64, "linux64")}
_32_BIT = ("armel", "armhf")
_LOCALES = {"full": "en_US.UTF-8", "minimal": "C.UTF-8"}
"""What Gitian exported, and for a base without the package ``locales`` what libc brings."""

_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}:\d{2}))?\Z")
_PLAIN = re.compile(r"[^'\x00-\x1f\x7f]+\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """The build's reference time: the text that the script sees and, if readable, the epoch."""

    text: str
    epoch: int | None

    @property
    def date(self) -> str:
        """The first word."""
        return self.text.split()[0]

    @property
    def time(self) -> str:
        """The second word, or nothing."""
        return "".join(self.text.split()[1:2])


def reference_of(descriptor: Descriptor, author_times: Sequence[int]) -> Reference:
    """Choose the reference time as Gitian does.

    The descriptor's ``reference_datetime`` word for word, else the author date (UTC) of the
    last remote.

    Raises:
        DescriptorInvalid: there is neither, or the text cannot be used.
    """
    if descriptor.reference_datetime is not None:
        return _declared(descriptor, descriptor.reference_datetime)
    if not author_times:
        raise DescriptorInvalid(
            f"{descriptor.stem}.yml has no reference time",
            details=("it names no remotes whose author date could serve",),
            hint='add a line such as  reference_datetime: "2024-01-31 12:00:00"',
        )
    epoch = author_times[-1]
    return Reference(datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S"), epoch)


def _declared(descriptor: Descriptor, text: str) -> Reference:
    if not text.split() or not _PLAIN.match(text):
        raise DescriptorInvalid(
            f"{descriptor.stem}.yml: reference_datetime holds characters it must not hold",
            details=(f"found {text!r}",),
            hint='write it as "2024-01-31 12:00:00"',
        )
    epoch = _epoch(text)
    if epoch is None and descriptor.source_date_epoch:
        raise DescriptorInvalid(
            f"{descriptor.stem}.yml: reference_datetime is not a date and time",
            details=(f"found {text!r}; source_date_epoch needs the seconds since 1970",),
            hint='write it as "2024-01-31 12:00:00" (UTC)',
        )
    return Reference(text, epoch)


def _epoch(text: str) -> int | None:
    match = _DATETIME.match(text.strip())
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00:00'}+00:00")
    except ValueError:
        return None
    return int(moment.timestamp())


def shell_argv(architecture: str, surroundings: Surroundings = USUAL) -> tuple[str, ...]:
    """Return how the script is run for a descriptor's architecture (``linux64`` included)."""
    flags = [] if surroundings.random_addresses else ["--addr-no-randomize"]
    flags += ["--uname-2.6"] if surroundings.old_kernel else []
    return ("setarch", _machine(architecture)[1], *flags, "bash", "-x")


def _machine(architecture: str) -> tuple[int, str]:
    """Return the bits and setarch(8)'s word; architectures that Gitian lacked are plain ones."""
    plain = (32, "linux32") if architecture in _32_BIT else (64, "linux64")
    return _GITIAN.get(architecture, plain)


def build_script(
    descriptor: Descriptor,
    *,
    architecture: str,
    reference: Reference,
    num_procs: int,
    memory: int,
    has_git: bool,
    surroundings: Surroundings = USUAL,
) -> bytes:
    """Write the whole script.

    Args:
        descriptor: what is built.
        architecture: in the descriptor's spelling.
        reference: the reference time.
        num_procs: ``-j`` of ``MAKEOPTS``.
        memory: MiB, for ``NUM_MEM``.
        has_git: whether the image has git; every remote's index is then made to know the
            files as they lie in the target. Gitian ran ``git reset --hard && git clean -fd``
            there; what is put here is pristine already, and a reset would date every file now.
        surroundings: what is not as usual.
    """
    locale = surroundings.locale or _LOCALES[descriptor.base]
    lines = [
        "#!/bin/bash",
        "set -e",
        f"export LANG='{locale}'",
        f"export LC_ALL='{locale}'",
        f"umask {surroundings.umask:03o}",
        "export OUTDIR=$HOME/out",
        f"GBUILD_BITS={_machine(architecture)[0]}",
        *_cache_lines(descriptor),
        f"MAKEOPTS=(-j{num_procs})",
        f"NUM_PROCS={num_procs}",
        f"NUM_MEM={memory}",
        "",
        *(_refresh_line(remote.dir) for remote in descriptor.remotes if has_git),
        "",
        f"REFERENCE_DATETIME='{reference.text}'",
        f"REFERENCE_DATE='{reference.date}'",
        f"REFERENCE_TIME='{reference.time}'",
        *_epoch_lines(descriptor, reference),
        *_normalise_lines(descriptor),
        *_surrounding_lines(surroundings),
        "",
        "cd build" if surroundings.build_path is None else "cd -P build",
    ]
    return "\n".join([*lines, descriptor.script.rstrip("\n"), ""]).encode()


def _cache_lines(descriptor: Descriptor) -> list[str]:
    if not descriptor.enable_cache:
        return []
    return [
        "GBUILD_CACHE_ENABLED=1",
        f"GBUILD_PACKAGE_CACHE=$HOME/cache/{descriptor.name}",
        "GBUILD_COMMON_CACHE=$HOME/cache/common",
    ]


def _epoch_lines(descriptor: Descriptor, reference: Reference) -> list[str]:
    if not descriptor.source_date_epoch:
        return []
    return [f"export SOURCE_DATE_EPOCH={reference.epoch}", "export TZ=UTC"]


def _normalise_lines(descriptor: Descriptor) -> list[str]:
    """Put the normalisers first in the path; what they are told the time by must be exported."""
    if not descriptor.normalise:
        return []
    folder = f"$HOME/{NORMALISERS}"
    return [
        f'chmod 0755 "{folder}"/canon-*',
        f'PATH="{folder}:$PATH"',
        "export REFERENCE_DATETIME",
    ]


def _surrounding_lines(surroundings: Surroundings) -> list[str]:
    """Export what is not as usual, over what the lines before have set."""
    exports = dict(surroundings.environment)
    if surroundings.timezone is not None:
        exports["TZ"] = surroundings.timezone
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    lines += [f"PATH=$PATH:{shlex.quote(folder)}" for folder in surroundings.path]
    return lines


def _refresh_line(folder: str) -> str:
    return f"(cd build/{folder} && git update-index -q --refresh || :)"
