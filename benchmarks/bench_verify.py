"""Signatures at the size of real trees: gverify, and gpg with PyYAML one assertion at a time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from harness import Bench, Row, call, gbuild_command, timed, tool

_REAL = "GBUILD_TEST_TREES"
"""Names the folder of real trees (``<tree>/sigs``, ``<tree>/keys``), as for the tests."""
_JUDGED_AT = "2026-11-20T12:00:00Z"
_FAKED = "20261120T120000"
"""The same moment as gpg takes it; keys of the real trees expire."""
_SIGNERS = 20
_SMALL, _LARGE = 8, 80
"""Releases of the generated trees; each is signed by everybody."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree of signatures, the folder of its keys, and how many assertions it holds."""

    sigs: Path
    keys: Path

    def assertions(self) -> list[Path]:
        """Return every assertion."""
        return sorted(self.sigs.rglob("*.assert"))


def measure(bench: Bench) -> Iterator[Row]:
    """Take the real trees when they are here, else a generated one; then the generated ones."""
    made = _Maker(bench)
    small, large = made.tree("small", _SMALL), made.tree("large", _LARGE)
    real = _real(bench)
    yield from _against_gpg(bench, real or [large], "real" if real else "generated")
    release: list[str | Path] = ["--release", "1.0", "-d", small.sigs]
    yield Row(
        what=f"gverify --release, {_SIGNERS} signers",
        unit="s",
        ours=[timed(lambda: _gverify(*release)) for _ in range(bench.times(9, 2))],
        limit=0.6,
    )
    yield from _growth(bench, small, large)


def _against_gpg(bench: Bench, trees: Sequence[Tree], kind: str) -> Iterator[Row]:
    count = sum(len(tree.assertions()) for tree in trees)
    ours: list[float] = []
    theirs: list[float] = []
    memory = 0
    peer = _Peer(bench, trees)
    for _ in range(bench.times(3, 1)):
        seconds = 0.0
        for tree in trees:
            started = time.perf_counter()
            memory = max(memory, _gverify("--all", "--at", _JUDGED_AT, "-d", tree.sigs))
            seconds += time.perf_counter() - started
        ours.append(1000 * seconds / count)
        theirs.append(1000 * timed(peer.each) / peer.count)
    what = f"{count} assertions of {len(trees)} {kind} trees, each"
    name = "gpg + yaml"
    yield Row(what=what, unit="ms", ours=ours, peer=theirs, peer_name=name, limit=0.2)
    yield Row(what=what, unit="ms", ours=ours, limit=2.5)
    yield Row(what="memory of gverify --all", unit="MiB", ours=[memory / 1024], limit=300)


def _growth(bench: Bench, small: Tree, large: Tree) -> Iterator[Row]:
    """Compare ten times the assertions: a ratio of 10 is linear."""
    few: list[float] = []
    many: list[float] = []
    for _ in range(bench.times(3, 1)):
        few.append(timed(lambda: _gverify("--all", "-d", small.sigs)))
        many.append(timed(lambda: _gverify("--all", "-d", large.sigs)))
    yield Row(
        what=f"gverify --all of {_SIGNERS * _LARGE} assertions",
        unit="s",
        ours=many,
        peer=few,
        peer_name=f"of {_SIGNERS * _SMALL}",
        limit=11,
    )


def _gverify(*words: str | Path) -> int:
    """Run gverify as a person would; return the KiB that it, or a gpg of it, had at most.

    Its verdict may be no (of real trees it is).
    """
    argv = [*gbuild_command("gverify"), *map(str, words), "--quiet"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        complaint = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 8):
        raise RuntimeError(f"gverify ended with {process.returncode}: {complaint.decode()[-500:]}")
    return usage.ru_maxrss


class _Peer:
    """What one would do by hand: one gpg and one pure-Python YAML load for each assertion.

    Every fourth assertion stands for all: half a minute is enough to wait for a peer.
    """

    def __init__(self, bench: Bench, trees: Sequence[Tree]) -> None:
        self._gpg = tool("gpg")
        self._home = bench.fresh("gnupg")
        self._home.chmod(0o700)
        self._call("--import", *(key for tree in trees for key in sorted(tree.keys.iterdir())))
        step = 16 if bench.quick else 4
        every = [one for tree in trees for one in tree.assertions()]
        self._pairs = [(one, _signature(one)) for one in every[::step]]
        self.count = len(self._pairs)

    def each(self) -> None:
        """Take every assertion, one after the other."""
        for assertion, signature in self._pairs:
            if signature.exists():
                self._call("--verify", signature, assertion)
            _load(assertion.read_bytes())

    def _call(self, *words: str | Path) -> None:
        subprocess.run(
            [self._gpg, "--homedir", self._home, "--batch", "--quiet", "--no-auto-check-trustdb",
             "--trust-model", "always", "--faked-system-time", _FAKED, *words],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def _load(data: bytes) -> None:
    """Load as a program would that had not thought of tags; what cannot be read is skipped."""
    try:
        yaml.load(data, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return


def _signature(assertion: Path) -> Path:
    beside = assertion.with_name(f"{assertion.name}.sig")
    return beside if beside.exists() else assertion.with_suffix(".sig")


def _real(bench: Bench) -> list[Tree]:
    """Return the real trees, when they are here."""
    folder = bench.environment.get(_REAL)
    found = sorted(Path(folder).glob("*/sigs")) if folder else []
    return [Tree(sigs=one, keys=one.parent / "keys") for one in found]


class _Maker:
    """Makes trees of one package that twenty persons signed, alike."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._gpg = tool("gpg")
        self._home = bench.fresh("signers")
        self._home.chmod(0o700)
        self._names = [f"person{number:02}" for number in range(_SIGNERS)]
        for name in self._names:
            self._call("--quick-gen-key", f"{name}@example.org", "ed25519", "sign", "never")

    def tree(self, kind: str, releases: int) -> Tree:
        """Make a tree of so many releases."""
        sigs = self._bench.fresh(f"sigs-{kind}") / "sigs"
        keys = sigs.parent / "keys"
        keys.mkdir()
        for name in self._names:
            (keys / f"{name}.asc").write_bytes(self._call("--armor", "--export", name))
        for number in range(releases):
            release = f"1.{number}"
            text = _assertion(release)
            for name in self._names:
                folder = sigs / release / name
                folder.mkdir(parents=True)
                assertion = folder / "thing-build.assert"
                assertion.write_text(text)
                self._call("--local-user", f"{name}@example.org", "--detach-sign", assertion)
        return Tree(sigs=sigs, keys=keys)

    def _call(self, *words: str | Path) -> bytes:
        common = ("--homedir", self._home, "--batch", "--quiet", "--passphrase", "",
                  "--pinentry-mode", "loopback")  # fmt: skip
        return call(self._gpg, *common, *words)


def _assertion(release: str) -> str:
    """Write an assertion as large as real ones: a few artefacts, two hundred packages."""
    outputs = [f"{number:064x}  thing-{release}-{number}.tar.gz" for number in range(6)]
    packages = [f"{number:064x}  package{number}_1.2.3-4_amd64.deb" for number in range(200)]
    lines = ["--- !omap", "- out_manifest: |", *(f"    {line}" for line in outputs)]
    lines += ["- in_manifest: |", f"    {7:064x}  thing.yml"]
    lines += ["- base_manifests: !omap", "  - bookworm-amd64: |"]
    lines += [f"      {line}" for line in packages]
    lines += [f'- release: "{release}"', '- name: "thing"', "- type: build"]
    return "\n".join(lines) + "\n"
