"""What foreign code keeps: the capabilities and namespaces of every sandbox."""

from __future__ import annotations

from gbuild.host.sandbox import kernel

KEPT = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "SETFCAP": 31,
}
"""Names and numbers of linux/capability.h: an ordinary container's without SETPCAP.

sshd needs SYS_CHROOT, SETUID and SETGID; dpkg and maintainer scripts CHOWN, FOWNER, FSETID,
DAC_OVERRIDE and SETFCAP.
"""

CAPABILITIES = sum(1 << number for number in KEPT.values())
"""As a bit mask."""

NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWCGROUP
)
"""Without the user namespace, which is made only where none was made before."""
