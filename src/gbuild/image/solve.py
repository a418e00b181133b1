"""apt's choice among believed archives: which packages exactly, each found in a signed index."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
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
        with tempfile.TemporaryDirectory(prefix="gbuild-apt-") as name:
            root = Path(name).resolve()
            sources = [_lay_out(state, root, (arch, *foreign), self.store) for state in states]
            with self.tools.apt(root) as run:
                apt = PrivateApt(root / "apt", run=run, arch=arch, foreign=foreign)
                apt.read(sources)
                try:
                    chosen = apt.install(wanted)
                except PackageUnknown as error:
                    raise self._with_neighbours(error, states, label) from error
            found = self._looked_up(chosen, root, states)
        texts = (index_text(index, self.store) for state in states for index in state.indexes)
        needed = (name for text in texts for name in essential(text, arch))
        refuse_incomplete((one.name for one in found), needed, label)
        return found

    def _looked_up(
        self, chosen: Sequence[Choice], root: Path, states: Sequence[State]
    ) -> tuple[Package, ...]:
        """Find apt's choices in the indexes that the signed InRelease files vouch for."""
        wanted: dict[str, dict[str, str]] = {}
        for choice in chosen:
            name, _, path = str(choice.path.relative_to(root / "archives")).partition("/")
            wanted.setdefault(name, {})[path] = choice.sha256
        found = {
            Package(archive=state.archive.name, **stanza.fields())
            for state in states
            if (paths := wanted.get(state.archive.name))
            for index in state.indexes
            for stanza in find(index_text(index, self.store), frozenset(paths))
            if paths[stanza.path] == stanza.sha256
        }
        if len(found) != len(chosen):
            raise Untrusted(
                f"apt chose {len(chosen)} packages, the signed indexes have {len(found)} of them"
            )
        return tuple(sorted(found, key=lambda p: (p.name, p.arch)))

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
