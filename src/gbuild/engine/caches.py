"""A workspace's caches: what is in them before a run, and what targets bring back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from gbuild.engine.collect import artifacts_of, manifest_of, merge_cache
from gbuild.engine.planner import cache_folders
from gbuild.model.descriptor import Descriptor
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import JobOutcome
from gbuild.model.plan import CacheState


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


def merge_caches(
    descriptor: Descriptor,
    options: BuildOptions,
    outcomes: Sequence[JobOutcome],
    cache: Path,
) -> tuple[str, str]:
    """Lay the targets' caches over the workspace's; return both manifests as they are then."""
    for outcome in outcomes:
        for folder, path in outcome.caches.items():
            merge_cache(path, cache / folder)
    if not options.use_cache or not descriptor.enable_cache:
        return "", ""
    package, common = (cache_manifest(cache / f) for f in cache_folders(descriptor))
    return common, package
