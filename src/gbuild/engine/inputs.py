"""Everything a build reads, brought to this host and named by digest before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gbuild.engine import input_files, remotes
from gbuild.engine.normalise import normalisers
from gbuild.errors import GbuildError, Unavailable
from gbuild.host.store import Store
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Sink, discard
from gbuild.model.options import BuildOptions
from gbuild.model.plan import Inputs, ResolvedFile, ResolvedRemote


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What :func:`resolve_inputs` would use: files with their source, remotes as chosen."""

    files: tuple[input_files.FoundFile, ...]
    remotes: tuple[remotes.Choice, ...]


def check_inputs(
    descriptor: Descriptor, options: BuildOptions, *, workspace: Path, store: Store
) -> Forecast:
    """Look at every input without the network and without changing anything.

    Raises:
        UsageFailure: the options do not fit the remotes, or ``inputs/`` holds somebody's work
            where a checkout would go.
        Unavailable: inputs that cannot be had; names all files, or all remotes, with their hints.
    """
    chosen = remotes.choose(descriptor, options)
    fetch = not (options.skip_fetch or options.offline)
    problems: list[GbuildError] = []
    found: tuple[input_files.FoundFile, ...] = ()
    with _collected(problems):
        found = input_files.find(
            descriptor, workspace=workspace, store=store, offline=options.offline
        )
    with _collected(problems):
        remotes.check(chosen, workspace=workspace, store=store, fetch=fetch)
    if problems:
        raise input_files.together(problems, "kinds of input are missing")
    return Forecast(files=found, remotes=chosen)


def resolve_inputs(
    descriptor: Descriptor,
    options: BuildOptions,
    *,
    workspace: Path,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink = discard,
) -> Inputs:
    """Fetch what is missing and return every input, in the descriptor's order.

    The caller holds the workspace's lock. Nothing is fetched before :func:`check_inputs` passed.

    Raises:
        UsageFailure: as :func:`check_inputs`, or a revision is ambiguous.
        Unavailable: an input cannot be had or has a wrong hash; names all files, or all remotes.
    """
    forecast = check_inputs(descriptor, options, workspace=workspace, store=store)
    problems: list[GbuildError] = []
    files: tuple[ResolvedFile, ...] = ()
    checkouts: tuple[ResolvedRemote, ...] = ()
    with _collected(problems):
        files = input_files.fetch(
            forecast.files, descriptor, store=store, environment=environment, sink=sink
        )
    with _collected(problems):
        checkouts = remotes.resolve(
            forecast.remotes,
            options,
            workspace=workspace,
            store=store,
            environment=environment,
            sink=sink,
        )
    if problems:
        raise input_files.together(problems, "kinds of input cannot be had")
    tools = normalisers() if descriptor.normalise else ()
    return Inputs(files=files, remotes=checkouts, tools=tools)


@contextmanager
def _collected(problems: list[GbuildError]) -> Iterator[None]:
    """Keep an input that cannot be had for later, so that all are told in one pass."""
    try:
        yield
    except Unavailable as error:
        problems.append(error)
