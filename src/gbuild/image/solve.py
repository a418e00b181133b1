"""apt's choice among believed archives: which packages exactly, each found in a signed index."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Untrusted, UsageFailure
from gbuild.host.apt import Choice, LocalSource, PackageUnknown, PrivateApt
from gbuild.host.store import Store
from gbuild.image.archives import State, index_text
from gbuild.image.packages import essential, find, names, refuse_incomplete
from gbuild.image.tools import Tools
from gbuild.model.lock import Package


@dataclass(frozen=True, slots=True)
class Solver:
    """Asks apt; the store holds the archives."""

    store: Store
    tools: Tools

    def solve(
        self,
        states: Sequence[State],
        wanted: Sequence[str],
        *,
        arch: str,
        label: str,
        foreign: Sequence[str] = (),
    ) -> tuple[Package, ...]:
        """Return what an empty system would get for ``wanted``, sorted by name.

        Raises:
            UsageFailure: unknown packages (names their neighbours), or they do not go together.
            Untrusted: apt chose what no signed index has, or an essential package is missing.
            Unavailable: there is no apt on this host, and none can be had.
        """
        chosen = self._chosen(states, wanted, arch, foreign, label)
        found: set[Package] = set()
        needed: set[str] = set()
        for state in states:
            for index in state.indexes:
                text = index_text(index, self.store)  # large: read once
                needed |= essential(text, arch)
                found |= _listed(text, state.archive.name, chosen)
        if len(found) != (count := sum(map(len, chosen.values()))):
            raise Untrusted(
                f"apt chose {count} packages, the signed indexes have {len(found)} of them"
            )
        refuse_incomplete((one.name for one in found), needed, label)
        return tuple(sorted(found, key=lambda p: (p.name, p.arch)))

    def _chosen(
        self,
        states: Sequence[State],
        wanted: Sequence[str],
        arch: str,
        foreign: Sequence[str],
        label: str,
    ) -> dict[str, dict[str, str]]:
        """Return the sha256 of each file that apt chooses, by its archive and its path there."""
        with tempfile.TemporaryDirectory(prefix="gbuild-apt-") as name:
            root = Path(name).resolve()
            sources = [_lay_out(state, root, (arch, *foreign), self.store) for state in states]
            with self.tools.apt(root) as run:
                apt = PrivateApt(root / "apt", run=run, arch=arch, foreign=foreign)
                apt.read(sources)
                try:
                    return _by_archive(apt.install(wanted), root / "archives")
                except PackageUnknown as error:
                    raise self._with_neighbours(error, states, label) from error

    def _with_neighbours(
        self, error: PackageUnknown, states: Sequence[State], label: str
    ) -> UsageFailure:
        import difflib  # only a mistake needs it

        texts = (index_text(index, self.store) for state in states for index in state.indexes)
        known = {name for text in texts for name in names(text)}
        details = []
        for name in error.names:
            near = difflib.get_close_matches(name.partition(":")[0], known, n=3, cutoff=0.6)
            details.append(
                f"{name}: " + (f"did you mean {', '.join(near)}?" if near else "no such name")
            )
        return UsageFailure(
            f"{label}: no such package: {', '.join(error.names)}", details=tuple(details)
        )


def _by_archive(chosen: Sequence[Choice], archives: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for choice in chosen:
        name, _, path = str(choice.path.relative_to(archives)).partition("/")
        found.setdefault(name, {})[path] = choice.sha256
    return found


def _listed(text: bytes, archive: str, chosen: Mapping[str, Mapping[str, str]]) -> set[Package]:
    """Return the chosen packages that an archive's signed index vouches for."""
    files = chosen.get(archive, {})
    return {
        Package(archive=archive, **stanza.fields())
        for stanza in find(text, frozenset(files))
        if files[stanza.path] == stanza.sha256
    }


def _lay_out(state: State, root: Path, architectures: Sequence[str], store: Store) -> LocalSource:
    """Arrange blobs as the archive that apt expects: links named as in its dists/."""
    archive = state.archive
    base = root / "archives" / archive.name
    suite = base / "dists" / archive.suite
    links = {"InRelease": archive.sha256, **{one.path: one.sha256 for one in state.indexes}}
    for path, digest in links.items():
        target = suite / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(store.verified(digest).resolve())
    keyring = root / f"{archive.name}-{archive.suite.replace('/', '-')}.gpg"
    keyring.write_bytes(state.origin.keys.ring)
    return LocalSource(
        root=base,
        suite=archive.suite,
        components=archive.components,
        architectures=tuple(architectures),
        keyring=None if state.origin.keys.expired else keyring,
    )
