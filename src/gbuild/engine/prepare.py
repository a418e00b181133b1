"""Everything before a target starts: the descriptor, its inputs, its lock, the plan."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.engine.caches import cache_states
from gbuild.engine.inputs import resolve_inputs
from gbuild.engine.locks import FoundLock, find_lock
from gbuild.engine.planner import plan_build
from gbuild.engine.workspace import Workspace
from gbuild.formats.descriptor import parse_descriptor
from gbuild.host.files import read_small
from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event, Sink
from gbuild.model.options import BuildOptions
from gbuild.model.plan import Inputs, Plan
from gbuild.target.backend import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The concrete things that a build works with, chosen by :mod:`gbuild.app`."""

    store: Store
    backend: Backend
    idmap: IdMap
    environment: Mapping[str, str]
    sink: Sink


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before anything starts; ``started`` is in seconds since the epoch."""

    descriptor: Descriptor
    inputs: Inputs
    found: FoundLock
    plan: Plan
    started: float


def read_descriptor(path: Path, sink: Sink) -> Descriptor:
    """Read and parse a descriptor, and tell its warnings."""
    descriptor = parse_descriptor(read_small(path), path=str(path))
    for text in descriptor.warnings:
        sink(Event("warning", text))
    return descriptor


def prepare(
    descriptor: Descriptor, path: Path, options: BuildOptions, parts: Parts, workspace: Workspace
) -> Prepared:
    """Fetch the inputs, find and prove the lock, and plan the jobs."""
    started = time.time()
    inputs = resolve_inputs(
        descriptor,
        options,
        workspace=workspace.root,
        store=parts.store,
        environment=parts.environment,
        sink=parts.sink,
    )
    inputs = replace(inputs, caches=cache_states(descriptor, options, workspace.cache))
    found = find_lock(
        descriptor,
        path,
        options,
        result=workspace.result,
        store=parts.store,
        sink=parts.sink,
        environment=parts.environment,
    )
    plan = plan_build(descriptor, options, inputs, found.lock)
    for text in plan.warnings:
        parts.sink(Event("warning", text))
    return Prepared(descriptor, inputs, found, plan, started)
