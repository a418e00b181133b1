"""apt as a solver: a private directory, nothing installed, no network, no root.

apt reads signed archives from a local folder and says which packages it would install on an empty
system. Of the system it runs on it uses the programs only: no configuration, sources, keys, pins,
lists or installed packages (apt.conf(5)). That system is this host, or an image
(:mod:`gbuild.image.tools`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

from gbuild.errors import HostFailure, MissingTool, UsageFailure
from gbuild.host.process import Completed, ToolFailed, run, which

Run = Callable[[Sequence[str], Mapping[str, str]], Completed]
"""Run apt-get with these words, and this environment beside a clean one, to its end."""

TIMEOUT = 600.0
"""Seconds that one run of apt may take."""

_URI = re.compile(r"'file:([^']+)' \S+ (\d+) SHA256:([0-9a-f]{64})$")
_UNKNOWN = (
    re.compile(r"^E: Unable to locate package (\S+)$", re.MULTILINE),
    re.compile(r"^E: Package '([^']+)' has no installation candidate$", re.MULTILINE),
    re.compile(r"^E: Couldn't find any package by (?:regex|glob) '([^']+)'$", re.MULTILINE),
)
_ESSENTIAL = "?and(?essential,?architecture({arch}))"
"""apt-patterns(7); without the second condition a foreign architecture's would be wanted too."""
_CONFIGURATION = """\
Dir "{root}";
Dir::Etc "{root}/etc/";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Etc::netrc "/dev/null";
Dir::Etc::netrcparts "/dev/null";
Dir::State "{root}/state/";
Dir::State::lists "{root}/lists/";
Dir::State::status "{root}/status";
Dir::State::extended_states "{root}/extended_states";
Dir::Cache "{root}/cache/";
Dir::Log "{root}/log";
APT::Architecture "{arch}";
APT::Architectures {{ {architectures} }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Debug::NoLocking "true";
"""


def on_host() -> Run | None:
    """Return what runs this host's apt, None when it has none."""
    try:
        program = which("apt-get", package="apt")
    except MissingTool:
        return None
    return partial(_run_on_host, program)


def _run_on_host(program: Path, words: Sequence[str], env: Mapping[str, str]) -> Completed:
    return run([program, *words], env=env, check=False, timeout=TIMEOUT)


class PackageUnknown(UsageFailure):
    """Packages were asked for that the archives do not have; ``names`` lists them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"no such package: {', '.join(names)}")
        self.names = names


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSource:
    """One suite below a local archive ``root``; ``keyring`` None: its signature was checked."""

    root: Path
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    keyring: Path | None

    def line(self) -> str:
        """Return it in the one-line form of sources.list(5)."""
        trust = f"signed-by={self.keyring}" if self.keyring else "trusted=yes"
        architectures = ",".join(self.architectures)
        return (
            f"deb [arch={architectures} {trust}] file:{quote(str(self.root))} "
            f"{self.suite} {' '.join(self.components)}\n"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A package that apt chose: its file (which need not exist) and what the index says of it."""

    path: Path
    size: int
    sha256: str


class PrivateApt:
    """One use of apt in a folder of its own, for one architecture and foreign ones."""

    def __init__(self, folder: Path, *, run: Run, arch: str, foreign: Sequence[str] = ()) -> None:
        if re.search(r"[\s\"\[\]]", str(folder)):
            raise HostFailure(
                f"apt cannot work below a folder with such a name: {folder}",
                hint="set TMPDIR to a folder without spaces",
            )
        self._folder = folder
        self._essential = _ESSENTIAL.format(arch=arch)
        self._apt = run
        for name in ("etc", "state", "lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        words = " ".join(f'"{one}";' for one in (arch, *foreign))
        (folder / "apt.conf").write_text(
            _CONFIGURATION.format(root=folder, arch=arch, architectures=words)
        )

    def read(self, sources: Sequence[LocalSource]) -> None:
        """Read the indexes of the sources.

        Raises:
            HostFailure: apt refuses one; the details are apt's own words.
        """
        (self._folder / "sources.list").write_text("".join(one.line() for one in sources))
        done = self._run("-q", "update")
        if done.returncode != 0:
            raise ToolFailed(done)

    def install(self, packages: Sequence[str]) -> tuple[Choice, ...]:
        """Solve: which packages an empty system would get for these and all essential ones.

        Raises:
            PackageUnknown: some do not exist.
            UsageFailure: they cannot be installed together; the details are apt's own words.
        """
        done = self._run("-y", "-q", "--print-uris", "install", self._essential, *packages)
        if done.returncode != 0:
            raise _refusal(done)
        chosen = (_URI.match(line) for line in done.stdout.decode().splitlines())
        return tuple(
            Choice(path=Path(unquote(m[1])), size=int(m[2]), sha256=m[3]) for m in chosen if m
        )

    def _run(self, *words: str) -> Completed:
        environment = {
            "APT_CONFIG": str(self._folder / "apt.conf"),
            "DEBIAN_FRONTEND": "noninteractive",
            "HOME": str(self._folder),
        }
        return self._apt(words, environment)


def _refusal(done: Completed) -> UsageFailure:
    said = done.stderr.decode(errors="replace")
    unknown = {name for pattern in _UNKNOWN for name in pattern.findall(said)}
    if unknown:
        return PackageUnknown(tuple(sorted(unknown)))
    words = done.stdout.decode(errors="replace") + said
    return UsageFailure(
        "the packages cannot be installed together",
        details=tuple(line.rstrip() for line in words.splitlines() if line.strip())[-40:],
    )
