"""A stand-in's running machine: namespaces of this host in place of virtual hardware.

Its disk is an overlay over this host's own root folder, so that it is a whole Debian with dpkg,
apt and an SSH server; what it writes stays on the "disk" until a snapshot is restored. Its network
card leads to pasta in place of VirtualBox's NAT: the same addresses, a port of the host that leads
to port 22, and this host's loopback at the gateway when the machine was told so.
"""

from __future__ import annotations

import ctypes
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from . import state
from .state import Machine

_PATIENCE = 30.0
_PROGRAM = Path(__file__).parent / "VBoxManage"
_OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")

_NAT = (
    *("pasta", "--config-net", "-f", "-q", "--runas", "0", "--netns-only"),
    *("-u", "none", "-T", "none", "-U", "none"),
    *("-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "--netns"),
)

_BOOT = """\
set -e
disk=$1
root=$disk/root
mkdir -p "$root" "$disk/upper" "$disk/work"
mount -t overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" overlay "$root"
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
mkdir -p "$root/run/sshd"
hostname debian
ip link set lo up
echo $$ > "$disk/ready"
until [ -e "$disk/go" ]; do sleep 0.02; done
setpriv --bounding-set -sys_time,-sys_boot,-sys_module \\
    chroot "$root" /usr/sbin/sshd -e -f /etc/ssh/sshd_config || echo "no SSH server"
trap 'exit 0' USR1
sleep infinity &
wait
"""


def launch(machine: Machine) -> dict[str, object]:
    """Switch a machine on; return its process, in which all of it ends."""
    folder = state.folder_of(machine)
    for name in ("ready", "go"):
        (folder / "disk" / name).unlink(missing_ok=True)
    with (folder / "VBox.log").open("wb") as log:
        process = subprocess.Popen(
            [*_OWN_MOUNTS, _PROGRAM, "standin-run", folder / "disk", *_rules(machine)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return {"pid": process.pid, "born": state.born(process.pid)}


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


def _rules(machine: Machine) -> list[str]:
    config = machine["config"]
    options = [] if config["reachable"] else ["--no-map-gw"]
    rules = (rule.split(",") for rule in config["forwards"])
    ports = [f"{host}/{port}:{inside}".lstrip("/") for _, _, host, port, _, inside in rules]
    return [*options, *(word for port in ports for word in ("-t", port))]


def main(disk: Path, options: list[str]) -> None:
    """Be the process of a machine."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    spaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
    shell = ("--propagation", "private", "sh", "-c", _BOOT, "boot", str(disk))
    children = [_begin("unshare", *spaces, *shell)]
    try:
        _wait_for(disk / "ready")
        inside = Path(f"/proc/{children[0].pid}/task/{children[0].pid}/children")
        number = inside.read_text().split()[0]
        (disk / "net").touch()
        subprocess.run(["mount", "--bind", f"/proc/{number}/ns/net", disk / "net"], check=True)
        children.append(_begin(*_NAT, str(disk / "net"), *options))
        if not _linked(Path(f"/proc/{number}/net/dev"), children[1]):
            # Somebody has the port: VirtualBox notes that in its log and runs the machine.
            children[1] = _begin(*_NAT, str(disk / "net"))
            _linked(Path(f"/proc/{number}/net/dev"), children[1])
        (disk / "go").touch()
        if children[0].wait() == 0:  # it was shut down from inside
            with state.locked():
                machine = state.find(disk.parent.name)
                machine["state"], machine["process"] = "poweroff", None
                state.save(machine)
    finally:
        for child in children:
            child.kill()
            child.wait()


def _begin(*words: str) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)
    return subprocess.Popen(words, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))  # noqa: PLW1509


def _wait_for(path: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while not path.exists():
        if time.monotonic() > until:
            sys.exit("the machine does not boot")
        time.sleep(0.01)


def _linked(devices: Path, nat: subprocess.Popen[bytes]) -> bool:
    """Wait until the machine has its network card; False when the NAT ended."""
    until = time.monotonic() + _PATIENCE
    while len(devices.read_text().splitlines()) < 4:
        if nat.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
