"""Compare two builds: folders of artefacts, single files, reports, or two signers of a release."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gbuild.check.diagnose.apart import diagnose_apart
from gbuild.errors import UsageFailure
from gbuild.formats.manifest import read_in_manifest, read_manifest
from gbuild.formats.report import read_report
from gbuild.host.files import read_small, sha256_of
from gbuild.host.foreign import Refused
from gbuild.model.comparison import Changed, Compared, Differing, Looked, Presence
from gbuild.model.deb_file import read_file_name
from gbuild.model.deb_version import newer
from gbuild.model.manifest import LARGEST, Report
from gbuild.verify.places import of_release
from gbuild.verify.read import read_place

_REPORT = re.compile(r"-(?:res|build)\.(?:yml|assert)\Z")


_AT_ONCE = 2
"""Pairs that are looked at side by side; what each may use is bounded."""

Look = Callable[[str, Path, Path], Looked]
"""What is asked about two files that differ, by the name of the artefact."""


def compare(
    a: Path, b: Path, *, look: Look | None = None, end: Callable[[], None] | None = None
) -> Differing:
    """Compare two folders, two files, or two reports (``*-res.yml``, ``*-build.assert``).

    ``look`` is asked about every pair of files that differ, from two threads at once; ``end`` is
    called when the comparison is interrupted, and makes it return.

    Raises:
        UsageFailure: they are not of one kind, or cannot be read.
    """
    kinds = tuple(_kind(path) for path in (a, b))
    if kinds[0] != kinds[1]:
        raise UsageFailure(
            f"{a} is a {kinds[0]} and {b} is a {kinds[1]}",
            hint="compare two folders, two files, or two reports",
        )
    if kinds[0] == "report":
        reports = (read_report(read_small(path, limit=LARGEST)) for path in (a, b))
        return compare_reports(str(a), next(reports), str(b), next(reports))
    artifacts = (
        _of_folders(a, b, look, end)
        if kinds[0] == "folder"
        else (_of_files(b.name, a.resolve(), b.resolve(), look),)
    )
    return Differing(a=str(a), b=str(b), artifacts=tuple(artifacts))


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise UsageFailure(f"{path} is neither a folder nor a file")
    return "report" if _REPORT.search(path.name) else "file"


def _of_folders(
    a: Path, b: Path, look: Look | None, end: Callable[[], None] | None
) -> list[Compared]:
    one, two = (dict(_listed(root)) for root in (a, b))

    def compared(path: str) -> Compared:
        if path not in two:
            return Compared(path=path, presence=Presence.ONLY_A, a=_digest(one[path]))
        if path not in one:
            return Compared(path=path, presence=Presence.ONLY_B, b=_digest(two[path]))
        return _of_files(path, one[path], two[path], look)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="compare") as pool:
        try:
            return list(pool.map(compared, sorted(one.keys() | two.keys(), key=os.fsencode)))
        except BaseException:
            if end is not None:
                end()
            raise


def _listed(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file and link below a folder; links are not followed, the rest is refused."""

    def stop(error: OSError) -> None:
        raise UsageFailure(f"{error.filename} cannot be read: {error.strerror}") from error

    for here, folders, names in os.walk(root, onerror=stop):
        for name in [*names, *(n for n in folders if Path(here, n).is_symlink())]:
            path = Path(here, name)
            if not stat.S_ISREG(path.lstat().st_mode) and not path.is_symlink():
                raise UsageFailure(f"{path} is no file")
            yield str(path.relative_to(root)), path


def _digest(path: Path) -> str:
    return f"link to {path.readlink()}" if path.is_symlink() else sha256_of(path)


def _of_files(name: str, a: Path, b: Path, look: Look | None) -> Compared:
    one, two = _digest(a), _digest(b)
    if one == two:
        return Compared(path=name, presence=Presence.SAME, a=one, b=two)
    if a.is_symlink() or b.is_symlink():
        return Compared(path=name, presence=Presence.DIFFERS, a=one, b=two, unknown=True)
    found = diagnose_apart(a, b, name=name)
    return Compared(
        path=name,
        presence=Presence.DIFFERS,
        a=one,
        b=two,
        traces=found.traces,
        unknown=found.unknown,
        looked=look(name, a, b) if look else None,
    )


def compare_signers(
    tree: Path, release: str, signers: tuple[str, str], *, package: str | None = None
) -> Differing:
    """Compare what two signers of a release say they built, and from what.

    Nothing is verified here: gverify says whether to believe them.

    Raises:
        UsageFailure: one of them has no document there, or several and no package was chosen.
    """
    reports = [read_report(signed(tree, release, signer, package)) for signer in signers]
    return compare_reports(signers[0], reports[0], signers[1], reports[1])


def signed(tree: Path, release: str, signer: str, package: str | None) -> bytes:
    """Return the one document that a signer has in a release.

    Raises:
        UsageFailure: there is none, or several and no package was chosen.
    """
    try:
        places = of_release(tree, release)
        entries = [each for place in places for each in read_place(tree, place, name=package)]
    except Refused as error:
        raise UsageFailure(str(error), hint="name the tree with -d DIR") from error
    there = [(e.signer, e.name, e.assertion) for e in entries if e.assertion is not None]
    found = {name: assertion for who, name, assertion in there if who == signer}
    if not found:
        names = ", ".join(sorted({who for who, _, _ in there})) or "nobody"
        raise UsageFailure(
            f"{signer} has no document in release {release} of {tree}",
            details=(f"who has: {names}",),
        )
    if len(found) > 1:
        names = ", ".join(sorted(str(name) for name in found))
        raise UsageFailure(
            f"{signer} signed several packages in release {release}", hint=f"--package {names}"
        )
    return next(iter(found.values()))


def compare_reports(name_a: str, a: Report, name_b: str, b: Report) -> Differing:
    """Compare two reports: what came out, what went in, and the packages of every environment."""
    one, two = ({e.path: e.digest for e in read_manifest(r.out_manifest)} for r in (a, b))
    artifacts = tuple(
        Compared(
            path=path, presence=_presence(path, one, two), a=one.get(path, ""), b=two.get(path, "")
        )
        for path in sorted(one.keys() | two.keys(), key=os.fsencode)
    )
    return Differing(
        a=name_a,
        b=name_b,
        artifacts=artifacts,
        changed=(*_inputs(a, b), *_packages(a, b)),
        explained=True,
        packages_known=bool(a.base_manifests and b.base_manifests),
    )


def _presence(path: str, one: Mapping[str, str], two: Mapping[str, str]) -> Presence:
    if path not in one or path not in two:
        return Presence.ONLY_A if path in one else Presence.ONLY_B
    return Presence.SAME if one[path] == two[path] else Presence.DIFFERS


def _inputs(a: Report, b: Report) -> Iterator[Changed]:
    one, two = ({e.path: e.digest for e in read_in_manifest(r.in_manifest)} for r in (a, b))
    for path in sorted(one.keys() | two.keys()):
        left, right = one.get(path, ""), two.get(path, "")
        if left == right:
            continue
        kind = "remote" if (left or right).startswith("git:") else "file"
        if path.endswith("-desc.yml"):
            kind = "descriptor"
        yield Changed(kind=kind, name=path, a=left, b=right)  # type: ignore[arg-type]


def _packages(a: Report, b: Report) -> Iterator[Changed]:
    for label in dict.fromkeys((*a.base_manifests, *b.base_manifests)):
        if label not in a.base_manifests or label not in b.base_manifests:
            told = ("its packages" if label in r.base_manifests else "" for r in (a, b))
            yield Changed(kind="package", name=label, a=next(told), b=next(told))
        else:
            one, two = (_versions(r.base_manifests[label].splitlines()) for r in (a, b))
            for name in sorted(one.keys() | two.keys()):
                left, right = one.get(name, ("", "")), two.get(name, ("", ""))
                if left != right:
                    yield _package(f"{label}: {name}", left, right)


def _package(name: str, a: tuple[str, str], b: tuple[str, str]) -> Changed:
    """Say how a package differs: by its version, or by its bytes when that is one."""
    order = newer(a[0], b[0]) if a[0] and b[0] else 0
    shown = (f"{v} sha256:{d[:16]}" if a[0] == b[0] else v for v, d in (a, b))
    return Changed(
        kind="package",
        name=name,
        a=next(shown),
        b=next(shown),
        newer="A" if order > 0 else "B" if order else "",
    )


def _versions(lines: Iterable[str]) -> Mapping[str, tuple[str, str]]:
    """Return version and digest of every package, by name and architecture."""
    found = {}
    for line in lines:
        digest, _, file = line.partition("  ")
        if deb := read_file_name(file):
            found[f"{deb.name} {deb.arch}"] = (deb.version, digest)
        elif file:
            found[file] = ("", digest)
    return found


def because(differing: Differing) -> tuple[str, ...]:
    """Say in sentences what explains that the artefacts differ."""
    if not differing.explained:
        return ()
    said = []
    for kind, words in (
        ("descriptor", "another descriptor"),
        ("remote", "another commit of"),
        ("file", "another input file"),
    ):
        names = [c.name for c in differing.changed if c.kind == kind]
        if names:
            said.append(words if kind == "descriptor" else f"{words} {', '.join(names)}")
    packages = [change for change in differing.changed if change.kind == "package"]
    for side, name in (("A", differing.a), ("B", differing.b)):
        count = sum(change.newer == side for change in packages)
        if count:
            said.append(f"{count} {'package' if count == 1 else 'packages'} newer for {name}")
    rest = sum(not change.newer for change in packages)
    if rest:
        said.append(f"{rest} packages that only one has, or with other bytes")
    if not said and not differing.same and differing.packages_known:
        return ("inputs and packages are the same: the build is not reproducible (gcheck)",)
    return tuple(said)
