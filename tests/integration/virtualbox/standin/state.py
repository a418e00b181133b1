"""What the stand-in keeps on disk: one folder a machine, below VBOX_USER_HOME.

VirtualBox keeps its settings there, too (user manual, "Where Oracle VM VirtualBox stores its
files"). Only the standard library is used: the stand-in runs as a program of the host.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Machine = dict[str, Any]

BUSY = ("running", "paused")
LOCKED = "VBOX_E_INVALID_OBJECT_STATE (0x80bb0007)"


class Refusal(Exception):
    """VBoxManage's ``error:`` lines: what, and the result code with the component that gave it."""

    def __init__(self, text: str, code: str = "", component: str = "MachineWrap") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.component = component


def home() -> Path:
    """Return the folder of everything."""
    folder = Path(os.environ["VBOX_USER_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked() -> Iterator[None]:
    """Keep other VBoxManages out, as the one VBoxSVC of a person does."""
    with (home() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def folder_of(machine: Machine) -> Path:
    """Return a machine's own folder."""
    return home() / "machines" / str(machine["uuid"])


def save(machine: Machine) -> None:
    """Write a machine down, whole or not at all."""
    folder = folder_of(machine)
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / "machine.json.half"
    half.write_text(json.dumps(machine, indent=1))
    half.rename(folder / "machine.json")


def machines() -> list[Machine]:
    """Return every machine, by name; one whose process has died is ``aborted``."""
    found = []
    for path in (home() / "machines").glob("*/machine.json"):
        machine = json.loads(path.read_text())
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
    return Path("/proc/sys/kernel/random/uuid").read_text().strip()


def remove(machine: Machine) -> None:
    """Forget a machine and its files: settings, disks of its own."""
    import shutil  # slow to load, and most commands need none of it

    shutil.rmtree(folder_of(machine))
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
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
