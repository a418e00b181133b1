"""Check a descriptor: control, everything varied, and then the search for what matters."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from gbuild.check import axes, history
from gbuild.check.builds import Builds, Order, Place, locate
from gbuild.check.search import Build, Search
from gbuild.check.suspects import suspects
from gbuild.check.traces import Traces, known_values
from gbuild.check.variations import (
    VARIATIONS,
    Conditions,
    Grounds,
    Variation,
    applicable,
    control,
    vary,
)
from gbuild.engine.build import Ready, make_ready
from gbuild.engine.prepare import Parts
from gbuild.engine.workspace import Workspace
from gbuild.errors import UsageFailure
from gbuild.model.check import (
    NOT_ASKED,
    BuildKind,
    CheckBuild,
    CheckedArtifact,
    CheckResult,
    Reproducible,
    Tried,
    TriedAxis,
    Waiver,
    changed,
)
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event
from gbuild.model.options import BuildOptions
from gbuild.model.surroundings import USUAL
from gbuild.target.backend import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What the person asks of a check.

    ``only`` and ``without`` choose variations by name (none: all), ``rounds`` is how often the
    control is repeated at least, ``most`` how many builds the search may ask for; ``also`` are the
    axes that are wanted, as :func:`gbuild.check.axes.asked` reads them.
    """

    build: BuildOptions
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    rounds: int = 0
    most: int = 40
    keep: bool = False
    also: tuple[str, ...] = ()


_APART = 2.1
"""Seconds between the first two builds: what holds the second, or zip's two, is then not lost."""


def check(
    path: Path,
    options: CheckOptions,
    parts: Parts,
    root: Path,
    *,
    backends: Callable[[str], Backend],
    waivers: Sequence[Waiver] = (),
) -> CheckResult:
    """Check the descriptor at ``path`` in the workspace ``root``; ``backends`` makes one by name.

    Raises:
        GbuildError: it cannot be built at all, or this host failed.
    """
    _refuse_unknown(options)
    wanted = axes.asked(options.also)
    started = time.time()
    workspace = Workspace(root)
    with workspace.locked(wait=options.build.wait):
        chosen = replace(options.build, cache_read_only=True, resume=False, parallel=1)
        ready = make_ready(path, chosen, parts, workspace)
        refuse_foreign(ready, parts.backend)
        grounds = grounds_of(ready.prepared.descriptor, parts.backend)
        earlier = history.read(history.path_of(workspace.result, ready.prepared.descriptor.name))
        folder = _fresh_folder(workspace, ready.prepared.descriptor.name)
        place = Place(ready, parts)
        usual = control(
            Conditions(options=chosen, surroundings=USUAL, processors=grounds.processors), grounds
        )
        axes.refuse_missing(wanted, grounds)
        elsewhere = axes.Elsewhere(
            usual=usual, grounds=grounds, place=place, descriptor=path, backends=backends
        )
        variations = _chosen(grounds, options)
        traces = Traces(
            [job.label for job in ready.prepared.plan.jobs],
            known_values(usual, vary(usual, variations)),
            workers=options.build.parallel,
        )
        work = _Check(
            usual=usual,
            variations=variations,
            builds=Builds(place, folder, workers=options.build.parallel),
            options=options,
            axes=[elsewhere.order(one) for one in wanted],
            traces=traces,
        )
        artifacts = work.run()
        parts.sink(Event("step", "looking for the causes in what differs"))
        today = time.strftime("%Y-%m-%d", time.gmtime(started))
        shown = axes.results(wanted, work.builds.done, artifacts, grounds)
        result = CheckResult(
            name=ready.prepared.descriptor.name,
            backend=parts.backend.name,
            descriptor_sha256=hashlib.sha256(ready.prepared.descriptor.source).hexdigest(),
            plan_digest=ready.prepared.plan.digest,
            started=started,
            seconds=time.time() - started,
            variations=tried(grounds, options),
            builds=tuple(work.builds.done),
            earlier=earlier,
            axes=tuple(_excused(axis, waivers, today) for axis in shown),
            artifacts=tuple(
                _waived(artifact, waivers, today)
                for artifact in traces.told(artifacts, work.builds.done)
            ),
        )
        if not options.keep:
            _keep_what_differs(result, [job.label for job in ready.prepared.plan.jobs])
        return result


def grounds_of(descriptor: Descriptor, backend: Backend) -> Grounds:
    """Return what decides which variations can be had."""
    return Grounds(
        descriptor=descriptor,
        backend=backend.name,
        varies=backend.varies,
        processors=tuple(sorted(os.sched_getaffinity(0))),
    )


def refuse_foreign(ready: Ready, backend: Backend) -> None:
    """Refuse machines that a person made: they would not vary, and everything seem the same.

    Raises:
        UsageFailure: the backend has such a machine for one of the images.
    """
    if any(backend.foreign(image) for image in ready.images.values()):
        raise UsageFailure(
            f"the backend {backend.name} has machines that a person made, which gcheck cannot vary",
            hint="gcheck on another backend: --backend userns",
        )


def _fresh_folder(workspace: Workspace, name: str) -> Path:
    """Return an empty folder for the builds; what an earlier check left there is removed."""
    folder = workspace.var / "check" / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _refuse_unknown(options: CheckOptions) -> None:
    """Refuse a name that is no variation's, before anything is fetched for it.

    Raises:
        UsageFailure: there is one.
    """
    names = {variation.name for variation in VARIATIONS}
    unknown = [name for name in (*options.only, *options.without) if name not in names]
    if unknown:
        raise UsageFailure(f"there is no variation {unknown[0]}", hint="gcheck --list")


def _wanted(variation: Variation, options: CheckOptions) -> bool:
    named = not options.only or variation.name in options.only
    return named and variation.name not in options.without


def _chosen(grounds: Grounds, options: CheckOptions) -> tuple[Variation, ...]:
    """Return the variations to use.

    Raises:
        UsageFailure: none is left.
    """
    known = applicable(grounds)
    chosen = tuple(v for v, missing in known if not missing and _wanted(v, options))
    if not chosen:
        raise UsageFailure("no variation is left that can be done here", hint="gcheck --list")
    return chosen


def tried(grounds: Grounds, options: CheckOptions) -> tuple[Tried, ...]:
    """Return every variation, with the reason why it is not tried if it is not."""
    return tuple(
        Tried(
            name=v.name,
            control=v.control,
            varied=v.varied,
            needs=v.needs,
            missing=missing or ("" if _wanted(v, options) else NOT_ASKED),
        )
        for v, missing in applicable(grounds)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """The order of the builds."""

    usual: Conditions
    variations: tuple[Variation, ...]
    builds: Builds
    options: CheckOptions
    axes: Sequence[Order]
    traces: Traces

    def run(self) -> list[CheckedArtifact]:
        """Build as often as it takes, and return the verdict on every artefact."""
        names = [variation.name for variation in self.variations]
        both = [self._order("control"), replace(self._order("all", names), apart=_APART)]
        first, varied = self.builds.run(both)
        control_ = dict(first.artifacts)
        broken = changed(control_, varied)
        search, repeats = self._begun(first, varied, broken)
        counts = {name: sum(name in one for one in repeats) for name in broken.union(*repeats)}
        unstable = {name for name, count in counts.items() if count}
        search.leave(unstable)
        while tests := search.next_tests():
            self._learn(search, self.builds.run(self._order("test", test) for test in tests))
        self.builds.run(self.axes)
        paths = sorted({*control_, *broken, *unstable})
        return [
            self._verdict(p, control_, search, differed=counts.get(p, 0), repeats=len(repeats))
            for p in paths
        ]

    def _begun(
        self, first: CheckBuild, varied: CheckBuild, broken: frozenset[str]
    ) -> tuple[Search, list[frozenset[str]]]:
        """Repeat the control, and beside it try a guess: return the search, and what differed.

        Without a guess nothing is tried before it is known what differs by itself.
        """
        names = [variation.name for variation in self.variations]
        count = max(self.options.rounds, 1 if broken else 0)
        search = Search(names, broken, most=self.options.most)

        def orders() -> Iterator[Order]:
            nonlocal search
            yield from (self._order("repeat") for _ in range(count))
            guess = suspects(broken, names, lambda path: self.traces.compare(first, varied, path))
            if guess:
                search = Search(names, broken, most=self.options.most, suspects=guess)
                yield from (self._order("test", test) for test in search.next_tests())

        built = self.builds.run(orders())
        self._learn(search, built[count:])
        return search, [changed(dict(first.artifacts), build) for build in built[:count]]

    def _learn(self, search: Search, builds: Iterable[CheckBuild]) -> None:
        control_ = dict(self.builds.done[0].artifacts)
        for build in builds:
            search.learn(Build(frozenset(build.varied), changed(control_, build)))

    def _order(self, kind: BuildKind, names: Iterable[str] = ()) -> Order:
        wanted = set(names)
        used = [variation for variation in self.variations if variation.name in wanted]
        return Order(
            kind=kind,
            conditions=vary(self.usual, used),
            varied=tuple(variation.name for variation in used),
        )

    def _verdict(
        self,
        path: str,
        control_: Mapping[str, str],
        search: Search,
        *,
        differed: int,
        repeats: int,
    ) -> CheckedArtifact:
        verdict = Reproducible.YES
        cause = search.causes.get(path)
        if differed:
            verdict = Reproducible.UNSTABLE
        elif cause:
            verdict = Reproducible.SENSITIVE
        order = [variation.name for variation in self.variations]
        return CheckedArtifact(
            path=path,
            sha256=control_.get(path, ""),
            verdict=verdict,
            causes=tuple(tuple(sorted(s, key=order.index)) for s in cause.any_of) if cause else (),
            certain=cause.certain if cause else True,
            differed=differed,
            repeats=repeats,
        )


def _waived(artifact: CheckedArtifact, waivers: Sequence[Waiver], today: str) -> CheckedArtifact:
    if artifact.verdict is Reproducible.YES:
        return artifact
    covering = [w for w in waivers if fnmatchcase(artifact.path, w.pattern)]
    lapsed = next((w for w in covering if w.expires < today), None)
    valid = _valid(artifact.path, waivers, today)
    return replace(artifact, waiver=valid, lapsed=None if valid else lapsed)


def _valid(path: str, waivers: Sequence[Waiver], today: str) -> Waiver | None:
    covering = (w for w in waivers if fnmatchcase(path, w.pattern))
    return next((w for w in covering if w.expires >= today), None)


def _excused(axis: TriedAxis, waivers: Sequence[Waiver], today: str) -> TriedAxis:
    waived = tuple(path for path in axis.differing if _valid(path, waivers, today))
    return replace(axis, waived=waived)


def _keep_what_differs(result: CheckResult, labels: Sequence[str]) -> None:
    """Remove what every build made like the control; the control and what differs stay."""
    control_ = dict(result.builds[0].artifacts)
    for build in result.builds[1:]:
        for path, sha256 in build.artifacts:
            if control_.get(path) == sha256:
                locate(build, path, labels).unlink(missing_ok=True)
