"""What this host can do for containers, tried for real, and what mends what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from gbuild.errors import GbuildError, HostFailure
from gbuild.host import cgroup, sandbox
from gbuild.host.idmap import current
from gbuild.host.process import which
from gbuild.host.sandbox.trusted import run_trusted
from gbuild.host.uplink import tunnel_mend
from gbuild.target import limits
from gbuild.target.backend import Finding

_TRIAL = Path(sandbox.__file__).parent / "trial.py"
REPLACING = "replacing directories"
"""Takes user attributes on tmpfs, which kernels before 6.6 lack."""

_GIBI = 1 << 30
_MEMORY = 2 * _GIBI
_DISK = 4 * _GIBI


def findings(environment: Mapping[str, str], store: Path) -> tuple[Finding, ...]:
    """Return everything that was tried, what the backend cannot do without first."""
    users = user_map(environment)
    return (
        machine(),
        switches(),
        users,
        *(trial(environment) if users.state == "ok" else ()),
        pasta(),
        control_groups(),
        memory(),
        disk(store),
    )


def machine(found: str = "") -> Finding:
    """The filter of system calls knows one processor family."""
    name = found or platform.machine()
    if name == "x86_64":
        return Finding("processor", "ok", name)
    return Finding("processor", "missing", f"{name}: only x86_64 is known", "use an x86_64 host")


def switches(proc: Path = Path("/proc/sys")) -> Finding:
    """Settings of the kernel that forbid user namespaces to ordinary users."""
    what = "user namespaces allowed"
    if _setting(proc / "user/max_user_namespaces") == "0":
        mend = "sudo sysctl -w user.max_user_namespaces=15000"
        return Finding(what, "missing", "user.max_user_namespaces is 0", mend)
    if os.geteuid() == 0:
        return Finding(what, "ok", "root")
    if _setting(proc / "kernel/unprivileged_userns_clone") == "0":
        mend = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        return Finding(what, "missing", "kernel.unprivileged_userns_clone is 0", mend)
    if _setting(proc / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        detail = "AppArmor restricts user namespaces to programs with a profile (not tested)"
        mend = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        return Finding(what, "limited", detail, mend)
    return Finding(what, "ok", "for ordinary users too")


def _setting(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def user_map(environment: Mapping[str, str]) -> Finding:
    """A range of users for the inside, and for ordinary users the helpers that write it."""
    what = "map of users"
    try:
        if os.geteuid() != 0:
            _check_helpers()
        return Finding(what, "ok", current(environment).label)
    except GbuildError as error:
        return Finding(what, "missing", error.brief, error.hint)


def _check_helpers() -> None:
    for tool in ("newuidmap", "newgidmap"):
        path = which(tool, package="uidmap")
        if not privileged(path):
            raise HostFailure(
                f"{path} has neither its set-uid bit nor a capability",
                hint="sudo apt-get install --reinstall uidmap",
            )


def privileged(path: Path) -> bool:
    """Say whether a program gets privileges by itself: set-uid root, or a file capability."""
    if path.stat().st_mode & stat.S_ISUID:
        return True
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def trial(environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """Make the namespaces and mounts that every target needs, and throw them away."""
    what = "namespaces"
    try:
        done = run_trusted(current(environment), _TRIAL, (), timeout=30)
    except GbuildError as error:
        detail = "; ".join((error.brief, *error.details))
        return (Finding(what, "missing", detail, explain()),)
    if done.returncode != 0:
        detail = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return (Finding(what, "missing", detail or "the trial died", explain()),)
    lines = done.stdout.decode().splitlines()
    return (Finding(what, "ok", "user, mount, pid"), *(_trial_line(line) for line in lines))


def _trial_line(line: str) -> Finding:
    what, _, problem = line.partition("\t")
    if not problem:
        return Finding(what, "ok", "tried")
    if what == REPLACING:
        detail = f"{problem}: builds that remove or replace directories of the image fail"
        return Finding(what, "limited", detail, "use a kernel of 6.6 or later, or --scratch disk")
    return Finding(what, "missing", problem, explain())


def explain() -> str:
    """Guess from the surroundings why the kernel refused, and say what helps."""
    if in_chroot():
        return "leave the chroot: the kernel makes no user namespaces in one (pivot_root is fine)"
    if container := inside_container():
        return (
            f"leave the chroot if you are in one; you are inside a container ({container}): start"
            " it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
            " --security-opt unmask=ALL, or with --privileged"
        )
    if _setting(Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")) == "1":
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return "use a kernel of 5.12 or later with user namespaces"


def in_chroot() -> bool:
    """Say whether this process is known to be in a chroot: unshare(2) then answers EPERM.

    Either our root is no mount of its own, or it is another directory than the first process's
    (which only root may look at). A chroot into a bind mount of / is not seen.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    if not any(line.split()[4] == "/" for line in lines):
        return True
    try:
        return not os.path.samefile("/", "/proc/1/root/")
    except OSError:
        return False


def inside_container() -> str:
    """Name the kind of container that this process is in, or nothing."""
    for mark, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if os.path.exists(mark):
            return name
    return ""


def pasta() -> Finding:
    """Needed only by builds that ask for the network."""
    detail = "only builds with network: full need it"
    if shutil.which("pasta") is None:
        return Finding("network (pasta)", "limited", detail, "sudo apt-get install passt")
    if (mend := tunnel_mend()) is not None:
        return Finding("network (pasta)", "limited", f"/dev/net/tun is closed; {detail}", mend)
    return Finding("network (pasta)", "ok", "for builds with network: full")


def control_groups() -> Finding:
    """Which limits can be held for a whole target; without groups targets run all the same."""
    held = frozenset[str]().union(*(place.controllers for place in cgroup.places()))
    missing = {"memory", "cpu", "pids"} - held
    if not missing:
        return Finding("limits (cgroups)", "ok", "memory, cpu, pids")
    detail = f"unlimited as a whole: {', '.join(sorted(missing))}; only per process"
    return Finding("limits (cgroups)", "limited", detail, delegation(sorted(missing)))


def delegation(controllers: Iterable[str]) -> str | None:
    """Return the command that gives this person control groups; without systemd of version 1."""
    if os.path.isdir("/run/systemd/system"):
        return "systemd-run --user --scope -p Delegate=yes -- gbuild ... (not tested)"
    user = os.environ.get("USER") or str(os.geteuid())
    trees = [f"/sys/fs/cgroup/{name}" for name in controllers]
    if not all(map(os.path.exists, trees)):
        return None
    folders = " ".join(f"{tree}/{user}" for tree in trees)
    return (
        f"sudo sh -c 'for g in {folders}; do mkdir -p $g && chown {os.geteuid()} $g"
        f" $g/cgroup.procs $g/tasks && echo '$$' > $g/cgroup.procs; done'"
    )


def memory(available: int | None = None) -> Finding:
    """A target writes to memory unless it is told to use a disk."""
    free = limits.free_memory() if available is None else available
    detail = f"{free / _GIBI:.1f} GiB available"
    if free < _MEMORY:
        return Finding("memory", "limited", detail, "build with --scratch disk")
    return Finding("memory", "ok", detail)


def disk(store: Path, free: int | None = None) -> Finding:
    """Packages, images and their unpacked trees lie in the store."""
    left = shutil.disk_usage(store).free if free is None else free
    detail = f"{left / _GIBI:.1f} GiB free in {store}"
    if left < _DISK:
        return Finding("disk", "limited", detail, "gbase prune, or choose another --store")
    return Finding("disk", "ok", detail)
