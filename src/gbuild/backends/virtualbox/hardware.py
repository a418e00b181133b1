"""The virtual hardware of machines made from images, as words for VBoxManage. Pure.

Words: user manual, "VBoxManage createvm", "modifyvm", "storagectl", "storageattach", "clonevm".
What every VirtualBox since 6.0 and a cloud's kernel both have: an IDE disk, virtio network cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WAY_IN = "026762000001"
WAY_OUT = "026762000002"
"""Addresses of the network cards (locally administered); init looks for them."""

Words = tuple[str, ...]

_MEMORY = 2048


def base(name: str, uuid: str, folder: Path, disk: Path, release: Sequence[int]) -> list[Words]:
    """Return the commands that make a machine which boots from a disk, with one way in."""
    seven = tuple(release) >= (7, 0)
    sound = ("--audio-enabled", "off") if seven else ("--audio", "none")
    return [
        (
            *("createvm", "--name", name, "--ostype", "Linux26_64", "--uuid", uuid),
            *("--basefolder", str(folder), "--register"),
        ),
        (
            *("modifyvm", uuid, "--memory", str(_MEMORY), "--cpus", "1", "--firmware", "efi64"),
            *("--ioapic", "on", "--rtcuseutc", "on", "--vrde", "off", *sound),
            *("--boot1", "disk", "--boot2", "none", "--boot3", "none", "--boot4", "none"),
            *("--nic1", "nat", "--nictype1", "virtio", "--macaddress1", WAY_IN),
            *(("--nat-localhostreachable1=off",) if seven else ()),
        ),
        ("storagectl", uuid, "--name", "IDE", "--add", "ide", "--controller", "PIIX4"),
        (
            *("storageattach", uuid, "--storagectl", "IDE", "--port", "0", "--device", "0"),
            *("--type", "hdd", "--medium", str(disk)),
        ),
    ]


def clone(of: str, snapshot: str, name: str, uuid: str, folder: Path) -> Words:
    """Return the command that makes a linked clone of a machine's snapshot."""
    return (
        *("clonevm", of, "--snapshot", snapshot, "--options", "link", "--name", name),
        *("--uuid", uuid, "--basefolder", str(folder), "--register"),
    )


def own(
    uuid: str,
    *,
    port: int,
    console: Path,
    memory: int,
    cpus: int,
    network: bool,
    release: Sequence[int],
) -> Words:
    """Return the command that gives a clone its size, its port of this host, and its cards.

    ``memory`` in MiB.
    """
    out: Words = ("--nic2", "none")
    if network:
        out = (
            *("--nic2", "nat", "--nictype2", "virtio", "--macaddress2", WAY_OUT),
            *("--natdnsproxy2", "on"),
        )
        out += ("--nat-localhostreachable2=off",) if tuple(release) >= (7, 0) else ()
    return (
        *("modifyvm", uuid, "--memory", str(memory), "--cpus", str(cpus)),
        *("--macaddress1", WAY_IN, "--natpf1", f"ssh,tcp,127.0.0.1,{port},,22", *out),
        *("--uart1", "0x3F8", "4", "--uartmode1", "file", str(console)),
    )
