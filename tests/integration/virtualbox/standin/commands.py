"""The commands of VBoxManage that gbuild uses, and what the real one refuses.

Each refusal names where VirtualBox documents it: the user manual's pages on VBoxManage, or the
SDK reference of the interface that VBoxManage calls (IMachine, IVirtualBox, ISession).
"""

from __future__ import annotations

import os
import sys
import time

from . import state
from .state import BUSY, LOCKED, Refusal, Syntax

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KILL, _TERM = 9, 15
_INVALID_STATE = "VBOX_E_INVALID_VM_STATE (0x80bb0002)"


def main(argv: Sequence[str]) -> int:
    """Run one command; return the exit status."""
    if argv[:1] == ["standin-run"]:  # the process of a machine
        from . import guest

        guest.main(argv[1])
        return 0
    if state.told("broken"):  # a test says: die in the middle
        os.kill(os.getpid(), _KILL)
    if list(argv) == ["--version"]:
        _say(state.release())
        return 0
    command = _COMMANDS.get(argv[0]) if argv else None
    if command is None:
        _complain(f"VBoxManage: error: Invalid command '{argv[0] if argv else ''}'")
        return 2
    try:
        with state.Locked():
            command(list(argv[1:]))
    except Syntax as error:
        _complain(f"VBoxManage: error: {error}")
        return 2
    except Refusal as error:
        _complain(f"VBoxManage: error: {error.text}")
        if error.code:
            details = f"code {error.code}, component {error.component}, interface IMachine"
            _complain(f"VBoxManage: error: Details: {details}")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def list_(words: list[str]) -> None:
    """``list vms|runningvms``: one machine a line, ``"name" {uuid}``."""
    if words not in (["vms"], ["runningvms"]):
        raise Syntax(f"Unknown option: {' '.join(words)}")
    for machine in state.machines():
        if words == ["vms"] or machine["state"] in BUSY:
            _say(f'"{machine["name"]}" {{{machine["uuid"]}}}')


def showvminfo(words: list[str]) -> None:
    """``showvminfo NAME --machinereadable``: ``key="value"`` lines."""
    if len(words) != 2 or words[1] != "--machinereadable":
        raise Syntax("Invalid parameter")
    machine = state.find(words[0])
    config = machine["config"]
    _say(f'name="{machine["name"]}"')
    _say(f'UUID="{machine["uuid"]}"')
    _say(f"memory={config['memory']}")
    _say(f"cpus={config['cpus']}")
    _say(f'VMState="{machine["state"]}"')
    _say('natnet1="nat"\nnic1="nat"')
    _say(f'CfgFile="{config.get("settings_file", "")}"')
    for number, rule in enumerate(config["forwards"]):
        _say(f'Forwarding({number})="{rule}"')
    _say('macaddress1="0800274B57A1"')
    for number, folder in enumerate(config.get("shared", ()), start=1):
        _say(f'SharedFolderNameMachineMapping{number}="{folder}"')
    if machine["state"] in BUSY:
        _say('SessionName="headless"')
    for number, snapshot in enumerate(machine["snapshots"]):
        place = "-1" * number  # each a child of the one before
        _say(f'SnapshotName{place}="{snapshot["name"]}"')
        _say(f'SnapshotUUID{place}="{snapshot["uuid"]}"')


def setextradata(words: list[str]) -> None:
    """``setextradata NAME KEY [VALUE]``: "Specifying no value removes the keyword"."""
    if len(words) not in (2, 3):
        raise Syntax("Not enough parameters")
    machine = state.find(words[0])
    if len(words) == 2:
        machine["extra"].pop(words[1], None)
    else:
        machine["extra"][words[1]] = words[2]
    state.save(machine)


def getextradata(words: list[str]) -> None:
    """``getextradata NAME KEY``: ``Value: ...`` or ``No value set!``."""
    if len(words) != 2:
        raise Syntax("Incorrect number of parameters")
    value = state.find(words[0])["extra"].get(words[1])
    _say("No value set!" if value is None else f"Value: {value}")


def snapshot(words: list[str]) -> None:
    """``snapshot NAME take|restore SNAPSHOT``."""
    from . import guest  # slow to load

    if len(words) != 3 or words[1] not in ("take", "restore"):
        raise Syntax("Not enough parameters")
    machine = state.find(words[0])
    if words[1] == "take":
        config = dict(machine["config"])
        others = [one for one in machine["snapshots"] if one["name"] != words[2]]
        machine["snapshots"] = others
        others.append({"name": words[2], "uuid": state.new_uuid(), "config": config})
        guest.freeze(machine, words[2])
        state.save(machine)
        return
    known = {one[key]: one for one in machine["snapshots"] for key in ("name", "uuid")}
    if words[2] not in known:
        # IMachine::findSnapshot, result VBOX_E_OBJECT_NOT_FOUND: "Snapshot not found."
        raise Refusal(
            f"Could not find a snapshot named '{words[2]}'",
            "VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)",
        )
    if machine["state"] in BUSY:
        # IMachine::restoreSnapshot: "The machine must not be running, otherwise the operation
        # will fail", result VBOX_E_INVALID_VM_STATE.
        raise Refusal(
            "Cannot delete the current state of the running machine "
            f"(machine state: {machine['state'].capitalize()})",
            _INVALID_STATE,
            "SessionMachine",
        )
    # "This operation resets the VM's settings and current state to that of the snapshot."
    machine["config"] = dict(known[words[2]]["config"])
    machine["state"] = "poweroff"
    guest.reset(machine, known[words[2]]["name"])
    state.save(machine)


def import_(words: list[str]) -> None:
    """``import OVF --vsys 0 --vmname NAME --options keepnatmacs``: "any disk images are in the same
    directory as the OVF file"."""
    from . import guest  # slow to load

    if len(words) != 7 or words[1:4] != ["--vsys", "0", "--vmname"]:
        raise Syntax("Invalid parameter")
    import json
    from pathlib import Path

    ovf = Path(words[0])
    if not ovf.is_file():
        # IAppliance::read, result VBOX_E_FILE_ERROR: "The appliance file could not be read."
        raise Refusal(f"Appliance read failed: {ovf}", "VBOX_E_FILE_ERROR (0x80bb0004)")
    settings = json.loads(ovf.read_text().partition("<!--")[2].partition("-->")[0])
    machine = state.new(words[4], **settings)
    guest.unpack_disk(machine, ovf.parent / "box-disk001.vmdk")


def export(words: list[str]) -> None:
    """``export NAME --output OVF``: the machine as it is now, its disks beside the OVF."""
    from . import guest  # slow to load

    if len(words) != 3 or words[1] != "--output":
        raise Syntax("Invalid parameter")
    machine = state.find(words[0])
    if machine["state"] in BUSY:
        # IMachine::exportTo, result VBOX_E_INVALID_VM_STATE: the machine must be powered off.
        raise Refusal("Machine is not powered off", _INVALID_STATE)
    import json
    from pathlib import Path

    ovf = Path(words[2])
    guest.pack_disk(machine, ovf.parent / "box-disk001.vmdk")
    settings = json.dumps(machine["config"])
    ovf.write_text(f'<Envelope><File ovf:href="box-disk001.vmdk"/><!--{settings}--></Envelope>')


def unregistervm(words: list[str]) -> None:
    """``unregistervm NAME [--delete]``."""
    if words[1:] not in ([], ["--delete"]):
        raise Syntax("Invalid parameter")
    machine = state.find(words[0])
    if machine["state"] in BUSY:
        # IMachine::unregister, result VBOX_E_INVALID_OBJECT_STATE: "Machine is currently locked for
        # a session."
        raise Refusal(f"Cannot unregister the machine '{machine['name']}' while it is locked",
                      LOCKED)  # fmt: skip
    if any(one["config"].get("parent") == machine["uuid"] for one in state.machines()):
        # IMedium::close, result VBOX_E_OBJECT_IN_USE: "Medium has other media attached to it", as a
        # linked clone's differencing image is.
        raise Refusal(
            "Cannot close medium: it has child media", "VBOX_E_OBJECT_IN_USE (0x80bb000c)"
        )
    settings = machine["config"].get("settings_file")
    if words[1:] and settings and not os.path.exists(settings):
        # IMachine::deleteConfig, result VBOX_E_IPRT_ERROR: "Could not delete the settings file".
        raise Refusal("Could not delete the settings file (VERR_FILE_NOT_FOUND)",
                      "VBOX_E_IPRT_ERROR (0x80bb0005)")  # fmt: skip
    state.remove(machine, files=bool(words[1:]))


def sharedfolder(words: list[str]) -> None:
    """``sharedfolder remove NAME --name FOLDER``."""
    if len(words) != 4 or words[0] != "remove" or words[2] != "--name":
        raise Syntax("Invalid parameter")
    machine = state.find(words[1])
    machine["config"]["shared"].remove(words[3])
    state.save(machine)


def startvm(words: list[str]) -> None:
    """``startvm NAME --type headless``: a machine "in the Powered Off or Saved state"."""
    from . import guest  # slow to load

    if len(words) != 3 or words[1:] != ["--type", "headless"]:
        raise Syntax("this stand-in has no display: --type headless")
    machine = state.find(words[0])
    if machine["state"] in BUSY:
        # IMachine::launchVMProcess, result VBOX_E_INVALID_OBJECT_STATE: "Session already open or
        # being opened."
        raise Refusal(
            f"The machine '{machine['name']}' is already locked by a session "
            "(or being locked or unlocked)",
            LOCKED,
        )
    if state.told("full"):  # a test says: no space is left
        # Result of a medium that cannot grow: user manual, "Troubleshooting", "host disk full".
        raise Refusal(
            "VD: error VERR_DISK_FULL opening image file", "NS_ERROR_FAILURE (0x80004005)"
        )
    _say("Waiting for VM to power on...")
    for value in machine["config"].get("storage", {}).values():
        for medium in value["media"].values():
            if not os.path.isfile(medium):
                # IMachine::launchVMProcess: the medium is not accessible.
                raise Refusal(
                    f"Could not open the medium '{medium}'", "VBOX_E_FILE_ERROR (0x80bb0004)"
                )
    machine["process"] = guest.launch(machine)
    machine["state"] = "running"
    state.save(machine)
    _say(f'VM "{machine["name"]}" has been successfully started.')


def controlvm(words: list[str]) -> None:
    """``controlvm NAME poweroff`` ("that of pulling the power cable"), or ``setlinkstate2 off``."""
    if words[1:] not in (["poweroff"], ["setlinkstate2", "off"]):
        raise Syntax("Invalid parameter")
    machine = state.find(words[0])
    if machine["state"] not in BUSY:
        # VBoxManage controlvm: "the VM must be running"; ISession: not locked.
        raise Refusal(f"Machine '{machine['name']}' is not currently running.", "E_FAIL")
    if words[1] != "poweroff":
        from . import guest  # slow to load

        guest.unplug(machine)
        return
    os.kill(machine["process"]["pid"], _TERM)
    while state.runs(machine):
        time.sleep(0.01)
    machine["process"], machine["state"] = None, "poweroff"
    state.save(machine)


def standin(words: list[str]) -> None:
    """``standin install NAME RULE KEY SSHD_CONFIG USER``: what a person does in a window."""
    from pathlib import Path

    from . import guest  # slow to load

    _, name, rule, key, configuration, user = words
    shared = ["work"] if user != "root" else []
    machine = state.new(name, forwards=[rule], shared=shared)
    guest.install(machine, Path(key).read_text(), configuration, user)


def _hardware(name: str) -> Callable[[list[str]], None]:
    """Return a command of hardware.py, which is slow to load."""

    def command(words: list[str]) -> None:
        from . import hardware

        getattr(hardware, name)(words)

    return command


_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "list": list_,
    "showvminfo": showvminfo,
    "setextradata": setextradata,
    "getextradata": getextradata,
    "snapshot": snapshot,
    "export": export,
    "import": import_,
    "sharedfolder": sharedfolder,
    "unregistervm": unregistervm,
    "startvm": startvm,
    "controlvm": controlvm,
    "standin": standin,
    **{
        name: _hardware(name)
        for name in (
            *("modifyvm", "createvm", "clonevm", "convertfromraw"),
            *("storagectl", "storageattach"),
        )
    },
}
