"""What the stand-in keeps on disk: one folder a machine, below VBOX_USER_HOME.

VirtualBox keeps its settings there, too (user manual, "Where Oracle VM VirtualBox stores its
files"). Only the standard library is used: the stand-in runs as a program of the host. It is run
hundreds of times: what is slow to load (pathlib, json, re) is loaded only where it is needed.
"""

from __future__ import annotations

import fcntl
import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedWriter
    from pathlib import Path
    from typing import Any

    Machine = dict[str, Any]
else:
    Machine = dict

BUSY = ("running", "paused")
LOCKED = "VBOX_E_INVALID_OBJECT_STATE (0x80bb0007)"


class Syntax(Exception):
    """What VBoxManage does not understand: it ends with status 2 and shows how it is used."""


class Refusal(Exception):
    """VBoxManage's ``error:`` lines: what, and the result code with the component that gave it."""

    def __init__(self, text: str, code: str = "", component: str = "MachineWrap") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.component = component


def home() -> Path:
    """Return the folder of everything."""
    from pathlib import Path

    return Path(_home())


def _home() -> str:
    return os.environ["VBOX_USER_HOME"]


class Locked:
    """Keeps other VBoxManages out, as the one VBoxSVC of a person does."""

    _file: BufferedWriter

    def __enter__(self) -> None:
        os.makedirs(_home(), exist_ok=True)
        self._file = open(f"{_home()}/lock", "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def folder_of(machine: Machine) -> Path:
    """Return a machine's own folder."""
    return home() / "machines" / str(machine["uuid"])


def save(machine: Machine) -> None:
    """Write a machine down, whole or not at all."""
    folder = f"{_home()}/machines/{machine['uuid']}"
    os.makedirs(folder, exist_ok=True)
    half = f"{folder}/machine.half"
    with open(half, "wb") as file:
        marshal.dump(machine, file)
    os.rename(half, f"{folder}/machine")


def machines() -> list[Machine]:
    """Return every machine, by name; one whose process has died is ``aborted``."""
    found = []
    folder = f"{_home()}/machines"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            with open(f"{folder}/{name}/machine", "rb") as file:
                machine = marshal.load(file)  # noqa: S302 - our own file
        except FileNotFoundError:
            continue  # made or removed just now
        if machine["state"] in ("running", "paused") and not runs(machine):
            machine["state"] = "aborted"
            machine["process"] = None
            save(machine)
        found.append(machine)
    return sorted(found, key=lambda one: one["name"])


def find(name: str) -> Machine:
    """Return a machine by name or UUID."""
    for machine in machines():
        if name in (machine["name"], machine["uuid"]):
            return machine
    # IVirtualBox::findMachine, result VBOX_E_OBJECT_NOT_FOUND: "Could not find registered machine
    # matching nameOrId."
    raise Refusal(
        f"Could not find a registered machine named '{name}'",
        "VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)",
        "VirtualBoxWrap",
    )


def new(name: str, *, uuid: str | None = None, **settings: Any) -> Machine:
    """Make a machine, switched off."""
    if name in [one["name"] for one in machines()]:
        # VBoxManage createvm: "the name of the VM ... must be unique"; the settings file is there.
        raise Refusal(
            f"Machine settings file for '{name}' already exists",
            "VBOX_E_FILE_ERROR (0x80bb0004)",
            "MachineWrap",
        )
    machine: Machine = {
        "uuid": uuid or new_uuid(),
        "name": name,
        "state": "poweroff",
        "process": None,
        "extra": {},
        "snapshots": [],
        "config": {"memory": 1024, "cpus": 1, "forwards": [], **settings},
    }
    save(machine)
    return machine


def new_uuid() -> str:
    """Return a name that nothing else has."""
    with open("/proc/sys/kernel/random/uuid") as file:
        return file.read().strip()


def release() -> str:
    """Return what a test says of which release this is, in the file ``release``."""
    try:
        with open(f"{_home()}/release") as file:
            return file.read().strip()
    except FileNotFoundError:
        return "7.0.20r163906"


def told(name: str) -> bool:
    """Say whether a test has left a mark, and take it away."""
    try:
        os.unlink(f"{_home()}/{name}")
    except FileNotFoundError:
        return False
    return True


def remove(machine: Machine, *, files: bool = True) -> None:
    """Forget a machine, and its files: settings, disks of its own."""
    import shutil
    from pathlib import Path

    shutil.rmtree(folder_of(machine))
    if not files:
        return
    if settings := machine["config"].get("settings_file"):
        shutil.rmtree(Path(settings).parent)
    if not machine["config"].get("parent"):
        for controller in machine["config"].get("storage", {}).values():
            for medium in controller["media"].values():
                Path(medium).unlink()


def runs(machine: Machine) -> bool:
    """Say whether the process that runs a machine is there."""
    process = machine["process"]
    return process is not None and born(process["pid"]) == process["born"]


def born(pid: int) -> str:
    """Return when a process started, in ticks since the boot; nothing if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
