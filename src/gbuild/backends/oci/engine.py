"""The container engine: which program, with which folders, and how it is asked."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess  # noqa: TID251 - processes that live beside this one
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from gbuild.errors import BackendFailure, HostFailure, MissingTool, UsageFailure
from gbuild.host import process
from gbuild.host.process import CLEAN_ENVIRONMENT, Completed
from gbuild.host.store import Store

Kind = Literal["podman", "docker"]

PATIENCE = 120.0
"""Seconds that the engine may take to answer a question."""

_NOTE = "boot"
"""File in the folder of an own storage: the boot in which it was made."""

_PASSED = (
    *("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "DOCKER_HOST", "DOCKER_CONTEXT"),
    *("DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
)
"""What an engine needs of the person's environment; nothing of it reaches a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One container engine as this person reaches it.

    ``flags`` go before every command; ``storage`` is the folder of a storage of our own, ``run``
    that of what of it does not outlive a boot.
    """

    kind: Kind
    program: Path
    flags: tuple[str, ...]
    environment: Mapping[str, str]
    storage: Path | None = None
    run: Path | None = None

    def argv(self, *words: str) -> tuple[str, ...]:
        """Return the command line of one command."""
        return (str(self.program), *self.flags, *words)

    def ask(
        self, *words: str, stdin: bytes = b"", timeout: float = PATIENCE, check: bool = True
    ) -> Completed:
        """Run one command to its end.

        Raises:
            BackendFailure: it failed and ``check`` is set; the details are the engine's words.
            TimedOut: it did not end in time.
        """
        done = process.run(
            self.argv(*words),
            env=self.environment,
            cwd=Path("/"),
            stdin=stdin,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise self.failure(f"{self.kind} {words[0]} failed", done.stderr)
        return done

    def ask_json(self, *words: str) -> Any:  # noqa: ANN401 - what it prints has no type
        """Run one command that prints JSON; it may print nothing at all, which is an empty list.

        Raises:
            BackendFailure: it failed, or printed something else.
        """
        out = self.ask(*words).stdout
        try:
            return json.loads(out) if out.strip() else []
        except ValueError as error:
            raise BackendFailure(f"{self.kind} {words[0]} printed no JSON") from error

    def begin(
        self, *words: str, stdin: int | IO[bytes], stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a command that runs beside this process, out of reach of the terminal's ctrl-C."""
        return subprocess.Popen(
            self.argv(*words),
            env={**CLEAN_ENVIRONMENT, **self.environment},
            cwd="/",
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def wake(self) -> None:
        """Make the folders of an own storage, and empty what does not outlive a boot.

        Raises:
            HostFailure: the storage cannot be made, or somebody else has a folder of that name.
        """
        if self.storage is not None:
            _make_storage(self.storage)
        if self.run is not None:
            _make_private(self.run)
            _renew(self.run)

    def rest(self) -> None:
        """End the process that keeps an own storage's namespaces, and remove its folder.

        The caller knows that nobody uses the storage; a container that is there keeps it.
        """
        if self.run is None or not self.run.exists():
            return
        if os.listdir(self.run) != [_NOTE]:  # else podman never ran
            if self.ask("ps", "--all", "--quiet").stdout.split():
                return
            self.ask("system", "migrate")
        shutil.rmtree(self.run)

    def failure(self, brief: str, stderr: bytes) -> BackendFailure:
        """Return an error with the engine's last words and, where it is known, what helps."""
        text = stderr.decode(errors="replace")
        lines = [line for line in text.splitlines() if "is not a shared mount" not in line]
        return BackendFailure(brief, details=tuple(lines[-8:]), hint=_remedy(self.kind, text))


_REMEDIES = (
    ("newuidmap", "sudo apt-get install uidmap, and gdoctor for the range of users"),
    ("subuid", "sudo apt-get install uidmap, and gdoctor for the range of users"),
    ("default OCI runtime", "install that runtime, or name another: --backend-option runtime=runc"),
    (
        "exec format error",
        "the image's programs are of another architecture: use a host that runs them",
    ),
    ("/dev/net/tun", "sudo chmod 0666 /dev/net/tun"),
)
"""What an engine says, and what helps."""


def _remedy(kind: Kind, text: str) -> str | None:
    if "no space left on device" in text.lower():
        return "free some space, or use another folder with --store"
    if kind == "docker" and ("daemon running" in text or "permission denied" in text):
        return "sudo systemctl start docker; sudo usermod -aG docker $USER (or use podman)"
    return next((remedy for words, remedy in _REMEDIES if words in text), None)


def find(options: Mapping[str, str], environment: Mapping[str, str], store: Store) -> Engine:
    """Return the engine that the options name, or the first that is installed.

    Raises:
        MissingTool: there is none.
        UsageFailure: the options contradict each other.
    """
    program = _program(options.get("engine", ""))
    kind: Kind = "docker" if program.name.startswith("docker") else "podman"
    passed = {name: environment[name] for name in _PASSED if name in environment}
    storage = options.get("storage", "default" if "image" in options else "own")
    if kind == "docker":
        if options.keys() & {"storage", "runtime"}:
            raise UsageFailure("storage and runtime are options of podman, not of docker")
        return Engine(kind=kind, program=program, flags=(), environment=passed)
    flags = ("--events-backend=none", *_runtime(options))
    if storage == "default":
        flags = (*flags, *_groups(passed))
        return Engine(kind=kind, program=program, flags=flags, environment=passed)
    place = store.root / "oci" / str(os.geteuid()) if storage == "own" else Path(storage).absolute()
    run = _run_folder(place)
    passed = {**_bus(passed), "XDG_RUNTIME_DIR": str(run)}
    flags = (*flags, *_groups(passed), *_folders(place, run))
    return Engine(
        kind=kind, program=program, flags=flags, environment=passed, storage=place, run=run
    )


def _program(wanted: str) -> Path:
    if "/" in wanted:
        if os.access(wanted, os.X_OK):
            return Path(wanted)
        raise MissingTool(f"{wanted} is not a program that can be run")
    if wanted not in ("", "podman", "docker"):
        raise UsageFailure(f"engine={wanted}: expected podman, docker or a path of one of them")
    packages = {"podman": "podman", "docker": "docker.io"}
    if wanted:
        return process.which(wanted, package=packages[wanted])
    for name, package in packages.items():
        with suppress(MissingTool):
            return process.which(name, package=package)
    raise MissingTool(
        "neither podman nor docker is installed on this host", hint="sudo apt-get install podman"
    )


def _runtime(options: Mapping[str, str]) -> tuple[str, ...]:
    return (f"--runtime={options['runtime']}",) if "runtime" in options else ()


def _folders(place: Path, run: Path) -> tuple[str, ...]:
    return (f"--root={place}", f"--runroot={run}/r", "--storage-driver=overlay")


def _bus(passed: Mapping[str, str]) -> dict[str, str]:
    """Keep the way to the person's systemd, which is else found below XDG_RUNTIME_DIR."""
    bus = f"{passed.get('XDG_RUNTIME_DIR', '')}/bus"
    if "DBUS_SESSION_BUS_ADDRESS" not in passed and os.path.exists(bus):
        return {**passed, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}"}
    return dict(passed)


def _groups(passed: Mapping[str, str]) -> tuple[str, ...]:
    """Choose who makes control groups: podman's default, systemd, only where it can be reached."""
    if os.path.isdir("/run/systemd/system") and (
        os.geteuid() == 0 or "DBUS_SESSION_BUS_ADDRESS" in _bus(passed)
    ):
        return ()
    return ("--cgroup-manager=cgroupfs",)


def _run_folder(place: Path) -> Path:
    """Return the folder for sockets and mounts of an own storage.

    Its name is the same in every session (podman insists) and short (a socket's path below it
    must stay under the 108 bytes of unix(7)).
    """
    digest = hashlib.sha256(f"{os.geteuid()} {place}".encode()).digest()
    return Path("/tmp") / f"gb{base64.b32encode(digest[:5]).decode().lower()}"


def _make_storage(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostFailure(
            f"podman's storage {folder} cannot be made: {error.strerror}",
            hint="another folder: --backend-option storage=FOLDER",
        ) from error


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o066:
        raise HostFailure(
            f"{folder} is not a folder of yours alone",
            hint="choose another place: --backend-option storage=FOLDER",
        )


def _renew(folder: Path) -> None:
    """Empty the folder after a boot: podman takes what it finds there for running."""
    note, boot = folder / _NOTE, Path("/proc/sys/kernel/random/boot_id").read_text()
    if note.exists() and note.read_text() == boot:
        return
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    note.write_text(boot)
