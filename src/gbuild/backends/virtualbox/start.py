"""One start of a person's machine: its snapshot restored, running, let in, made ready."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gbuild.backends.virtualbox import inside, ports
from gbuild.backends.virtualbox.machine import VirtualBoxMachine, end, power_off
from gbuild.backends.virtualbox.manage import Forward, Info, Manage
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure, Busy, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event, Sink
from gbuild.model.names import target_name
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import Guest
from gbuild.target.registry import Entry, Registry, new_id

NAME = "virtualbox"

_SSH = 22
_PATIENCE = 300.0
_MADE_READY = "docs/how-to/backend-virtualbox.md says how to make one"


def machine_name(label: str, options: Mapping[str, str]) -> str:
    """Return the name of the machine for an environment: Gitian's ``Gitian-<suite>-<arch>``."""
    return options.get("machine") or f"Gitian-{label}"


def snapshot_name(options: Mapping[str, str]) -> str:
    """Return the name of the snapshot that every build starts from."""
    return options.get("snapshot") or "Gitian-Clean"


def key_file(options: Mapping[str, str], environment: Mapping[str, str]) -> Path:
    """Return the private key that the machine lets in as root: Gitian's ``var/id_rsa``.

    Raises:
        UsageFailure: there is no such file.
    """
    given = options.get("key")
    base = Path(environment.get("GITIAN_BASE") or ".")
    path = Path(given) if given else base / "var" / "id_rsa"
    if not path.is_file():
        raise UsageFailure(
            f"there is no key {path} to enter VirtualBox machines with",
            hint="--backend-option key=FILE, or in the workspace: ssh-keygen -t ed25519 -N '' -f "
            "var/id_rsa, and add var/id_rsa.pub to the machine's /root/.ssh/authorized_keys",
        )
    return path.absolute()


def patience_of(options: Mapping[str, str]) -> float:
    """Return the seconds that a machine has until its SSH server answers.

    Raises:
        UsageFailure: the option is no number.
    """
    given = options.get("patience", "")
    if given and not given.isdecimal():
        raise UsageFailure(f"patience={given} is not a number of seconds")
    return float(given or _PATIENCE)


def look(manage: Manage, label: str, options: Mapping[str, str]) -> Info:
    """Return the machine for an environment, with its snapshot.

    Raises:
        BackendFailure: there is no such machine, or it has no such snapshot.
    """
    name, snapshot = machine_name(label, options), snapshot_name(options)
    found = manage.find(name)
    if found is None:
        known = ", ".join(sorted(manage.machines().values())) or "none"
        raise BackendFailure(
            f"VirtualBox has no machine called {name}",
            details=(f"machines of yours: {known}",),
            hint=_MADE_READY,
        )
    if snapshot not in found.snapshots:
        has = ", ".join(found.snapshots) or "none"
        raise BackendFailure(
            f"the machine {found.name} has no snapshot {snapshot}",
            details=(f"snapshots: {has}",),
            hint=f"VBoxManage snapshot {found.name} take {snapshot}",
        )
    return found


def refuse(spec: TargetSpec) -> None:
    """Refuse what cannot be kept in a machine that a person made.

    Raises:
        UsageFailure: root in the machine could take back the network that was taken away.
    """
    if spec.sudo and not spec.network:
        raise UsageFailure(
            "a VirtualBox machine cannot be kept from the network while the build may be root",
            details=("its network card is also the way in, so that only its kernel holds it back",),
            hint="leave --allow-sudo away, or choose another --backend",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Starts targets in machines that a person made."""

    manage: Manage
    store: Store
    registry: Registry
    options: Mapping[str, str]
    environment: Mapping[str, str]
    sink: Sink

    def run(self, spec: TargetSpec, *, detached: bool) -> VirtualBoxMachine:
        """Start a target; whatever goes wrong, its machine is switched off again."""
        refuse(spec)
        patience = patience_of(self.options)
        key = key_file(self.options, self.environment)
        found = look(self.manage, spec.image.environment.label, self.options)
        with ExitStack() as undo, self.store.lock(f"{NAME}-{found.uuid}"):
            self._take(found)
            forward = _forward(found)
            guest = Guest.of(spec)
            way = self._way(found.uuid, forward.port, key)
            entry = self._entry(spec, found, guest, way, detached=detached)
            self.registry.add(entry)
            undo.callback(end, self.manage, entry, self.registry)
            self.manage.set_label(found.uuid, entry.id, str(self.store.root))
            self.manage.ask("snapshot", found.uuid, "restore", snapshot_name(self.options))
            _check_free(forward)
            self.manage.ask("startvm", found.uuid, "--type", "headless")
            way.wait(lambda: self._runs(found.uuid), timeout=patience)
            number = inside.prepare(way, spec, guest)
            entry = replace(entry, facts={**entry.facts, "user_number": str(number)})
            self.registry.add(entry)
            self._warn(spec, found, forward)
            undo.pop_all()
        return self.machine(entry)

    def machine(self, entry: Entry) -> VirtualBoxMachine:
        """Return the machine of a target that runs."""
        port, key = entry.held["door"]
        way = self._way(entry.held["machine"][0], int(port), Path(key))
        return VirtualBoxMachine(
            entry, self.manage, way, self.registry, cut=partial(inside.cut, way)
        )

    def _way(self, uuid: str, port: int, key: Path) -> Way:
        self.registry.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = self.registry.folder / "known_hosts"
        return Way(port=port, key=key, known=known, alias=f"virtualbox-{uuid}")

    def _runs(self, uuid: str) -> bool:
        return self.manage.info(uuid).state == "running"

    def _take(self, found: Info) -> None:
        """Make sure that nobody uses the machine; one that a killed run left is switched off.

        Raises:
            Busy: a target or the person uses it.
        """
        if not found.busy:
            return
        target, store = self.manage.label(found.uuid)
        if store == str(self.store.root):
            users = [entry for entry in self.registry.entries() if entry.id == target]
            if any(self.registry.alive(entry) for entry in users):
                raise Busy(
                    f"the target {users[0].name} uses the machine {found.name}",
                    hint="one build at a time can use a machine; gtarget list shows its target",
                )
            power_off(self.manage, found.uuid)
            return
        raise Busy(
            f"the machine {found.name} runs already, and not for a target of this store",
            hint=f"shut it down, or: VBoxManage controlvm {found.name} poweroff",
        )

    def _entry(
        self, spec: TargetSpec, found: Info, guest: Guest, way: Way, *, detached: bool
    ) -> Entry:
        return Entry.begun(
            new_id(target_name(spec.name, where="the target's name")),
            spec.name,
            guest,
            detached=detached,
            facts=self._facts(spec, found),
            held={
                "machine": [found.uuid, found.name],
                "door": [str(way.port), str(way.key)],
                "server": inside.server(spec),
            },
        )

    def _facts(self, spec: TargetSpec, found: Info) -> Mapping[str, str]:
        limits = spec.limits
        processes = limits.processes
        return {
            "backend": NAME,
            "virtualbox": self.manage.version(),
            "machine": found.name,
            "machine_uuid": found.uuid,
            "snapshot": found.snapshots[snapshot_name(self.options)],
            "network": "nat" if spec.network else "none (kept by the machine's own kernel)",
            "sudo": str(spec.sudo).lower(),
            "scratch": "disk",
            "disk": "unlimited (the machine's own disk)",
            "inodes": "unlimited (the machine's own disk)",
            "memory": str(found.memory),
            "cpus": found.values.get("cpus", "unlimited"),
            "processes": "unlimited" if processes is None else str(processes),
        }

    def _warn(self, spec: TargetSpec, found: Info, forward: Forward) -> None:
        """Say what was asked for and is not so."""
        gaps = []
        if spec.limits.memory is not None and found.memory < spec.limits.memory:
            gaps.append(f"it has {found.memory >> 20} MiB of memory")
        if spec.limits.disk is not None or spec.limits.inodes is not None:
            gaps.append("its disk is as large as you made it")
        if spec.scratch == "tmpfs":
            gaps.append("targets write to its disk")
        if forward.host not in ("127.0.0.1", "localhost", "::1"):
            gaps.append(f"port {forward.port} is open to other hosts, too")
        if gaps:
            text = f"the machine {found.name} is yours and stays as it is: {'; '.join(gaps)}"
            self.sink(Event("warning", text))


def _forward(found: Info) -> Forward:
    """Return the rule that leads to the machine's SSH server.

    Raises:
        BackendFailure: there is none.
    """
    for rule in found.forwards:
        if rule.protocol == "tcp" and rule.inside == _SSH:
            return rule
    raise BackendFailure(
        f"no port of this host leads to the SSH server of the machine {found.name}",
        hint=f"VBoxManage modifyvm {found.name} --natpf1 guestssh,tcp,127.0.0.1,2223,,22, and take "
        "its snapshot again",
    )


def _check_free(forward: Forward) -> None:
    """Make sure that VirtualBox will get the port: it starts a machine without it, too.

    Raises:
        Busy: somebody has it, and would be talked to in the machine's place.
    """
    why = ports.why_taken(forward.host or "0.0.0.0", forward.port)  # noqa: S104 - as the rule says
    if why is not None:
        raise Busy(
            f"port {forward.port} is taken: {why}",
            hint=f"ss -ltnp sport = :{forward.port} shows by whom; another VirtualBox machine "
            "with the same port may run",
        )
