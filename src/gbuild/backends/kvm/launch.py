"""One start: everything written down before it is made, and unmade when a later step fails."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gbuild.backends.kvm import acceleration, hypervisor, kept, order, saved
from gbuild.backends.kvm.channel import Channel
from gbuild.backends.kvm.domain import Domain, Shape
from gbuild.backends.kvm.hypervisor import Hypervisor
from gbuild.backends.kvm.library import Connection, find, told
from gbuild.backends.kvm.outside import WayOut, name_servers
from gbuild.backends.kvm.pieces import Boot, Pieces
from gbuild.backends.kvm.targets import Targets
from gbuild.errors import BackendFailure, TimedOut, UsageFailure
from gbuild.host.idmap import current
from gbuild.host.process import run, which
from gbuild.image.disk import SIZE
from gbuild.model.event import Event, Sink
from gbuild.model.names import target_name
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import Guest, archive
from gbuild.target.registry import Entry, new_id

_BOOT = 600.0
"""Seconds until a machine is ready for its order, and again until it lets SSH in."""

_TAIL = 2000
"""Bytes of a failed machine's console that an error shows."""

_SMALLEST = 256
"""MiB that a kernel and an SSH server need."""

_MOST_PROCESSORS = 8


@dataclass(slots=True, kw_only=True)
class Launch:
    """What one start works with; ``keep`` holds what ends the machine when it is let go of."""

    spec: TargetSpec
    uri: str
    connect: Callable[[], Connection]
    pieces: Pieces
    targets: Targets
    options: Mapping[str, str]
    environment: Mapping[str, str]
    sink: Sink
    keep: list[Channel | WayOut] = field(default_factory=list)

    def run(self, *, detached: bool) -> Entry:
        """Start the target and return its entry once SSH is let in.

        Raises:
            UsageFailure: the image is of another architecture, or its lock has no kernel.
            BackendFailure, TimedOut: it did not start.
        """
        spec = self.spec
        identity = new_id(target_name(spec.name, where="the target's name"))
        refuse_architecture(spec)
        boot = self.pieces.boot(spec.image)
        self.connect()  # what nobody answers for needs no entry
        inside = Guest.of(spec, resolver=name_servers() if spec.network else "")
        folder = self.pieces.root / "targets" / identity.rpartition("~")[2]
        with ExitStack() as undo:
            entry = self._new(identity, folder, inside, detached=detached)
            undo.callback(self._undo, entry)
            disk = self.pieces.disk(spec.image)
            domain = self._domain(entry, folder, boot)
            self._own_files(domain, disk)
            shape = self._accelerated(domain, boot)
            entry, domain = self._claim(entry, replace(domain, shape=shape))
            handle = Hypervisor(self.connect, domain.uuid, identity, spec.name)
            with _with_console(domain.console):
                how = self._machine(domain)
                handle.release()
                if spec.network:
                    self._connect(handle, folder, shape)
                self._order(inside, detached=detached)
            handle.hush()
            facts = order.facts(spec, shape, uri=self.uri, how=how)
            entry = self.targets.answered(entry, port=handle.port(), facts=facts)
            if detached:
                self._let_go()
            undo.pop_all()
        self._warn()
        return entry

    def _new(self, identity: str, folder: Path, inside: Guest, *, detached: bool) -> Entry:
        """Write a target down before anything of it is made."""
        entry = Entry.begun(
            identity,
            self.spec.name,
            inside,
            detached=detached,
            held={
                "uri": [self.uri],
                "folder": [str(folder)],
                "image": [self.spec.image.key],
            },
        )
        self.targets.registry.add(entry)
        return entry

    def _domain(self, entry: Entry, folder: Path, boot: Boot) -> Domain:
        """Return the target's machine as far as it is known before it has a name."""
        asked = self.spec.limits.memory
        memory = asked >> 20 if asked else _number(self.options, "memory", 2048)
        shape = Shape(
            kernel=boot.kernel,
            initrd=boot.initrd,
            emulator=which("qemu-system-x86_64", package="qemu-system-x86"),
            kind="qemu",
            memory=max(memory, _SMALLEST),
            cpus=processors(self.spec, "qemu"),
            owner=self._owner(),
            model=self.spec.extras.get("processor.model"),
        )
        return Domain(
            name=f"gbt{folder.name}",
            store=self.pieces.root.parent,
            identity=entry.id,
            shape=shape,
            disk=folder / "disk.qcow2",
            console=folder / "console.log",
        )

    def _owner(self) -> tuple[int, int] | None:
        """Return whom a system's QEMU runs as: somebody who owns nothing else."""
        if not self.uri.partition("?")[0].endswith("/system"):
            return None
        idmap = current(self.environment)
        return idmap.outside(0), idmap.gids[0][1]

    def _accelerated(self, domain: Domain, boot: Boot) -> Shape:
        """Return the machine's shape with KVM or without."""
        with_kvm = replace(domain.shape, kind="kvm", cpus=processors(self.spec, "kvm"))
        if with_kvm.owner is not None and acceleration.NODE.exists():
            group = acceleration.NODE.stat().st_gid
            with_kvm = replace(with_kvm, owner=(with_kvm.owner[0], group))
        versions = (*self._versions(), str(with_kvm.emulator), boot.key)
        record = self.pieces.root / "trials" / saved.family(with_kvm, _this_boot(), *versions)

        def trial() -> bool:
            self.sink(Event("step", "trying whether a machine boots by KVM"))
            machine = replace(domain, shape=with_kvm)
            return saved.boots(self.connect, machine, timeout=acceleration.TRIAL)

        kind, note = acceleration.choose(self.options.get("acceleration", "auto"), record, trial)
        if note is not None:
            self.sink(Event("info", note))
        return with_kvm if kind == "kvm" else domain.shape

    def _claim(self, entry: Entry, domain: Domain) -> tuple[Entry, Domain]:
        """Choose a name that is free in libvirt, and write it down."""
        beginning = saved.family(domain.shape, str(self.pieces.root), *self._versions())
        with self.targets.choosing():
            with told("libvirt does not list its domains"):
                running = {one.name() for one in self.connect().listAllDomains()}
            name = saved.free_name(beginning, running | self.targets.names())
            domain = replace(domain, name=name)
            return self.targets.named(entry, domain.name, domain.uuid), domain

    def _versions(self) -> tuple[str, str]:
        connection = self.connect()
        with told("libvirt does not tell its version"):
            return str(connection.getVersion()), str(connection.getLibVersion())

    def _undo(self, entry: Entry) -> None:
        self._drop()
        self.targets.end(entry)

    def _drop(self) -> None:
        while self.keep:
            self.keep.pop().close()

    def _let_go(self) -> None:
        """Let a detached machine live on without this process."""
        for one in self.keep:
            one.keep()
        self.keep.clear()

    def _own_files(self, domain: Domain, disk: Path) -> None:
        """Make the target's folder and in it the file that takes what it writes."""
        folder, owner = domain.disk.parent, domain.shape.owner
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        folder.mkdir(mode=0o700)
        tool = which("qemu-img", package="qemu-utils")
        words = ("create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(domain.disk))
        run((tool, *words, str(SIZE)), timeout=60)
        domain.console.touch(mode=0o600)
        if owner is not None:
            for path in (folder, domain.disk, domain.console):
                os.chown(path, *owner)

    def _machine(self, domain: Domain) -> str:
        """Start the domain, from a saved state if that is wanted and works; say which it was."""
        if self.options.get("saved-state", "yes") == "yes" and self._restored(domain):
            handle = find(self.connect(), domain.uuid)
            if handle is not None:
                self.keep.append(Channel(self.connect(), handle, self.spec.name))
                return "restored"
        handle = hypervisor.start(self.connect(), domain)
        channel = Channel(self.connect(), handle, self.spec.name)
        self.keep.append(channel)
        channel.expect(saved.READY, timeout=_BOOT)
        return "booted"

    def _restored(self, domain: Domain) -> bool:
        folder = self.pieces.root / "saved" / domain.name
        if not kept.unchanged(folder):
            if kept.kept(folder):
                self.sink(Event("warning", "a saved machine was changed since: saving another"))
            self.sink(Event("step", "saving a booted machine, for faster starts from now on"))
            try:
                saved.save(self.connect, domain, folder, timeout=_BOOT)
            except BackendFailure as error:
                why = "; ".join((error.brief, *error.details))
                self.sink(Event("warning", f"{why}: booting instead"))
                return False
        if saved.restore(self.connect(), domain, folder):
            return True
        kept.remove(folder)
        self.sink(Event("warning", "libvirt does not restore what it saved: booting instead"))
        return False

    def _connect(self, handle: Hypervisor, folder: Path, shape: Shape) -> None:
        """Give the machine its way out."""
        path = folder / "out"
        self.keep.append(WayOut(path, shape.owner))
        handle.connect(path)

    def _order(self, inside: Guest, *, detached: bool) -> None:
        """Give the machine its order, and wait until it is done."""
        files = archive(inside)
        channel = next(one for one in self.keep if isinstance(one, Channel))
        seed = secrets.token_hex(64)
        words = order.text(
            self.spec, detached=detached, now=time.time(), seed=seed, size=len(files)
        )
        channel.send(words + files)
        channel.expect("up", timeout=_BOOT)

    def _warn(self) -> None:
        if gaps := order.gaps(self.spec):
            text = f"limits that this backend cannot hold for the target: {'; '.join(gaps)}"
            self.sink(Event("warning", text))


@contextmanager
def _with_console(path: Path) -> Iterator[None]:
    """Add what the machine said last on its console to an error."""
    try:
        yield
    except (BackendFailure, TimedOut) as error:
        tail = path.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()
        said = tuple(f"console: {line}" for line in tail if line.strip())
        raise error.retold(error.brief, details=(*error.details, *said)) from error


def refuse_architecture(spec: TargetSpec) -> None:
    """Refuse what this backend's machines cannot run.

    Raises:
        UsageFailure: it is of another architecture.
    """
    arch = spec.image.environment.arch
    if arch not in ("amd64", "i386"):
        raise UsageFailure(
            f"the backend kvm starts amd64 and i386, not {arch}",
            hint="choose another: --backend userns on a host of that architecture",
        )


def processors(spec: TargetSpec, kind: acceleration.Kind) -> int:
    """Return how many processors a machine gets: those it may run on, as many as it may use.

    Nothing said, all of this host's with KVM, and half of them emulated: processors that are
    emulated side by side empty each other's translations whenever a process begins or ends.
    """
    if named := spec.extras.get("processors"):
        return len(named.split(","))
    here = os.cpu_count() or 1
    return spec.limits.cpus or min(here if kind == "kvm" else -(-here // 2), _MOST_PROCESSORS)


def _number(options: Mapping[str, str], name: str, usual: int) -> int:
    given = options.get(name, str(usual))
    if not given.isdecimal():
        raise UsageFailure(f"the option {name} of the backend kvm is a number, not {given!r}")
    return int(given)


def _this_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
