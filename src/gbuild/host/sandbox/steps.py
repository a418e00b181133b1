"""The set-up of a sandbox as a list of small steps, and the code that performs them.

A step is a tuple: its name, then strings, numbers or bytes. The list is made by the process
that asks for a sandbox (:mod:`gbuild.host.sandbox.layout`), sent to the launcher, and performed
there in order. Steps name directories of the host only by descriptors that earlier ``open``
steps made, so that no path of the host is looked up after the change of user.

From ``enter`` on every path is looked up in the new root, where a symbolic link of a hostile
image can lead to nothing but the image; what is mounted or written there must not lie behind
one at all.
"""

from __future__ import annotations

import os
import stat

from gbuild.host.sandbox import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Step = tuple[str | int | bytes, ...]

_MOUNTED = "/proc/self/fd/"


class Setup:
    """Performs steps; keeps the descriptors that they open, by name."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def perform(self, steps: Sequence[Step]) -> None:
        """Do every step in order.

        Raises:
            OSError: the first one that failed.
        """
        for name, *arguments in steps:
            method: Callable[..., None] = getattr(self, "do_" + str(name))
            method(*arguments)

    def forget(self) -> None:
        """Close every descriptor that was kept."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _path(self, place: str) -> str:
        """Translate ``@name`` or ``@name/below`` to a path through that descriptor."""
        if not place.startswith("@"):
            return place
        name, slash, below = place[1:].partition("/")
        return f"{_MOUNTED}{self._held[name]}{slash}{below}"

    def do_open(self, name: str, path: str) -> None:
        """Keep a place of the host, or of what is mounted so far, under a name."""
        self._held[name] = os.open(self._path(path), os.O_PATH | os.O_CLOEXEC)

    def do_private(self) -> None:
        """Stop mounts from being seen by, and coming from, the host."""
        kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)

    def do_mount(self, source: str, target: str, kind: str, flags: int, data: str) -> None:
        """Mount a file system."""
        kernel.mount(source, self._path(target), kind, flags, data)

    def do_overlay(self, lower: str, upper: str, work: str, target: str, flags: int) -> None:
        """Mount an overlay; userxattr, because the kernel trusts no other mark in here."""
        places = f"lowerdir={self._path(lower)},upperdir={self._path(upper)}"
        data = f"userxattr,{places},workdir={self._path(work)}"
        kernel.mount("overlay", self._path(target), "overlay", flags, data)

    def do_bind(self, source: str, target: str, attributes: int) -> None:
        """Show a held place at another; ``attributes`` are added to the new mount."""
        place = self._path(target)
        kernel.mount(self._path(source), place, "", kernel.MS_BIND | kernel.MS_REC)
        if attributes:
            kernel.restrict_mount(place, attributes)

    def do_enter(self, place: str) -> None:
        """Make ``place`` the root; the former root stays held as ``@host`` until ``leave``."""
        self.do_open("host", "/")
        os.chdir(self._path(place))
        kernel.pivot_root(".", ".")
        os.chdir("/")

    def do_chroot(self, place: str) -> None:
        """Make ``place`` the root of this process alone; mounts go to all that share its mounts."""
        os.chdir(self._path(place))
        os.chroot(".")

    def do_detach(self, path: str) -> None:
        """Take a mount away."""
        kernel.detach(path)

    def do_load_disorder(self) -> None:
        """Have the code of :meth:`do_disorder` at hand while its file can be reached."""
        import gbuild.host.sandbox.disorder  # noqa: F401 - for later; rarely needed

    def do_disorder(self, folder: str, place: str, *files: str) -> None:
        """Reverse the order in a folder; ``place`` is made for what serves it.

        ``files`` are held places and, after each, its path for the server; the program first.
        """
        from gbuild.host.sandbox import disorder

        self.do_directory(folder, 0o755)
        self.do_mkdir(place, 0o755)
        held = [self._path(file) for file in files[::2]]
        disorder.reverse(folder, self._path(place), list(zip(held, files[1::2], strict=True)))

    def do_leave(self) -> None:
        """Let go of the former root: from here on nothing of the host has a name."""
        os.fchdir(self._held["host"])
        kernel.detach(".")
        os.chdir("/")
        self.forget()

    def do_directory(self, path: str, mode: int) -> None:
        """Make sure that ``path`` (``/a/b``, of the new root) is a real directory."""
        parent = os.open("/", os.O_PATH | os.O_CLOEXEC)
        for name in filter(None, path.split("/")):
            child = _enter_directory(parent, name, mode)
            os.close(parent)
            parent = child
        os.close(parent)

    def do_place(self, source: str, target: str, attributes: int) -> None:
        """Show a file or directory of the host at ``target`` of the new root."""
        if stat.S_ISDIR(os.stat(self._path(source)).st_mode):
            self.do_directory(target, 0o755)
        else:
            self.do_directory(target.rpartition("/")[0] or "/", 0o755)
            self.do_touch(target)
        self.do_bind(source, target, attributes)

    def do_sysfs(self, target: str) -> None:
        """Mount sysfs read-only; inside some containers that is refused: then it stays empty."""
        flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        try:  # noqa: SIM105 - contextlib costs milliseconds of every start
            kernel.mount("sysfs", target, "sysfs", flags)
        except PermissionError:
            pass

    def do_mkdir(self, place: str, mode: int) -> None:
        """Make a directory that must not exist."""
        os.mkdir(self._path(place))
        os.chmod(self._path(place), mode)

    def do_touch(self, path: str) -> None:
        """Make sure that something is at ``path`` that a file can be mounted on."""
        directory, name = _split(path)
        try:
            os.close(kernel.open_strictly(directory, name, os.O_WRONLY | os.O_CREAT, 0o644))
        finally:
            os.close(directory)

    def do_symlink(self, target: str, path: str) -> None:
        """Make a symbolic link in a directory of our own making."""
        os.symlink(target, path)

    def do_write(self, path: str, mode: int, owner: int, data: bytes) -> None:
        """Put a new file in the place of whatever is there."""
        directory, name = _split(path)
        try:
            _unlink(directory, name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(name, flags, 0o600, dir_fd=directory), "wb") as stream:
                stream.write(data)
                os.fchown(stream.fileno(), owner, owner)
                os.fchmod(stream.fileno(), mode)
        finally:
            os.close(directory)

    def do_entry(self, path: str, entry: str) -> None:
        """Add a line to a file of accounts unless its first field is there already."""
        directory, name = _split(path)
        flags = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK
        try:
            with open(kernel.open_strictly(directory, name, flags), "r+b", buffering=0) as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    _add_entry(file.fileno(), entry.encode())
        finally:
            os.close(directory)

    def do_home(self, path: str, owner: int) -> None:
        """Make a home directory unless it exists; it belongs to ``owner``."""
        self.do_directory(path, 0o755)
        descriptor = kernel.open_strictly(-100, path, os.O_RDONLY | os.O_DIRECTORY)
        os.fchown(descriptor, owner, owner)
        os.close(descriptor)

    def do_mask(self, path: str) -> None:
        """Hide a file behind /dev/null and a directory behind an empty one, if it exists."""
        try:
            hidden = os.lstat(path)
        except (FileNotFoundError, PermissionError):
            return
        cover = "/dev/.empty" if stat.S_ISDIR(hidden.st_mode) else "/dev/null"
        kernel.mount(cover, path, "", kernel.MS_BIND)
        kernel.restrict_mount(path, kernel.ATTR_RDONLY)

    def do_readonly(self, path: str) -> None:
        """Make what is at ``path`` read-only, if it exists."""
        if os.path.isdir(path):
            kernel.mount(path, path, "", kernel.MS_BIND | kernel.MS_REC)
            kernel.restrict_mount(path, kernel.ATTR_RDONLY)

    def do_hostname(self, name: str) -> None:
        """Set the host name."""
        kernel.set_hostname(name)

    def do_affinity(self, *processors: int) -> None:
        """Run on these processors."""
        os.sched_setaffinity(0, processors)

    def do_personality(self, persona: int) -> None:
        """Set the execution domain."""
        kernel.set_personality(persona)

    def do_loopback(self) -> None:
        """Bring the loopback interface up."""
        kernel.raise_loopback()

    def do_limit(self, resource: int, soft: int, hard: int) -> None:
        """Set a resource limit."""
        kernel.limit_resource(resource, soft, hard)


def _split(path: str) -> tuple[int, str]:
    """Open the directory of an absolute path without following links; return it and the name."""
    directory, _, name = path.rpartition("/")
    return kernel.open_strictly(-100, directory or "/", os.O_PATH | os.O_DIRECTORY), name


def _enter_directory(parent: int, name: str, mode: int) -> int:
    try:
        os.mkdir(name, dir_fd=parent)
        os.chmod(name, mode, dir_fd=parent)
    except FileExistsError:
        pass
    return kernel.open_strictly(parent, name, os.O_PATH | os.O_DIRECTORY)


def _unlink(directory: int, name: str) -> None:
    try:  # noqa: SIM105 - contextlib costs milliseconds of every start
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def _add_entry(descriptor: int, entry: bytes) -> None:
    known = os.read(descriptor, 1 << 20)
    key = entry.split(b":")[0] + b":"
    if any(line.startswith(key) for line in known.split(b"\n")):
        return
    separator = b"" if known.endswith(b"\n") or not known else b"\n"
    os.write(descriptor, separator + entry + b"\n")
