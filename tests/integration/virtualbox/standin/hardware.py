"""VBoxManage's commands that make machines: what they need, and what the real one refuses.

Words and values are those of the user manual's pages on createvm, modifyvm, storagectl,
storageattach, clonevm and convertfromraw; results those of the SDK reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import state
from .state import Machine, Refusal, Syntax

NOT_FOUND = "VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)"
FILE_ERROR = "VBOX_E_FILE_ERROR (0x80bb0004)"
INVALID = "E_INVALIDARG (0x80070057)"

_ON_OFF = frozenset({"on", "off"})
_CARDS = frozenset({"none", "null", "nat"})
_VALUES = {
    "firmware": frozenset({"bios", "efi", "efi32", "efi64"}),
    "ioapic": _ON_OFF,
    "rtcuseutc": _ON_OFF,
    "vrde": _ON_OFF,
    "audio-enabled": _ON_OFF,
    **{f"boot{n}": frozenset({"none", "floppy", "dvd", "disk", "net"}) for n in range(1, 5)},
    **{f"nic{n}": _CARDS for n in range(1, 9)},
    **{f"nictype{n}": frozenset({"Am79C973", "82540EM", "virtio"}) for n in range(1, 9)},
    **{f"natdnsproxy{n}": _ON_OFF for n in range(1, 9)},
    **{f"nat-localhostreachable{n}": _ON_OFF for n in range(1, 9)},
}
"""What an option of modifyvm may be; ``--audio`` is gone since 7.0, its parts have names."""

_SINCE_7 = ("audio-enabled", "nat-localhostreachable")
"""Options that came with 7.0."""

_NUMBERS = {"memory": (4, 2097152), "cpus": (1, 64)}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAC = re.compile(r"[0-9A-Fa-f][02468ACEace][0-9A-Fa-f]{10}")
_CONTROLLERS = {"ide": {"PIIX3", "PIIX4", "ICH6"}, "sata": {"IntelAHCI"}}
_OS_TYPES = frozenset({"Debian_64", "Ubuntu_64", "Linux26_64", "Other_64"})


def options(words: list[str], known: str, *, flags: str = "") -> dict[str, str]:
    """Return ``--name value`` and ``--name=value`` pairs, all of which must be known."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equal, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in (*known.split(), *flags.split()):
            raise Syntax(f"Invalid parameter '{word}'")
        if name in flags.split():
            found[name] = ""
        else:
            found[name] = value if equal else _next(rest, word)
    return found


def createvm(words: list[str]) -> None:
    """``createvm --name N --ostype T --uuid U --basefolder F --register``."""
    given = options(words, "name ostype uuid basefolder", flags="register default")
    if "name" not in given:
        raise Syntax("Parameter --name is required")
    if given.get("ostype") not in _OS_TYPES:
        # IVirtualBox::createMachine, osTypeId: "Guest OS Type ID".
        raise Refusal(f"Guest OS type '{given.get('ostype')}' is invalid", NOT_FOUND)
    if "register" not in given:
        raise Syntax("this stand-in knows only machines that are registered: --register")
    settings = _settings_file(Path(given["basefolder"]), given["name"])
    state.new(
        given["name"],
        uuid=_uuid(given["uuid"]),
        settings_file=str(settings),
        firmware="bios",
        storage={},
    )
    settings.parent.mkdir(parents=True)
    settings.touch()


def clonevm(words: list[str]) -> None:
    """``clonevm NAME --snapshot S --options link --name N --uuid U --basefolder F --register``."""
    source = state.find(words[0])
    given = options(words[1:], "snapshot options name uuid basefolder", flags="register")
    if given.get("options") != "link" or "register" not in given:
        raise Syntax("this stand-in makes linked clones: --options link --register")
    known = {one[key]: one for one in source["snapshots"] for key in ("name", "uuid")}
    if "snapshot" not in given:
        # The manual's page: "link: creates a linked clone from a snapshot only".
        raise Refusal("Linked clone can only be created from a snapshot", INVALID)
    if given["snapshot"] not in known:
        # IMachine::findSnapshot, result VBOX_E_OBJECT_NOT_FOUND: "Snapshot not found."
        raise Refusal(f"Could not find a snapshot named '{given['snapshot']}'", NOT_FOUND)
    settings = _settings_file(Path(given["basefolder"]), given["name"])
    config = dict(known[given["snapshot"]]["config"])
    # Without keepallmacs every network card gets a new address.
    config |= {"macaddress1": "", "macaddress2": "", "settings_file": str(settings)}
    config["parent"] = source["uuid"]
    state.new(given["name"], uuid=_uuid(given["uuid"]), **config)
    settings.parent.mkdir(parents=True)
    settings.touch()


def convertfromraw(words: list[str]) -> None:
    """``convertfromraw IN OUT --format VDI``."""
    from . import disk  # slow to load

    if len(words) < 2:
        raise Syntax("Mandatory option missing")
    source, dest = Path(words[0]), Path(words[1])
    if options(words[2:], "format variant uuid").get("format", "VDI") != "VDI":
        raise Syntax("this stand-in writes VDI")
    if not source.is_file():
        # The manual's page on convertfromraw: the first name is the raw disk image to convert.
        raise Refusal(f'Cannot open file "{source}": VERR_FILE_NOT_FOUND')
    if dest.exists():
        # VBox/vd.h, VDCreateBase: what convertfromraw writes is a new image, opened exclusively.
        raise Refusal(f'Cannot create the disk image "{dest}": VERR_ALREADY_EXISTS')
    disk.convert(source, dest)


def storagectl(words: list[str]) -> None:
    """``storagectl NAME --name C --add ide|sata --controller KIND``."""
    machine = _powered_off(words[0])
    given = options(words[1:], "name add controller portcount bootable hostiocache")
    storage = machine["config"].setdefault("storage", {})
    if given["name"] in storage:
        # IMachine::addStorageController, result VBOX_E_OBJECT_IN_USE.
        raise Refusal(f"Storage controller named '{given['name']}' already exists",
                      "VBOX_E_OBJECT_IN_USE (0x80bb000c)")  # fmt: skip
    if given.get("controller") not in _CONTROLLERS.get(given.get("add", ""), ()):
        raise Syntax(f"Invalid --controller argument '{given.get('controller')}'")
    storage[given["name"]] = {"bus": given["add"], "media": {}}
    state.save(machine)


def storageattach(words: list[str]) -> None:
    """``storageattach NAME --storagectl C --port P --device D --type hdd --medium FILE``."""
    from . import disk  # slow to load

    machine = _powered_off(words[0])
    given = options(words[1:], "storagectl port device type medium mtype")
    controller = machine["config"].get("storage", {}).get(given["storagectl"])
    if controller is None:
        # IMachine::getStorageControllerByName, result VBOX_E_OBJECT_NOT_FOUND.
        raise Refusal(f"Could not find a storage controller named '{given['storagectl']}'",
                      NOT_FOUND)  # fmt: skip
    port, device = int(given["port"]), int(given["device"])
    if port > 1 or device > (1 if controller["bus"] == "ide" else 0):
        # IMachine::attachDevice, result E_INVALIDARG: "SATA device, SATA port, IDE port or IDE
        # slot out of range".
        raise Refusal("The port or device number is out of range", INVALID)
    medium = Path(given["medium"])
    if not medium.is_file() or not disk.is_vdi(medium):
        # IVirtualBox::openMedium, result VBOX_E_FILE_ERROR.
        raise Refusal(f"Could not find file for the medium '{medium}'", FILE_ERROR, "MediumWrap")
    controller["media"][f"{port}-{device}"] = str(medium)
    state.save(machine)


def modifyvm(words: list[str]) -> None:
    """``modifyvm NAME`` with memory, processors, firmware, cards, serial ports and their like."""
    machine = _powered_off(words[0])
    _modify(machine["config"], iter(words[1:]))
    state.save(machine)


def _modify(config: dict[str, Any], words: Iterator[str]) -> None:
    for word in words:
        name, equal, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise Syntax(f"Invalid parameter '{word}'")
        if name == "natpf1":
            _forward(config, words)
        elif re.fullmatch(r"uart[1-4]", name):
            first = value if equal else _next(words, word)
            config[name] = first if first == "off" else [first, _next(words, word)]
        elif re.fullmatch(r"uartmode[1-4]", name):
            config[name] = [_next(words, word), _next(words, word)]
        else:
            _set(config, name, value if equal else _next(words, word), word)


def _set(config: dict[str, Any], name: str, value: str, word: str) -> None:
    if name in _NUMBERS:
        least, most = _NUMBERS[name]
        if not value.isdecimal() or not least <= int(value) <= most:
            # IMachine::memorySize, CPUCount: "Invalid RAM size", result E_INVALIDARG.
            raise Refusal(f"Invalid {name}: {value}", INVALID)
        config[name] = int(value)
    elif re.fullmatch(r"macaddress[1-8]", name):
        if not _MAC.fullmatch(value):
            # INetworkAdapter::MACAddress: twelve hexadecimal digits, and unicast.
            raise Refusal("Invalid MAC address format", INVALID, "NetworkAdapterWrap")
        config[name] = value
    elif name.startswith(_SINCE_7) and state.release().startswith("6"):
        raise Syntax(f"Unknown option: {word}")
    elif value in _VALUES.get(name, ()):
        config[name] = value
    else:
        raise Syntax(f"Invalid parameter '{word}'")


def _forward(config: dict[str, Any], words: Iterator[str]) -> None:
    rule = _next(words, "--natpf1")
    if rule != "delete":
        if rule.split(",")[0] in [one.split(",")[0] for one in config["forwards"]]:
            # INATEngine::addRedirect, result E_INVALIDARG: the name is in use.
            raise Refusal("A NAT rule of this name already exists", INVALID)
        config["forwards"] = [*config["forwards"], rule]
        return
    name = _next(words, "--natpf1")
    kept = [one for one in config["forwards"] if one.split(",")[0] != name]
    if len(kept) == len(config["forwards"]):
        # INATEngine::removeRedirect, result E_INVALIDARG.
        raise Refusal(f"There is no NAT rule '{name}'", INVALID)
    config["forwards"] = kept


def _powered_off(name: str) -> Machine:
    machine = state.find(name)
    if machine["state"] in state.BUSY:
        # ISession::lockMachine for writing, result VBOX_E_INVALID_OBJECT_STATE; the manual's page
        # on modifyvm: "you can use this command only when the VM is powered off".
        raise Refusal(f"The machine '{machine['name']}' is already locked for a session",
                      state.LOCKED)  # fmt: skip
    return machine


def _settings_file(folder: Path, name: str) -> Path:
    path = folder / name / f"{name}.vbox"
    if path.exists():
        # IVirtualBox::createMachine, result VBOX_E_FILE_ERROR: the settings file already exists.
        raise Refusal(f"Machine settings file '{path}' already exists", FILE_ERROR)
    return path


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise Syntax(f"Invalid UUID format: {text}")
    if any(machine["uuid"] == text for machine in state.machines()):
        # IVirtualBox::createMachine, result VBOX_E_OBJECT_IN_USE.
        raise Refusal(f"A machine with UUID {{{text}}} exists",
                      "VBOX_E_OBJECT_IN_USE (0x80bb000c)")  # fmt: skip
    return text


def _next(words: Iterator[str], option: str) -> str:
    try:
        return next(words)
    except StopIteration:
        raise Syntax(f"Missing argument to '{option}'") from None
