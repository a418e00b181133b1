"""The causes that can be seen in the artefacts of a check's builds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from gbuild.check.builds import locate
from gbuild.check.diagnose.apart import diagnose_apart
from gbuild.check.diagnose.diagnosis import Diagnosis, Known
from gbuild.check.variations import Conditions
from gbuild.model.check import CheckBuild, CheckedArtifact, Reproducible
from gbuild.model.surroundings import Surroundings

_UNSEEN = Diagnosis((), unknown=True)


class Traces:
    """Compares artefacts of two builds; no two files are compared twice.

    Args:
        labels: the jobs of every build.
        known: the values that an artefact may hold when it depends on a variation.
        workers: comparisons that run side by side.
    """

    def __init__(self, labels: Sequence[str], known: Sequence[Known], *, workers: int) -> None:
        self._labels = labels
        self._known = known
        self._workers = workers
        self._seen: dict[tuple[str, str, str], Diagnosis] = {}

    def compare(self, one: CheckBuild, other: CheckBuild, path: str) -> Diagnosis:
        """Compare what both builds made; unknown when one of them did not make it."""
        here, there = (dict(build.artifacts).get(path) for build in (one, other))
        if here is None or there is None:
            return _UNSEEN
        found = self._seen.get((here, there, path))
        if found is None or self._contradicted(found, other):
            found = diagnose_apart(
                self._place(one, path),
                self._place(other, path),
                name=path,
                known=[fact for fact in self._known if fact.varied_by in other.varied],
            )
            self._seen[here, there, path] = found
        return found

    def _contradicted(self, found: Diagnosis, build: CheckBuild) -> bool:
        """Say whether a cause was seen that was not varied in a build: another one looks alike."""
        still = {fact.cause for fact in self._known if fact.varied_by == fact.cause}
        still -= {*build.varied}
        return any(trace.cause in still for trace in found.traces)

    def _place(self, build: CheckBuild, path: str) -> Path:
        return locate(build, path, self._labels)

    def told(
        self, artifacts: Iterable[CheckedArtifact], builds: Sequence[CheckBuild]
    ) -> list[CheckedArtifact]:
        """Return the artefacts with the causes that are seen in those that differ."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="traces") as pool:
            return list(pool.map(lambda one: self._told(one, builds), artifacts))

    def _told(self, artifact: CheckedArtifact, builds: Sequence[CheckBuild]) -> CheckedArtifact:
        """Look at the control and the build that differs while the least was varied."""
        if artifact.verdict is Reproducible.YES or not artifact.sha256:
            return artifact
        kinds = ("repeat",) if artifact.verdict is Reproducible.UNSTABLE else ("test", "all")
        others = (
            build
            for kind in kinds
            for build in sorted(builds, key=lambda b: len(b.varied))
            if build.kind == kind
            and dict(build.artifacts).get(artifact.path, artifact.sha256) != artifact.sha256
        )
        other = next(others, None)
        if other is None:
            return artifact
        found = self.compare(builds[0], other, artifact.path)
        return replace(artifact, traces=found.traces, unknown=found.unknown)


def known_values(usual: Conditions, varied: Conditions) -> tuple[Known, ...]:
    """Return the values that an artefact may hold when it depends on a variation."""
    one, two = usual.surroundings, varied.surroundings
    pairs = (
        ("build-path", one.build_path, two.build_path),
        ("home", one.home, two.home),
        ("user", one.user, two.user),
        ("hostname", one.hostname, two.hostname),
    )
    facts = [Known(cause, a, b) for cause, a, b in pairs if a and b and a != b]
    if two.number != one.number:
        facts.append(Known("user", str(one.number), str(two.number), "ids"))
    if two.processor_model and two.processor_model != one.processor_model:
        facts.append(Known("processor", "", two.processor_model, "cpu-model"))
    facts += [Known("environment", "", folder, "exec-path") for folder in two.path]
    facts += [Known("environment", "", name, "environment") for name in _new_names(one, two)]
    return tuple(facts)


_SHORT = 12
"""Letters of a variable's name that something else may have, too."""


def _new_names(one: Surroundings, two: Surroundings) -> list[str]:
    """Return the variables that only the second build has."""
    held = {name for name, _ in one.environment}
    return [name for name, _ in two.environment if name not in held and len(name) > _SHORT]
