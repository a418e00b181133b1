"""Starting one container: written down, run, completed; undone when a step fails."""

from __future__ import annotations

import os
import select
import subprocess  # noqa: TID251 - processes that live beside this one
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import RawIOBase
from typing import IO

from gbuild.backends.oci import limits, network
from gbuild.backends.oci.container import READY, Container
from gbuild.backends.oci.engine import Engine
from gbuild.backends.oci.images import Ready
from gbuild.backends.oci.machine import FOREIGN, OciMachine, remove
from gbuild.backends.oci.probe import About
from gbuild.errors import TimedOut
from gbuild.host.idmap import IdMap, current
from gbuild.model.event import Event, Sink
from gbuild.model.names import target_name
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import Guest, archive
from gbuild.target.registry import Entry, Registry, born, new_id

NAME = "oci"

_PATIENCE = 60.0
"""Seconds that the engine has to run a container until it is complete."""


class Start:
    """One start of one container from an image that the engine has."""

    def __init__(
        self,
        engine: Engine,
        about: About,
        registry: Registry,
        sink: Sink,
        *,
        spec: TargetSpec,
        image: Ready,
    ) -> None:
        self._engine = engine
        self._about = about
        self._registry = registry
        self._sink = sink
        self._spec = spec
        self._image = image
        self._id = new_id(target_name(spec.name, where="the target's name"))
        self._held = limits.hold(spec.limits, about.controllers, on_tmpfs=spec.scratch == "tmpfs")
        network_flags, resolver = network.flags(engine, about.version, wanted=spec.network)
        self._guest = Guest.of(spec, resolver=resolver)
        self._container = Container(
            name=f"gbuild-{self._id.replace('~', '-')}",
            identity=self._id,
            store=str(registry.folder.parents[1]),
            image=image.identity,
            date=sys.maxsize if image.foreign else spec.image.environment.date,
            kind=engine.kind,
            spec=spec,
            held=self._held,
            network=network_flags,
            users=_users(engine),
            pidfile=registry.folder / f"{self._id}.pid",
        )

    def attached(self) -> OciMachine:
        """Run a container that ends with this process."""
        with ExitStack() as undo:
            entry = self._note(undo)
            data = archive(self._guest)
            client = self._run(data)
            undo.callback(_end, client)
            pid = self._pid()
            self._warn()
            undo.pop_all()
        return OciMachine(
            entry,
            self._engine,
            name=self._container.name,
            pid=pid,
            client=client,
            cleanup=lambda: self._registry.remove(self._id),
        )

    def kept(self) -> Entry:
        """Run a container that the engine keeps; return its entry."""
        with ExitStack() as undo:
            entry = self._note(undo)
            self._engine.ask(*self._container.keep(), timeout=_PATIENCE)
            undo.callback(remove, self._engine, self._container.name)
            data = archive(self._guest)
            self._engine.ask(*self._container.complete(size=len(data)), stdin=data)
            pid = self._pid()
            entry = replace(entry, pid=pid, born=born(pid), detached=True)
            self._registry.add(entry)
            self._warn()
            undo.pop_all()
        return entry

    def _note(self, undo: ExitStack) -> Entry:
        """Write the target down before anything of it exists."""
        entry = Entry.begun(
            self._id,
            self._spec.name,
            self._guest,
            facts=self._facts(),
            held={"containers": [self._container.name]},
        )
        self._registry.add(entry)
        undo.callback(self._registry.remove, self._id)
        return entry

    def _run(self, data: bytes) -> subprocess.Popen[bytes]:
        answers, said = os.pipe()
        with tempfile.TemporaryFile() as complaints, open(answers, "rb", buffering=0) as answer:
            with open(said, "wb") as stdout:
                client = self._engine.begin(
                    *self._container.run(size=len(data)),
                    stdin=subprocess.PIPE,
                    stdout=stdout,
                    stderr=complaints,
                )
            try:
                self._complete(client, data, answer, complaints)
            except BaseException:
                _end(client)
                remove(self._engine, self._container.name)
                raise
        return client

    def _complete(
        self,
        client: subprocess.Popen[bytes],
        data: bytes,
        answer: RawIOBase,
        complaints: IO[bytes],
    ) -> None:
        """Give the first process its archive and wait until it has worked it in."""
        if client.stdin is not None:
            with suppress(BrokenPipeError):  # what it says below tells why
                client.stdin.write(data)
                client.stdin.flush()
        if _read(answer.fileno(), len(READY), time.monotonic() + _PATIENCE) == READY:
            return
        client.kill()
        client.wait()
        complaints.seek(0)
        raise self._engine.failure(
            f"{self._engine.kind} could not start the target", complaints.read()
        )

    def _pid(self) -> int:
        """Return the number that this host gives the container's first process."""
        if self._engine.kind == "podman":
            return int(self._container.pidfile.read_text())
        name = self._container.name
        return int(self._engine.ask("inspect", "--format={{.State.Pid}}", name).stdout)

    def _facts(self) -> Mapping[str, str]:
        spec = self._spec
        return {
            "backend": NAME,
            "engine": f"{self._engine.kind} {'.'.join(map(str, self._about.version))}",
            "image_digest": self._image.digest,
            "image_from": FOREIGN if self._image.foreign else "gbuild",
            "users": "rootless"
            if self._about.rootless
            else "mapped"
            if self._about.mapped
            else "root",
            "network": self._container.network[0].partition("=")[2] if spec.network else "none",
            "sudo": str(spec.sudo).lower(),
            "scratch": spec.scratch,
            **self._held.facts,
        }

    def _warn(self) -> None:
        if self._held.gaps:
            text = f"limits that this host cannot hold for the target: {'; '.join(self._held.gaps)}"
            self._sink(Event("warning", text))


def _users(engine: Engine) -> tuple[str, ...]:
    """Map the inside's users when podman runs as root; without root it does so itself."""
    if engine.kind != "podman" or os.geteuid() != 0:
        return ()
    idmap: IdMap = current(engine.environment)
    first = idmap.uids[0][1]
    return (f"--uidmap=0:{first}:65536", f"--gidmap=0:{idmap.gids[0][1]}:65536")


def _end(client: subprocess.Popen[bytes]) -> None:
    if client.stdin is not None:
        client.stdin.close()
    try:
        client.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()


def _read(descriptor: int, count: int, deadline: float) -> bytes:
    """Return what comes until ``count`` bytes, the end or the deadline.

    Raises:
        TimedOut: nothing came in time.
    """
    answer = b""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN | select.POLLHUP)
    while len(answer) < count:
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimedOut(f"waited {_PATIENCE:g} seconds for the container to start")
        piece = os.read(descriptor, count - len(answer))
        if not piece:
            break
        answer += piece
    return answer
