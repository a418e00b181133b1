"""What a run leaves in ``result/``: Gitian's report, and a statement of how it was made.

The report depends on the descriptor, the inputs, the lock and the bytes of the artefacts, and
on nothing else: no clock, no host, no path. What else may matter (backend, limits, network,
what was in the caches before) is in the in-toto statement beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from gbuild.engine.collect import artifacts_of
from gbuild.engine.planner import cache_folders
from gbuild.errors import UsageFailure
from gbuild.formats.manifest import base_manifest, write_in_manifest, write_manifest
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.lock import Lock
from gbuild.model.manifest import Entry, Report
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import Artifact
from gbuild.model.plan import CacheState, Inputs


def make_report(
    descriptor: Descriptor,
    inputs: Inputs,
    lock: Lock,
    artifacts: Sequence[Artifact],
    *,
    common: str = "",
    package: str = "",
) -> Report:
    """Compose the report; ``common`` and ``package`` are the caches' manifests after the run."""
    return Report(
        out_manifest=manifest_of(artifacts),
        in_manifest=write_in_manifest(
            descriptor.name, hashlib.sha256(descriptor.source).hexdigest(), inputs
        ),
        base_manifests=_base_manifests(descriptor, lock),
        cache_common_manifest=common,
        cache_package_manifest=package,
    )


def manifest_of(artifacts: Iterable[Artifact]) -> str:
    """Write ``<sha256>  <path>`` lines, sorted by the bytes of the path."""
    return write_manifest(Entry(path=a.path, digest=a.sha256) for a in artifacts)


def _base_manifests(descriptor: Descriptor, lock: Lock) -> dict[str, str]:
    texts = {}
    for suite, arch in descriptor.environments:
        environment = lock.environment(f"{suite}-{machine_architecture(arch)}")
        if environment is None:
            raise UsageFailure(f"the lock has no environment {suite}-{arch}")
        texts[f"{suite}-{arch}"] = base_manifest(environment)
    return texts


def cache_states(
    descriptor: Descriptor, options: BuildOptions, cache: Path
) -> tuple[CacheState, ...]:
    """Hash what is in a build's caches now; nothing when it uses none (or ``--no-cache``)."""
    if not options.use_cache:
        return ()
    return tuple(_cache_state(cache / folder, folder) for folder in cache_folders(descriptor))


def _cache_state(path: Path, folder: str) -> CacheState:
    path.mkdir(parents=True, exist_ok=True)
    text = cache_manifest(path)
    return CacheState(folder=folder, digest=hashlib.sha256(text.encode()).hexdigest(), path=path)


def cache_manifest(path: Path) -> str:
    """Write the manifest of one cache folder, or nothing when it is not there."""
    return manifest_of(artifacts_of(path)) if path.is_dir() else ""
