"""A target as libvirt's domain XML. Pure: no connection, no file.

Format: libvirt's manual, "Domain XML format" and "QEMU command-line passthrough".
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

CHANNEL = "order"
"""Name of the virtio port on which a target waits for its order."""

NAMESPACE = "https://gbuild.invalid/target/1"
"""Marks our domains: the element says which store and which target of it."""

DOOR = "door"
"""Name of QEMU's network back end for the way in."""

EMULATED = "qemu64"
"""The processor of emulated machines unless told otherwise: a plain one is emulated faster."""

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_DOOR = f"user,id={DOOR},restrict=on,ipv6=off,net=169.254.200.0/24,dhcpstart=169.254.200.15"
_WORDS = (
    "-netdev",
    f"{_DOOR},hostfwd=tcp:127.0.0.1:0-:22",
    "-device",
    f"virtio-net-pci,netdev={DOOR},romfile=,bus=pci.0,addr=0x10",
)
_ARGUMENTS = (
    "console=ttyS0", "net.ifnames=0", "quiet", "panic=-1", "mitigations=off", "audit=0",
    "apparmor=0", "random.trust_cpu=off", "random.trust_bootloader=off", "no_timer_check",
    "cryptomgr.notests", "nowatchdog", "rcupdate.rcu_expedited=1", "tsc=reliable", "edd=off",
    "8250.nr_uarts=1",
)  # fmt: skip
_LEANER = (
    "norandmaps", "lsm=none", "cgroup_disable=memory", "init_on_alloc=0", "hardened_usercopy=off",
    "randomize_kstack_offset=off",
)  # fmt: skip
"""More of them where each instruction is dear: programs at equal addresses are translated only
once, and nobody checks or counts what nothing in a target asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a saved machine has in common with all that are restored from it.

    ``memory`` in MiB; ``kernel`` and ``initrd`` are the files' paths; ``model`` is libvirt's name
    of a processor, None the usual one.
    """

    kernel: Path
    initrd: Path
    emulator: Path
    kind: Literal["kvm", "qemu"]
    memory: int
    cpus: int
    owner: tuple[int, int] | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One target: its name in libvirt, whose it is, and its own files."""

    name: str
    store: str
    identity: str
    shape: Shape
    disk: Path
    console: Path

    @property
    def uuid(self) -> str:
        """The domain's UUID, which follows from its name: a restored one must keep both."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE}/{self.name}"))

    def xml(self) -> str:
        """Return the whole description."""
        shape = self.shape
        return f"""\
<domain type={quoteattr(shape.kind)} xmlns:qemu="{_QEMU}">
  <name>{escape(self.name)}</name>
  <uuid>{self.uuid}</uuid>
  <metadata>
    <gbuild:target xmlns:gbuild="{NAMESPACE}" store={quoteattr(self.store)}\
 id={quoteattr(self.identity)}/>
  </metadata>
  <memory unit="MiB">{shape.memory}</memory>
  <vcpu>{shape.cpus}</vcpu>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>{escape(str(shape.kernel))}</kernel>
    <initrd>{escape(str(shape.initrd))}</initrd>
    <cmdline>{escape(" ".join(_arguments(shape)))}</cmdline>
  </os>
  <features><acpi/></features>
  {_cpu(shape)}
  <clock offset="utc"/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{escape(str(shape.emulator))}</emulator>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2" cache="unsafe" discard="unmap"
        error_policy="stop" rerror_policy="report"/>
      <source file={quoteattr(str(self.disk))}/>
      <target dev="vda" bus="virtio"/>
    </disk>
    <serial type="file"><source path={quoteattr(str(self.console))}/></serial>
    <channel type="unix"><source mode="bind"/>
      <target type="virtio" name="{CHANNEL}"/></channel>
    <controller type="usb" model="none"/>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
    <memballoon model="none"/>
  </devices>
  {_owner(shape)}
  <qemu:commandline>
{_command_line(_WORDS)}
  </qemu:commandline>
</domain>
"""


def processor(shape: Shape) -> str:
    """Name the processor that a machine sees."""
    return shape.model or ("host" if shape.kind == "kvm" else EMULATED)


def _cpu(shape: Shape) -> str:
    match processor(shape):
        case "host":
            return '<cpu mode="host-passthrough" migratable="on"/>'
        case "max":
            return '<cpu mode="maximum"><feature policy="disable" name="la57"/></cpu>'
        case name:
            model = f'<model fallback="forbid">{escape(name)}</model>'
            return f'<cpu mode="custom" match="exact" check="none">{model}</cpu>'


def _owner(shape: Shape) -> str:
    """Return whom QEMU runs as, when libvirt is free to choose: a system's daemon."""
    if shape.owner is None:
        return ""
    user, group = shape.owner
    label = f"<label>+{user}:+{group}</label>"
    return f'<seclabel type="static" model="dac" relabel="no">{label}</seclabel>'


def _arguments(shape: Shape) -> tuple[str, ...]:
    """Return the kernel's arguments."""
    return _ARGUMENTS if shape.kind == "kvm" else (*_ARGUMENTS, *_LEANER)


def _command_line(words: Sequence[str]) -> str:
    return "\n".join(f"    <qemu:arg value={quoteattr(word)}/>" for word in words)
