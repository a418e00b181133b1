"""One start: everything written down before it is made, and unmade when a later step fails."""

from __future__ import annotations

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
from gbuild.backends.kvm.library import Connection, DomainHandle, find, told
from gbuild.backends.kvm.machine import left_there
from gbuild.backends.kvm.outside import WayOut, name_servers
from gbuild.backends.kvm.pieces import Boot, Pieces
from gbuild.backends.kvm.site import Made, Site
from gbuild.backends.kvm.targets import Targets
from gbuild.errors import BackendFailure, GbuildError, HostFailure, TimedOut, UsageFailure
from gbuild.model.event import Event, Sink
from gbuild.model.names import target_name
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import Guest, archive
from gbuild.target.registry import Entry, new_id, token_of

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
    site: Site
    connect: Callable[[], Connection]
    pieces: Pieces
    targets: Targets
    options: Mapping[str, str]
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
        self.site.refuse(spec)
        _yes(self.options, "saved-state")  # told before anything is made
        boot = self.pieces.boot(spec.image)
        self.connect()  # what nobody answers for needs no entry
        inside = Guest.of(spec, resolver=name_servers() if spec.network else "")
        token = token_of(identity)
        with ExitStack() as undo:
            entry = self._new(identity, token, inside, detached=detached)
            undo.callback(self._undo, entry)
            domain = self._domain(entry, token, self.site.made(boot, spec.image))
            shape = self._accelerated(domain, boot)
            entry, domain = self._claim(entry, replace(domain, shape=shape))
            handle = Hypervisor(self.connect, domain.uuid, identity, spec.name)
            with self._with_console(token):
                how = self._machine(domain)
                handle.release()
                if spec.network:
                    self._connect(handle, entry, shape)
                self._order(inside, detached=detached)
            handle.hush()
            facts = order.facts(spec, shape, uri=self.site.address.shown, how=how)
            entry = self.targets.answered(entry, port=handle.port(), facts=facts)
            if detached:
                self._let_go()
            undo.pop_all()
        self._warn()
        return entry

    def _new(self, identity: str, token: str, inside: Guest, *, detached: bool) -> Entry:
        """Write a target down before anything of it is made."""
        entry = Entry.begun(
            identity,
            self.spec.name,
            inside,
            detached=detached,
            held={
                "uri": [self.site.address.uri],
                "image": [self.spec.image.key],
                **self.site.held(token),
            },
        )
        self.targets.registry.add(entry)
        return entry

    def _domain(self, entry: Entry, token: str, made: Made) -> Domain:
        """Make the target's own files; return its machine as far as it is known without a name."""
        asked = self.spec.limits.memory
        memory = asked >> 20 if asked else _number(self.options, "memory", 2048)
        shape = Shape(
            kernel=made.kernel,
            initrd=made.initrd,
            emulator=self.site.emulator(),
            kind="qemu",
            memory=max(memory, _SMALLEST),
            cpus=processors(self.spec, "qemu", here=self.site.processors()),
            owner=self.site.owner("qemu"),
            model=self.spec.extras.get("processor.model"),
        )
        own = self.site.own(token, made, shape.owner)
        return Domain(
            name=f"gbt{token}",
            store=self.site.mark,
            identity=entry.id,
            shape=shape,
            disk=own.disk,
            console=own.console,
        )

    def _accelerated(self, domain: Domain, boot: Boot) -> Shape:
        """Return the machine's shape with KVM or without."""
        site, cpus = self.site, processors(self.spec, "kvm", here=self.site.processors())
        with_kvm = replace(domain.shape, kind="kvm", cpus=cpus, owner=site.owner("kvm"))
        versions = (*self._versions(), str(with_kvm.emulator), boot.key)
        record = self.pieces.root / "trials" / saved.family(with_kvm, site.now(), *versions)

        def trial() -> bool:
            self.sink(Event("step", "trying whether a machine boots by KVM"))
            machine = replace(domain, shape=with_kvm)
            return saved.boots(self.connect, machine, timeout=acceleration.TRIAL)

        node = f"KVM of {site.address.host}" if site.address.ssh else acceleration.NODE
        wanted = self.options.get("acceleration", "auto")
        kind, note = acceleration.choose(wanted, record, trial, node=node, mend=site.obstacle())
        if note is not None:
            self.sink(Event("info", note))
        return with_kvm if kind == "kvm" else domain.shape

    def _claim(self, entry: Entry, domain: Domain) -> tuple[Entry, Domain]:
        """Choose a name that is free in libvirt, and write it down."""
        beginning = saved.family(domain.shape, self.site.mark, *self._versions())
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
        """Leave nothing; what a host that does not answer has stays, written down."""
        self._drop()
        try:
            self.targets.end(entry)
        except HostFailure as error:
            self.sink(left_there(entry.name, error))

    def _drop(self) -> None:
        while self.keep:
            self.keep.pop().close()

    def _let_go(self) -> None:
        """Let a detached machine live on without this process."""
        for one in self.keep:
            one.keep()
        self.keep.clear()

    def _machine(self, domain: Domain) -> str:
        """Start the domain, from a saved state if that is wanted and works; say which it was."""
        wanted = self.site.saves and _yes(self.options, "saved-state")
        if wanted and self._restored(domain):
            handle = find(self.connect(), domain.uuid)
            if handle is not None:
                self._talk(handle)
                return "restored"
        channel = self._talk(hypervisor.start(self.connect(), domain))
        channel.expect(saved.READY, timeout=_BOOT)
        return "booted"

    def _talk(self, domain: DomainHandle) -> Channel:
        """Open the channel of a machine, and hold it."""
        host = self.site.address.host
        channel = Channel(self.connect(), domain, self.spec.name, host=host)
        self.keep.append(channel)
        return channel

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

    def _connect(self, handle: Hypervisor, entry: Entry, shape: Shape) -> None:
        """Give the machine its way out."""
        path = Path(entry.held["folder"][0]) / "out"
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

    @contextmanager
    def _with_console(self, token: str) -> Iterator[None]:
        """Add what the machine said last on its console to an error."""
        try:
            yield
        except (BackendFailure, TimedOut) as error:
            try:
                tail = self.site.said(token)[-_TAIL:].decode(errors="replace").splitlines()
            except GbuildError:
                raise error from None  # its host does not answer any more
            said = tuple(f"console: {line}" for line in tail if line.strip())
            raise error.retold(error.brief, details=(*error.details, *said)) from error

    def _warn(self) -> None:
        if gaps := order.gaps(self.spec):
            text = f"limits that this backend cannot hold for the target: {'; '.join(gaps)}"
            self.sink(Event("warning", text))


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


def processors(spec: TargetSpec, kind: acceleration.Kind, *, here: int) -> int:
    """Return how many processors a machine gets: those it may run on, as many as it may use.

    Nothing said, all of its host's (``here``) with KVM, and half of them emulated: processors that
    are emulated side by side empty each other's translations whenever a process begins or ends.
    """
    if named := spec.extras.get("processors"):
        return len(named.split(","))
    return spec.limits.cpus or min(here if kind == "kvm" else -(-here // 2), _MOST_PROCESSORS)


def _number(options: Mapping[str, str], name: str, usual: int) -> int:
    given = options.get(name, str(usual))
    if not given.isdecimal():
        raise UsageFailure(f"the option {name} of the backend kvm is a number, not {given!r}")
    return int(given)


def _yes(options: Mapping[str, str], name: str) -> bool:
    """Say whether an option that is on by itself was left on."""
    given = options.get(name, "yes")
    if given not in ("yes", "no"):
        raise UsageFailure(f"the option {name} of the backend kvm is yes or no, not {given!r}")
    return given == "yes"
