"""Linux system calls and constants that Python's standard library does not offer.

Numbers and structures are those of the kernel's user interface (include/uapi). The module is
imported on the path to a target's first command, so it imports little.
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import fcntl
import os
import resource

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MNT_DETACH = 2

# mount_setattr(2): the same names, other numbers.
ATTR_RDONLY = 1
ATTR_NOSUID = 2
ATTR_NODEV = 4

# The flags of openat2(2).
RESOLVE_NO_MAGICLINKS = 2
RESOLVE_NO_SYMLINKS = 4
RESOLVE_IN_ROOT = 16

_SYS_KEYCTL = 250
_SYS_MOUNT_SETATTR = 442
_SYS_OPENAT2 = 437
_SYS_PIVOT_ROOT = 155

_AT_RECURSIVE = 0x8000
_KEYCTL_GET_KEYRING_ID = 0
_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEY_SPEC_SESSION_KEYRING = -3
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_SIGNAL = 64
_SIGCHLD = 17
_SIG_SETMASK = 2
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_CAPABILITIES = 64


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Put this process (with CLONE_NEWPID and CLONE_NEWTIME: its children) in new namespaces."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Put a file system of type ``kind``, or with MS_BIND a directory, at ``target``."""
    done = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _check(done, f"mount {kind or 'bind'} on {target}")


def detach(target: str) -> None:
    """Take a mount out of the tree at once; it is freed when nobody uses it any more."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def restrict_mount(target: str, attributes: int) -> None:
    """Add ``ATTR_*`` to a mount and all below it, without clearing any (mount_setattr(2))."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    done = _libc.syscall(
        _SYS_MOUNT_SETATTR, -100, target.encode(), _AT_RECURSIVE, ctypes.byref(wanted), 32
    )
    _check(done, f"restrict the mount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root mount and put the former root at ``old``."""
    _check(_libc.syscall(_SYS_PIVOT_ROOT, new.encode(), old.encode()), "pivot_root")


def open_strictly(directory: int, path: str, flags: int, mode: int = 0) -> int:
    """Open below a directory descriptor, refusing every symbolic link on the way (openat2(2))."""
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, mode, _STRICT)
    done = _libc.syscall(_SYS_OPENAT2, directory, path.encode(), ctypes.byref(how), 24)
    return _check(done, f"open {path}")


_STRICT = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT


def set_hostname(name: str) -> None:
    """sethostname(2)."""
    data = name.encode()
    _check(_libc.sethostname(data, len(data)), "sethostname")


def new_session_keyring() -> None:
    """Leave the person's session keyring for an empty one of our own (keyctl(2)).

    Where every keyctl is refused, as container engines do, no keyring can be reached by anything
    started from here either, and there is nothing to leave.
    """
    try:
        _check(_libc.syscall(_SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0), "keyctl")
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS) or not _keyrings_are_refused():
            raise


def _keyrings_are_refused() -> bool:
    """Say whether even asking for the number of the own session keyring is not allowed."""
    asked = _libc.syscall(_SYS_KEYCTL, _KEYCTL_GET_KEYRING_ID, _KEY_SPEC_SESSION_KEYRING, 0, 0, 0)
    return bool(asked == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS))


def set_personality(persona: int) -> None:
    """personality(2): 8 is PER_LINUX32, 0x40000 switches address randomisation off."""
    _check(_libc.personality(ctypes.c_ulong(persona)), "personality")


def die_with_parent() -> None:
    """Get SIGKILL when the thread that forked this process ends; lost by a change of uid."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "PR_SET_PDEATHSIG")


def set_dumpable(value: bool) -> None:
    """Say whether /proc/<pid> of this process belongs to its user and may be traced."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, int(value), 0, 0, 0), "PR_SET_DUMPABLE")


def no_new_privileges() -> None:
    """Make set-uid bits and file capabilities inert for this process and all below it."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")


def install_filter(program: bytes) -> None:
    """Install a seccomp filter: ``program`` is an array of ``struct sock_filter``."""
    code = ctypes.create_string_buffer(program)
    # struct sock_fprog: a 16-bit count, padding up to 8 bytes, a pointer
    wrapped = (ctypes.c_uint64 * 2)(len(program) // 8, ctypes.addressof(code))
    done = _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(wrapped), 0, 0)
    _check(done, "PR_SET_SECCOMP")


def keep_capabilities(mask: int) -> None:
    """Bound capabilities to ``mask`` (bit n: capability n) for this process and all below it."""
    for number in range(_CAPABILITIES):
        if not mask >> number & 1:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # EINVAL: this kernel has fewer
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "PR_CAP_AMBIENT")


def set_capabilities(mask: int) -> None:
    """Set effective and permitted capabilities to ``mask`` and inheritable ones to none."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def default_signals() -> None:
    """Set every signal to its default action and unblock all (a nohup'ed parent passes both on)."""
    for number in range(1, _LAST_SIGNAL + 1):
        _libc.signal(number, None)
    _libc.sigprocmask(_SIG_SETMASK, ctypes.byref((ctypes.c_uint64 * 16)()), None)


def watch_children() -> int:
    """Return a descriptor that is readable when a child has ended (signalfd(2))."""
    mask = (ctypes.c_uint64 * 16)(1 << (_SIGCHLD - 1))
    _check(_libc.sigprocmask(_SIG_SETMASK, ctypes.byref(mask), None), "sigprocmask")
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    return _check(_libc.signalfd(-1, ctypes.byref(mask), flags), "signalfd")


def limit_resource(kind: int, soft: int, hard: int) -> None:
    """setrlimit(2), never above the hard limit that this process has already; -1: no limit."""
    _, ceiling = resource.getrlimit(kind)
    if ceiling != resource.RLIM_INFINITY:
        hard = ceiling if hard == resource.RLIM_INFINITY else min(hard, ceiling)
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(kind, (soft, hard))


def raise_loopback() -> None:
    """Bring ``lo`` of this network namespace up (netdevice(7): SIOCSIFFLAGS, IFF_UP)."""
    endpoint = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    request = b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, "little") + bytes(22)
    fcntl.ioctl(endpoint.fileno(), _SIOCSIFFLAGS, request)
    endpoint.close()
