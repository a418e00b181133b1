"""Everything a build reads, brought to this host and named by digest before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.engine import input_files, remotes
from gbuild.host.store import Store
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Sink, discard
from gbuild.model.options import BuildOptions
from gbuild.model.plan import Inputs


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
    found = input_files.find(descriptor, workspace=workspace, store=store, offline=options.offline)
    fetch = not (options.skip_fetch or options.offline)
    remotes.check(chosen, workspace=workspace, store=store, fetch=fetch)
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
    files = input_files.fetch(
        forecast.files, descriptor, store=store, environment=environment, sink=sink
    )
    checkouts = remotes.resolve(
        forecast.remotes,
        options,
        workspace=workspace,
        store=store,
        environment=environment,
        sink=sink,
    )
    return Inputs(files=files, remotes=checkouts)
