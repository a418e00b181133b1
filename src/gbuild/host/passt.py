"""The process that runs passt and pasta for one machine; see :mod:`gbuild.backends.kvm.outside`.

Arguments: the socket to listen at, the user and group to run as, options of pasta. It says
``ready`` on standard output, or what went wrong. It ends when standard input is closed unless a
``k`` came before, and when passt ends, which it does when QEMU has gone.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from typing import NoReturn

from gbuild.errors import GbuildError
from gbuild.host.process import which
from gbuild.host.sandbox import kernel
from gbuild.host.uplink import Uplink

_ADDRESSES = ("-4", "-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "--no-dhcp")
_CLOSED = ("--no-map-gw", "-t", "none", "-u", "none")
_OPTIONS = ("-f", "-q", "-1", *_ADDRESSES, *_CLOSED)
_PATIENCE = 60.0
_WORD = 64
_LISTENING = 1 << 16


def main() -> None:
    """Run beside the caller, who need not wait for us."""
    if os.fork():
        os._exit(0)
    os.setsid()
    path, owner, *options = sys.argv[2:]
    try:
        words = [str(which("passt", package="passt")), *_OPTIONS, "-s", path]
        ours, child = _inner(words, path)
        _hear(ours, b"unshared")
        _map(child, *owner.split(":"))
        ours.send(b"mapped")
        _hear(ours, b"root")
        link = Uplink(child, tuple(options))
        ours.send(b"go")
        _hear(ours, b"listening")
    except (GbuildError, OSError) as error:
        more = error.details if isinstance(error, GbuildError) else ()
        os.write(1, "\n".join((str(error), *more)).encode())
        return
    os.write(1, b"ready\n")
    _watch(ours)
    ours.close()
    os.waitpid(child, 0)
    link.stop()


def _map(child: int, user: str, group: str) -> None:
    """Make the child's root stand for one user of this host."""
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {user} 1"),
        ("gid_map", f"0 {group} 1"),
    ):
        with open(f"/proc/{child}/{file}", "w", encoding="ascii") as stream:
            stream.write(text)


def _hear(channel: socket.socket, wanted: bytes) -> None:
    heard = channel.recv(_WORD)
    if heard != wanted:
        raise OSError(heard.decode(errors="replace") or "passt did not start")


def _watch(inner: socket.socket) -> None:
    """Return when the machine is gone, or whoever started us without letting us go."""
    poller = select.poll()
    poller.register(inner, select.POLLIN)
    poller.register(0, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if inner.fileno() in ready:
            return
        if os.read(0, 1) != b"k":
            return
        poller.unregister(0)


def _inner(words: list[str], path: str) -> tuple[socket.socket, int]:
    """Fork the process that lives in the new network; return our end of its channel, its pid."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child:
        theirs.close()
        return ours, child
    ours.close()
    try:
        _run(theirs, words, path)
    except OSError as error:
        theirs.send(str(error).encode()[:_WORD])
    finally:
        os._exit(1)


def _run(control: socket.socket, words: list[str], path: str) -> NoReturn:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    control.send(b"unshared")
    _hear(control, b"mapped")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    kernel.set_dumpable(True)  # else /proc/<pid>/ns belongs to a user outside our map
    kernel.raise_loopback()
    control.send(b"root")
    _hear(control, b"go")
    child = os.fork()
    if child == 0:
        try:
            kernel.default_signals()
            os.execve(words[0], words, {})  # noqa: S606 - nothing is left to do here
        finally:
            os._exit(127)
    ended = os.pidfd_open(child)
    _await_socket(path, ended)
    control.send(b"listening")
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(control, 0)
    while not any(descriptor == ended for descriptor, _ in poller.poll()):
        os.kill(child, 9)
        poller.unregister(control)
    os._exit(0)


def _await_socket(path: str, ended: int) -> None:
    until = time.monotonic() + _PATIENCE
    while not _listens(path):
        if select.select([ended], [], [], 0.005)[0] or time.monotonic() > until:
            raise OSError("passt does not run")


def _listens(path: str) -> bool:
    """Say whether a socket of this network namespace listens; it has a name before it does.

    Source: proc(5) and linux/net.h (``__SO_ACCEPTCON``).
    """
    with open("/proc/self/net/unix", "rb") as table:
        next(table)
        rows = (line.rstrip(b"\n").split(None, 7) for line in table)
        return any(int(r[3], 16) & _LISTENING for r in rows if r[7:] == [os.fsencode(path)])
