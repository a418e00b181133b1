"""VirtualBox by its own program: argument lists in, what it printed or why it refused out.

What it prints is that of the user manual's chapter on VBoxManage; ``--machinereadable`` is the
only form that is read.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import BackendFailure, MissingTool
from gbuild.host.process import Completed, run, which

PROGRAM = "VBoxManage"
LABEL = "gbuild/target"
"""Key of extra data: which target of which store a machine is used by, ``<id> <store>``."""

RUNNING = frozenset({"running", "paused", "starting", "stuck", "stopping", "saving", "restoring"})
"""States (VMState) in which a process runs the machine."""

_PASSED = (
    *("HOME", "LOGNAME", "USER", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"),
    *("VBOX_USER_HOME", "VBOX_IPC_SOCKETID", "VBOX_APP_HOME"),
)
"""How VBoxManage finds the person's machines and the service that keeps them."""

NOT_FOUND = "VBOX_E_OBJECT_NOT_FOUND"
LOCKED = "VBOX_E_INVALID_OBJECT_STATE"
_CODE = re.compile(r"^VBoxManage: error: Details: code (\w+)", re.MULTILINE)
_FULL = re.compile(r"VERR_DISK_FULL|no space left on device", re.IGNORECASE)
_INFO = re.compile(r'"?(?P<key>[^"=]+)"?="?(?P<value>.*?)"?')
_LISTED = re.compile(r'"(?P<name>.*)" \{(?P<uuid>[0-9a-f-]{36})\}')
_PATIENCE = 300.0


class Refused(BackendFailure):
    """VBoxManage said no; ``code`` is the result code it gave (``VBOX_E_...``), or nothing."""

    code = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """A rule by which VirtualBox's NAT hands connections to this host on to the machine."""

    name: str
    protocol: str
    host: str
    port: int
    inside: int


@dataclass(frozen=True, slots=True)
class Info:
    """What VirtualBox knows of one machine (``showvminfo --machinereadable``)."""

    values: Mapping[str, str]

    @property
    def uuid(self) -> str:
        """The name that never changes."""
        return self.values["UUID"]

    @property
    def name(self) -> str:
        """The name that people see."""
        return self.values["name"]

    @property
    def state(self) -> str:
        """``poweroff``, ``saved``, ``aborted``, ``running``, ``paused``, ..."""
        return self.values.get("VMState", "")

    @property
    def busy(self) -> bool:
        """Whether a process has the machine: it runs, or is about to let go of it."""
        return self.state in RUNNING or bool(self.values.get("SessionName"))

    @property
    def settings_file(self) -> str:
        """Path of its settings."""
        return self.values.get("CfgFile", "")

    @property
    def memory(self) -> int:
        """Bytes of memory."""
        return int(self.values["memory"]) << 20

    @property
    def snapshots(self) -> Mapping[str, str]:
        """Names of the snapshots, with their UUIDs."""
        start = "SnapshotName"
        places = {v: k.removeprefix(start) for k, v in self.values.items() if k.startswith(start)}
        return {name: self.values.get(f"SnapshotUUID{where}", "") for name, where in places.items()}

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """The rules of the NAT of every network card."""
        rules = (v.split(",") for k, v in self.values.items() if k.startswith("Forwarding("))
        return tuple(
            Forward(name=r[0], protocol=r[1], host=r[2], port=int(r[3]), inside=int(r[5]))
            for r in rules
            if len(r) == 6 and r[3].isdecimal() and r[5].isdecimal()
        )


class Manage:
    """VBoxManage, run as this person.

    Args:
        options: ``program`` is the path of another VBoxManage than the one in PATH.
        environment: the person's, of which only what VirtualBox itself reads is passed.
    """

    def __init__(self, options: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self._options = options
        self._version = ""
        self._environment = {name: environment[name] for name in _PASSED if name in environment}

    @property
    def program(self) -> Path:
        """The program.

        Raises:
            MissingTool: it is not there.
        """
        if given := self._options.get("program"):
            if not Path(given).is_file():
                raise MissingTool(f"{given} is not a program that can be run")
            return Path(given)
        try:
            return which(PROGRAM, package="virtualbox")
        except MissingTool as error:
            hint = f"{error.hint} (Ubuntu), or install VirtualBox as its makers say"
            raise MissingTool(error.brief, hint=hint) from error

    def version(self) -> str:
        """Return VirtualBox's version and revision: ``7.0.20r163906``; asks once."""
        if not self._version:
            self._version = self.ask("--version").split()[-1]
        return self._version

    def release(self) -> tuple[int, ...]:
        """Return the first two numbers of the version."""
        return tuple(int(word) for word in self.version().split(".")[:2] if word.isdecimal())

    def ask(self, *words: str, timeout: float = _PATIENCE) -> str:
        """Run VBoxManage with these words and return what it printed.

        Raises:
            Refused: it said no; the details are its words.
            MissingTool: it is not there.
            TimedOut: it did not end in ``timeout`` seconds.
        """
        done = run(
            (self.program, *words),
            env=self._environment,
            timeout=timeout,
            check=False,
            lingering=True,
        )
        if done.returncode != 0:
            raise _refusal(done)
        return done.stdout.decode(errors="replace")

    def find(self, name: str) -> Info | None:
        """Return what is known of a machine, by name or UUID; None if there is none."""
        try:
            return self.info(name)
        except Refused as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def info(self, name: str) -> Info:
        """Return what is known of a machine that is there."""
        values = {}
        for line in self.ask("showvminfo", name, "--machinereadable").splitlines():
            if match := _INFO.fullmatch(line):
                values[match["key"]] = match["value"]
        return Info(values)

    def machines(self) -> Mapping[str, str]:
        """Return the UUIDs of all machines, with their names."""
        matches = map(_LISTED.fullmatch, self.ask("list", "vms").splitlines())
        return {match["uuid"]: match["name"] for match in matches if match}

    def label(self, uuid: str) -> tuple[str, str]:
        """Return the target and the store that a machine is used by; empty texts if none."""
        said = self.ask("getextradata", uuid, LABEL).strip()
        value = said.removeprefix("Value: ") if said.startswith("Value: ") else ""
        target, _, store = value.partition(" ")
        return target, store

    def set_label(self, uuid: str, target: str, store: str) -> None:
        """Say that a machine is used by a target of ours. It is no part of any snapshot."""
        self.ask("setextradata", uuid, LABEL, f"{target} {store}")

    def clear_label(self, uuid: str) -> None:
        """Say that nobody uses a machine."""
        self.ask("setextradata", uuid, LABEL)


def _refusal(done: Completed) -> Refused:
    said = done.stderr.decode(errors="replace")
    how = f"failed with status {done.returncode}"
    if done.returncode < 0:
        how = f"was killed ({signal.Signals(-done.returncode).name})"
    lines = [line for line in said.splitlines() if line.strip()][:12]
    hint = "free some space where VirtualBox keeps its machines" if _FULL.search(said) else None
    error = Refused(f"VBoxManage {done.argv[1]} {how}", details=tuple(lines), hint=hint)
    if match := _CODE.search(said):
        error.code = match[1]
    return error
