"""Git remotes: which revision each is built at, and its checkout in ``inputs/``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gbuild.engine.input_files import together
from gbuild.errors import GbuildError, Unavailable, UsageFailure
from gbuild.host import web
from gbuild.host.process import ToolFailed
from gbuild.host.store import Store
from gbuild.model import names
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Sink
from gbuild.model.options import BuildOptions
from gbuild.model.plan import ResolvedRemote

if TYPE_CHECKING:  # slow to load, and most descriptors have no remote
    from gbuild.host.git.plan import Module, Planner

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A remote with what the person chose: ``url`` is where it is fetched from."""

    dir: str
    declared_url: str
    url: str
    revision: str

    @property
    def local(self) -> bool:
        """Whether it is fetched from a folder of this host."""
        return self.url.startswith(("/", "file:"))


def choose(descriptor: Descriptor, options: BuildOptions) -> tuple[Choice, ...]:
    """Combine a descriptor's remotes with ``--commit`` and ``--url``.

    As in Gitian every remote needs a revision from one of the two places.

    Raises:
        UsageFailure: a remote has no revision, has two different ones, or an option names a
            remote that the descriptor does not have; tells all of them.
    """
    problems = list(_strangers(descriptor, options))
    choices: list[Choice] = []
    for remote in descriptor.remotes:
        asked = options.commits.get(remote.dir)
        revision = remote.commit or asked
        if revision is None:
            problems.append(f"{remote.dir} has no commit: give --commit {remote.dir}=REV")
        elif asked not in (None, revision):
            problems.append(
                f"{remote.dir}: the descriptor says commit {revision}, --commit says {asked}"
            )
        else:
            url = options.urls.get(remote.dir, remote.url)
            choices.append(
                Choice(dir=remote.dir, declared_url=remote.url, url=url, revision=revision)
            )
    if problems:
        raise UsageFailure("the remotes cannot be resolved", details=tuple(problems))
    for choice in choices:
        names.directory_name(choice.dir, where="remote")
        names.revision(choice.revision, where=choice.dir)
        names.remote_url(choice.url, where=choice.dir, local=choice.dir in options.urls)
    return tuple(choices)


def _strangers(descriptor: Descriptor, options: BuildOptions) -> Iterator[str]:
    known = {remote.dir for remote in descriptor.remotes}
    listed = ", ".join(sorted(known)) or "none"
    for option, given in (("--commit", options.commits), ("--url", options.urls)):
        for name in given:
            if (name if option == "--commit" else name.partition("/")[0]) not in known:
                yield f"{option} names {name}; the descriptor's remotes are: {listed}"


def check(choices: tuple[Choice, ...], *, workspace: Path, store: Store, fetch: bool) -> None:
    """Look for what would stop :func:`resolve`, without fetching or changing anything.

    Raises:
        UsageFailure: an ``inputs/<dir>`` holds somebody's work.
        Unavailable: fetching is off, and remotes are not in the store; names all of them.
    """
    if not choices:
        return
    from gbuild.host.git import place
    from gbuild.host.git.mirror import Mirror

    for choice in choices:
        place.check(workspace / "inputs", choice.dir)
    missing = [
        Unavailable(f"{choice.dir}: nothing of {choice.url} is in the store")
        for choice in choices
        if not fetch and not Mirror(store, choice.url, local=choice.local).exists
    ]
    if missing:
        error = together(missing, "remotes are not at hand")
        error.hint = "run once without --offline and --skip-fetch"
        raise error


def resolve(
    choices: tuple[Choice, ...],
    options: BuildOptions,
    *,
    workspace: Path,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink,
) -> tuple[ResolvedRemote, ...]:
    """Fetch every remote, then make every checkout; in the descriptor's order.

    Raises:
        Unavailable: names every remote, revision or submodule that cannot be had.
        UsageFailure: a revision is ambiguous, a submodule's address may not be used, or an
            ``inputs/<dir>`` holds somebody's work.
    """
    if not choices:
        return ()
    from gbuild.host.git.mirror import Access
    from gbuild.host.git.plan import Planner

    planner = Planner(
        store=store,
        access=Access(
            settings=web.settings(environment),
            ssh_agent=environment.get("SSH_AUTH_SOCK"),
            sink=sink,
        ),
        fetch=not (options.skip_fetch or options.offline),
        tags=options.fetch_tags,
        branches=options.fetch_branches,
        urls=options.urls,
    )
    inputs = workspace / "inputs"
    _plan_all(choices, planner)
    return tuple(_repaired(planner, partial(_placed, one, planner, inputs)) for one in choices)


def _plan_all(choices: tuple[Choice, ...], planner: Planner) -> None:
    """Fetch everything before anything in ``inputs/`` changes."""
    problems: list[GbuildError] = []
    for choice in choices:
        try:
            _repaired(planner, partial(_planned, choice, planner))
        except Unavailable as error:
            problems.append(error)
    if problems:
        raise together(problems, "remotes cannot be had")


def _planned(choice: Choice, planner: Planner) -> Module:
    return planner.plan(choice.dir, choice.declared_url, choice.revision)


def _placed(choice: Choice, planner: Planner, inputs: Path) -> ResolvedRemote:
    from gbuild.host.git import place

    module = _planned(choice, planner)
    return ResolvedRemote(
        dir=choice.dir,
        # a folder of this host is nobody else's business: the commit says what it held
        url=choice.declared_url if choice.local else choice.url,
        commit=module.commit,
        author_time=module.author_time,
        tree_sha256=place.place(module, inputs, choice.dir),
        checkout=inputs / choice.dir,
    )


def _repaired(planner: Planner, work: Callable[[], Result]) -> Result:
    """Do the work; when a mirror turns out to be damaged, fetch it anew and do it again."""
    try:
        return work()
    except ToolFailed:
        if not planner.forget_damaged():
            raise
    return work()
