"""A stand-in's running machine: namespaces of this host in place of virtual hardware.

Its disk is an overlay over this host's own root folder, so that it is a whole Debian with dpkg,
apt and an SSH server; what it writes stays on the "disk" until a snapshot is restored. Its network
card leads to pasta in place of VirtualBox's NAT: the same addresses, and this host's loopback at
the gateway when the machine was told so. Ports of the host that lead inside are a relay's.

A machine that was made with a disk boots what is on that, as far as namespaces can: the image's
root and the initrd's second script are run, kernel and first script are only looked for.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn

from . import disk, state
from .state import Machine

_PATIENCE = 120.0
_PROGRAM = Path(__file__).parent / "VBoxManage"
_OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")

_PASTA = (
    *("pasta", "-f", "-q", "--runas", "0", "--netns-only"),
    *("-t", "none", "-u", "none", "-T", "none", "-U", "none", "-n", "24"),
)
_FIRST = ("--config-net", "-a", "10.0.2.15", "-g", "10.0.2.2", "-I", "eth0")
_SECOND = ("-a", "10.0.3.15", "-g", "10.0.3.2", "-I", "eth1")
"""The NAT of the first and of the second card (user manual, "Network Address Translation")."""

_CLONE_NEWNET = 0x40000000

_PERSONS_DISK = """\
set -e
disk=$1
root=$disk/root
mkdir -p "$root" "$disk/upper" "$disk/work"
mount -t overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" overlay "$root"
"""
_IMAGES_DISK = """\
set -e
disk=$1
root=$disk/root
mkdir -p "$root" "$disk/new"
mount -t tmpfs -o "mode=0755,size=$3" tmpfs "$disk/new"
mkdir "$disk/new/upper" "$disk/new/work"
options="lowerdir=$2,upperdir=$disk/new/upper,workdir=$disk/new/work"
mount -t overlay -o "$options" overlay "$root"
"""
_FURNITURE = """\
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
ip link set lo up
echo $$ > "$disk/ready"
until [ -e "$disk/go" ]; do sleep 0.02; done
"""
_NO_HARM = "setpriv --bounding-set -sys_time,-sys_boot,-sys_module"
_PERSONS = f"""\
mkdir -p "$root/run/sshd"
hostname debian
{_NO_HARM} \\
    chroot "$root" /usr/sbin/sshd -e -f /etc/ssh/sshd_config || echo "no SSH server"
trap 'exit 0' USR1
sleep infinity &
wait
"""
_IMAGES = f"""\
ip link add eth0 address 02:67:62:00:00:01 type veth peer name cable
mkdir -p "$root/run/gbuild/door"
cp "$disk/initrd/busybox" "$root/run/gbuild"
cp "$disk/initrd/next" "$root/run/gbuild/init"
cp "$disk"/initrd/keys/* "$root/run/gbuild/door"
exec {_NO_HARM} chroot "$root" /run/gbuild/busybox sh /run/gbuild/init
"""


def launch(machine: Machine) -> dict[str, object]:
    """Switch a machine on; return its process, in which all of it ends."""
    folder = state.folder_of(machine)
    (folder / "disk").mkdir(exist_ok=True)
    for name in ("ready", "go"):
        (folder / "disk" / name).unlink(missing_ok=True)
    with (folder / "VBox.log").open("wb") as log:
        process = subprocess.Popen(
            [*_OWN_MOUNTS, _PROGRAM, "standin-run", machine["uuid"]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return {"pid": process.pid, "born": state.born(process.pid)}


def unplug(machine: Machine) -> None:
    """Pull the cable of the second card: nothing goes by its NAT any more."""
    path = state.folder_of(machine) / "disk" / "nat2"
    if path.exists():
        os.kill(int(path.read_text()), signal.SIGKILL)
        path.unlink()


def install(machine: Machine, key: str, configuration: str, user: str) -> None:
    """Put an SSH server with the person's key on a new machine's disk; others than root are new."""
    upper = state.folder_of(machine) / "disk" / "upper"
    home = upper / "root" if user == "root" else upper / "home" / user
    ssh, keys, programs = upper / "etc" / "ssh", home / ".ssh", upper / "usr" / "sbin"
    for folder in (ssh, keys, programs):
        folder.mkdir(parents=True)
    home.chmod(0o700)
    # In its root's home lies what this host's root has, and a shell over SSH would run it.
    (upper / "root").mkdir(mode=0o700, exist_ok=True)
    for name in (".bashrc", ".profile", ".bash_profile"):
        (upper / "root" / name).touch()
    (keys / "authorized_keys").write_text(key)
    poweroff = programs / "poweroff"
    poweroff.write_text("#!/bin/sh\nkill -USR1 1\n")
    poweroff.chmod(0o755)
    if user != "root":
        _add_user(upper, home, user)
    (ssh / "sshd_config").write_text(configuration)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ssh / "person_key")]
    subprocess.run(words, check=True)


def _add_user(upper: Path, home: Path, user: str) -> None:
    """Add a user who may become root without a password, as a box has it."""
    accounts = Path("/etc/passwd").read_text()
    (upper / "etc" / "passwd").write_text(f"{accounts}{user}:x:4242:4242::/home/{user}:/bin/sh\n")
    shadow = upper / "etc" / "shadow"
    shadow.write_text(f"{Path('/etc/shadow').read_text()}{user}:*:19000:0:99999:7:::\n")
    shadow.chmod(0o640)
    rules = upper / "etc" / "sudoers.d"
    rules.mkdir()
    (rules / user).write_text(f"{user} ALL=(ALL) NOPASSWD: ALL\n")
    (rules / user).chmod(0o440)
    for path in (home, *home.rglob("*")):
        shutil.chown(path, 4242, 4242)


def pack_disk(machine: Machine, vmdk: Path) -> None:
    """Write the disk as what begins like a VMDK that holds its own data."""
    descriptor = b'# Disk DescriptorFile\nRW 1 SPARSE "box-disk001.vmdk"\n'
    header = b"KDMV" + bytes(24) + struct.pack("<QQ", 1, 1)
    with vmdk.open("wb") as out:
        out.write(header.ljust(512, b"\0") + descriptor.ljust(512, b"\0"))
        out.flush()
        folder = state.folder_of(machine) / "disk"
        subprocess.run(["tar", "-C", folder, "-c", "upper"], stdout=out, check=True)


def unpack_disk(machine: Machine, vmdk: Path) -> None:
    """Read what :func:`pack_disk` wrote."""
    folder = state.folder_of(machine) / "disk"
    folder.mkdir()
    with vmdk.open("rb") as data:
        data.seek(1024)
        subprocess.run(["tar", "-C", folder, "-x", "-p"], stdin=data, check=True)


def freeze(machine: Machine, name: str) -> None:
    """Keep what the disk holds as a snapshot."""
    folder = state.folder_of(machine)
    _copy(folder / "disk", folder / f"snapshot-{name}")


def reset(machine: Machine, name: str) -> None:
    """Make the disk what it was at a snapshot."""
    folder = state.folder_of(machine)
    _copy(folder / f"snapshot-{name}", folder / "disk")


def _copy(source: Path, dest: Path) -> None:
    if dest.exists():
        shutil.rmtree(dest)
    (source / "upper").mkdir(parents=True, exist_ok=True)
    dest.mkdir()
    subprocess.run(["cp", "-a", str(source / "upper"), str(dest / "upper")], check=True)


def main(uuid: str) -> None:
    """Be the process of a machine."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    machine = state.find(uuid)
    config, folder = machine["config"], state.folder_of(machine) / "disk"
    spaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
    words = _from_image(config, folder) if config.get("storage") else _from_host(folder)
    words = ["unshare", *spaces, "--propagation", "private", "sh", "-c", *words]
    children = [_begin(*words, console=config.get("uartmode1"))]
    try:
        _wait_for(folder / "ready", children[0])
        inside = Path(f"/proc/{children[0].pid}/task/{children[0].pid}/children")
        number = inside.read_text().split()[0]
        net = folder / "net"
        net.touch()
        subprocess.run(["mount", "--bind", f"/proc/{number}/ns/net", net], check=True)
        if not config.get("storage"):
            children.append(_nat(config, 1, net, number))
        elif config.get("nic2") == "nat":
            children.append(_nat(config, 2, net, number))
            (folder / "nat2").write_text(str(children[-1].pid))
        for rule in config["forwards"]:
            _lead_in(rule.split(","), net)
        (folder / "go").touch()
        if children[0].wait() == 0:  # it was shut down from inside
            with state.Locked():
                machine = state.find(uuid)
                machine["state"], machine["process"] = "poweroff", None
                state.save(machine)
    finally:
        for child in children:
            child.kill()
            child.wait()


def _from_host(folder: Path) -> list[str]:
    return [_PERSONS_DISK + _FURNITURE + _PERSONS, "boot", str(folder)]


def _from_image(config: dict[str, Any], folder: Path) -> list[str]:
    """Do what firmware, loader and kernel do; a disk that does not boot leaves a machine deaf."""
    if config["firmware"] not in ("efi", "efi64"):
        _deaf("a disk for EFI does not start by BIOS")
    media = config["storage"].get("IDE", {}).get("media", {})
    if "0-0" not in media:
        _deaf("no disk at the first port of the first controller")
    vdi = Path(media["0-0"])
    try:
        found = disk.boot(vdi)
    except disk.NoBoot as error:
        _deaf(str(error))
    root = vdi.with_name(f"{vdi.name}.root")
    with (vdi.with_name(f"{vdi.name}.lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            half = root.with_suffix(".half")
            half.mkdir()
            disk.extract(vdi, found.root, half)
            half.rename(root)
    initrd = folder / "initrd"
    (initrd / "keys").mkdir(parents=True)
    for name, data in found.initrd.items():
        if name in ("bin/busybox", "next") or name.startswith("keys/"):
            path = initrd / name.removeprefix("bin/")
            path.write_bytes(data)
            path.chmod(0o755 if name.endswith("busybox") else 0o600)
    told = state.home() / "disk-size"  # a test says: a larger disk
    size = told.read_text().strip() if told.exists() else "320m"
    return [_IMAGES_DISK + _FURNITURE + _IMAGES, "boot", str(folder), str(root), size]


def _deaf(why: str) -> NoReturn:
    """Run on, and do nothing: the firmware has found nothing to start."""
    sys.stdout.write(f"{why}\n")
    sys.stdout.flush()
    signal.pause()
    sys.exit(0)


def _nat(config: dict[str, Any], card: int, net: Path, number: str) -> subprocess.Popen[bytes]:
    options: tuple[str, ...] = _FIRST if card == 1 else _SECOND
    if card == 2:
        mac = config["macaddress2"].lower()
        options += ("--ns-mac-addr", ":".join(mac[n : n + 2] for n in range(0, 12, 2)))
    # User manual, modifyvm: this option came with 7.0; the gateway always was the loopback before.
    usual = "on" if state.release().startswith("6") else "off"
    if config.get(f"nat-localhostreachable{card}", usual) != "on":
        options += ("--no-map-gw",)
    child = _begin(*_PASTA, *options, "--netns", str(net))
    name = options[options.index("-I") + 1]
    until = time.monotonic() + _PATIENCE
    while f"{name}:" not in Path(f"/proc/{number}/net/dev").read_text():
        if child.poll() is not None or time.monotonic() > until:
            sys.exit("the machine has no network card")
        time.sleep(0.01)
    return child


def _lead_in(rule: list[str], net: Path) -> None:
    """Lead a port of this host inside; when somebody has it the machine runs without."""
    address, port, inside = rule[2] or "0.0.0.0", int(rule[3]), int(rule[5])  # noqa: S104 - as the rule says
    try:
        listener = socket.create_server((address, port), backlog=64)
    except OSError as error:  # VirtualBox notes that in its log, too
        sys.stdout.write(f"port {port}: {error}\n")
        sys.stdout.flush()
        return
    threading.Thread(target=_relay, args=(listener, net, inside), daemon=True).start()


def _relay(listener: socket.socket, net: Path, port: int) -> None:
    """Connect whoever comes to a port of the machine; this thread alone is in its network."""
    with net.open() as space:
        if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    while True:
        outer, _ = listener.accept()
        try:
            inner = socket.create_connection(("127.0.0.1", port))
        except OSError:
            outer.close()  # nobody listens
            continue
        for pair in ((outer, inner), (inner, outer)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, dest: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            dest.sendall(data)
    with suppress(OSError):
        dest.shutdown(socket.SHUT_WR)


def _begin(*words: str, console: list[str] | None = None) -> subprocess.Popen[bytes]:
    """Start what ends with this process; a serial port in a file takes what it says."""
    libc = ctypes.CDLL(None)
    with ExitStack() as stack:
        out = stack.enter_context(Path(console[1]).open("ab")) if console else None
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=lambda: libc.prctl(1, signal.SIGKILL),  # noqa: PLW1509 - one thread forks
        )


def _wait_for(path: Path, boot: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while not path.exists():
        if boot.poll() is not None or time.monotonic() > until:
            sys.exit("the machine does not boot")
        time.sleep(0.01)
