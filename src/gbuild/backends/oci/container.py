"""The command line of a target's container: pure composition, no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gbuild.backends.oci.engine import Kind
from gbuild.backends.oci.limits import Held
from gbuild.target.backend import TargetSpec

STORE = "org.gbuild.store"
"""Label of a container: the store whose registry knows it."""

TARGET = "org.gbuild.target"
"""Label of a container: its entry in the registry."""

READY = b"ready\n"
"""What the first process says when the target is complete."""

_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "SETFCAP"),
)
"""As the default backend: sshd needs SYS_CHROOT, SETUID and SETGID, root's dpkg the others."""

_MASKED = (
    *("/proc/kallsyms", "/proc/key-users", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount"),
    *("/proc/kpageflags", "/proc/sysrq-trigger", "/proc/vmallocinfo", "/sys/fs"),
)
"""What the engine would show beyond what it masks itself."""

_COMPLETE = (
    "set -e -o pipefail; umask 022; cd /; chmod 755 .;"
    " if [ ! -x usr/sbin/sshd ]; then echo 'the image has no SSH server' >&2; exit 1; fi;"
    " mkdir -p run/gbuild run/sshd run/lock; chmod 1777 run/lock;"
    " rm -f .dockerenv;"
    " rm -f etc/hosts etc/hostname {resolver} 2>/dev/null || :;"  # the engine's mounts stay
    ' [ "$(stat -c %Y etc/mtab 2>/dev/null || echo 0)" -le "$1" ] || rm etc/mtab;'  # the engine's
    ' head -c "$0" | tar -x -p --same-owner --overwrite {exclude} -f -;'
    " /bin/sh run/gbuild/setup"
)
_WAIT = "exec >/dev/null 2>&1; read -r _ || :"
"""Ends when standard input does, which is when its holder dies; bash reaps orphans meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container to be made from ``image`` (an id of the engine).

    ``date`` (seconds since the epoch) is that of the newest file that the image may have.
    """

    name: str
    identity: str
    store: str
    image: str
    date: int
    kind: Kind
    spec: TargetSpec
    held: Held
    network: tuple[str, ...]
    users: tuple[str, ...]
    pidfile: Path

    def run(self, *, size: int) -> tuple[str, ...]:
        """Return the words that run it for as long as somebody holds its standard input.

        Its first process reads ``size`` bytes of :func:`gbuild.target.guest.archive`, completes
        the target with them and says :data:`READY`.
        """
        script = f"{self._complete()}; echo ready; {_WAIT}"
        return (*self._words(), self.image, "-c", script, str(size), str(self.date))

    def keep(self) -> tuple[str, ...]:
        """Return the words that run it until it is removed; :meth:`complete` does the rest."""
        return (*self._words(), "--detach", self.image, "-c", _WAIT)

    def complete(self, *, size: int) -> tuple[str, ...]:
        """Return the words that complete a kept one, from the same archive."""
        shell = ("/bin/bash", "-c", self._complete(), str(size), str(self.date))
        return ("exec", "--interactive", "--user=0:0", self.name, *shell)

    def _complete(self) -> str:
        if self._own_resolver:
            return _COMPLETE.format(resolver="etc/resolv.conf", exclude="")
        return _COMPLETE.format(resolver="", exclude="--exclude=etc/resolv.conf")

    @property
    def _own_resolver(self) -> bool:
        return self.kind == "podman" or not self.spec.network

    def _words(self) -> Iterator[str]:
        spec = self.spec
        yield from ("run", "--rm", "--interactive", "--pull=never", f"--name={self.name}")
        yield from (f"--label={STORE}={self.store}", f"--label={TARGET}={self.identity}")
        yield from (f"--hostname={spec.hostname}", "--user=0:0", "--workdir=/")
        yield from ("--entrypoint=/bin/bash", "--log-driver=none", "--no-healthcheck")
        yield "--stop-signal=KILL"  # the first process heeds no other; a daemon would wait for it
        yield from (*self.network, *self.users, *self.held.flags)
        yield from ("--cap-drop=ALL", *(f"--cap-add={name}" for name in _CAPABILITIES))
        if not spec.sudo:
            yield "--security-opt=no-new-privileges"
        if spec.scratch == "tmpfs":
            yield from self._scratch()
        if self.kind == "podman":
            yield from self._podman()

    def _scratch(self) -> Iterator[str]:
        inert = "nodev" if self.spec.sudo else "nosuid,nodev"
        copy = ",notmpcopyup" if self.kind == "podman" else ""
        for place, mode in (("/home", "0755"), ("/tmp", "1777"), ("/var/tmp", "1777")):
            yield f"--tmpfs={place}:rw,exec,{inert},size={self.held.scratch},mode={mode}{copy}"
        size = f"size={self.held.scratch},mode=1777"
        yield f"--tmpfs=/dev/shm:rw,exec,nosuid,nodev,{size}{copy}"

    def _podman(self) -> Iterator[str]:
        yield from ("--no-hosts", "--http-proxy=false", "--systemd=false", "--umask=0022")
        yield from ("--image-volume=ignore", "--sdnotify=ignore")
        yield f"--pidfile={self.pidfile}"
        yield f"--security-opt=mask={':'.join(_MASKED)}"
