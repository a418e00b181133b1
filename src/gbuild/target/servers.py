"""Targets of one store on several servers: one that does not answer costs the others nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from gbuild.errors import GbuildError
from gbuild.model.event import Event, Sink
from gbuild.target.backend import TargetInfo
from gbuild.target.registry import Entry, Registry

Place = TypeVar("Place", bound=Hashable)
Link = TypeVar("Link")


class Servers(Generic[Place, Link]):
    """The servers that run the targets of a registry, whose ``alive`` raises where one is silent.

    Args:
        registry: the targets of one backend.
        place: says which server runs an entry's target.
        connect: reaches a server; raises where it does not answer or does not let us in. Both may
            take many seconds.
        lives: says whether a connection can still be used; may raise instead.
        sink: is warned of silent servers.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        place: Callable[[Entry], Place],
        connect: Callable[[Place], Link],
        lives: Callable[[Link], bool],
        sink: Sink,
    ) -> None:
        self._registry = registry
        self._place = place
        self._connect = connect
        self._lives = lives
        self._sink = sink
        self._links: dict[Place, Link] = {}
        self._refused: dict[Place, GbuildError] | None = None
        self._lock = threading.Lock()
        self._gates: dict[Place, threading.Lock] = {}

    def link(self, place: Place) -> Link:
        """Return a connection that lives.

        Raises:
            GbuildError: what ``connect`` raises.
        """
        refused = self._refused
        with self._lock:
            gate = self._gates.setdefault(place, threading.Lock())
        with gate:
            if refused is not None and place in refused:
                raise refused[place]
            try:
                return self._living(place)
            except GbuildError as error:
                if refused is not None:
                    refused[place] = error
                raise

    @contextmanager
    def once(self) -> Iterator[None]:
        """In the block no server that was silent is tried again."""
        self._refused = {}
        try:
            yield
        finally:
            self._refused = None

    def targets(self) -> tuple[TargetInfo, ...]:
        """List the registry's targets; those of a silent server are dead, as far as one can see."""
        with self.once():
            states = self._states()
        for brief in sorted({state.brief for _, state in states if not isinstance(state, bool)}):
            self._warn(f"{brief}: its targets are shown as dead, prune keeps them")
        backend = self._registry.backend
        return tuple(entry.info(backend, alive=state is True) for entry, state in states)

    def prune(self, end: Callable[[Entry], None]) -> tuple[str, ...]:
        """``end`` the dead; what cannot be asked or ended now stays listed for the next time.

        To be called in :meth:`once`, with whatever else is asked of the servers.
        """
        removed = []
        for entry, state in self._states():
            if state is True:
                continue
            error = self._failure(end, entry) if state is False else state
            if error is None:
                removed.append(f"target {entry.name}")
            else:
                text = f"{entry.name} stays listed: {error.brief}; if that is gone for good:"
                self._warn(f"{text} gtarget prune --forget {entry.name}")
        self._registry.sweep()
        return tuple(removed)

    def unsearched(self, error: GbuildError) -> None:
        """Warn that nobody looked on a server for what no entry knows."""
        self._warn(f"{error.brief}: nothing was looked for over there")

    def any_alive(self, meant: Callable[[Entry], bool], *, here: Place) -> bool:
        """Say whether one of the targets that are ``meant`` lives; elsewhere silence is no.

        Raises:
            GbuildError: one may live on the server ``here``, which does not answer.
        """
        return any(meant(entry) and self._alive(entry, here) for entry in self._registry.entries())

    def _living(self, place: Place) -> Link:
        known = self._links.get(place)
        if known is None or not self._lives(known):
            self._links[place] = known = self._connect(place)
        return known

    def _states(self) -> list[tuple[Entry, bool | GbuildError]]:
        """Say of each target whether it lives, or why nobody says; all are asked side by side.

        A silent server costs many seconds, and so does one member of a cluster.
        """
        entries = self._registry.entries()
        found: dict[str, bool | GbuildError] = {}

        def ask(entry: Entry) -> None:
            found[entry.id] = self._state(entry)

        threads = [
            threading.Thread(target=ask, args=(entry,), daemon=True)  # ctrl-C need not wait
            for entry in entries
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [(entry, found[entry.id]) for entry in entries]

    def _state(self, entry: Entry) -> bool | GbuildError:
        with suppress(GbuildError):  # remembered, see link: prune needs it of all
            self.link(self._place(entry))
        try:
            return self._registry.alive(entry)
        except GbuildError as error:
            return error

    def _failure(self, end: Callable[[Entry], None], entry: Entry) -> GbuildError | None:
        try:
            end(entry)
        except GbuildError as error:
            return error
        return None

    def _alive(self, entry: Entry, here: Place) -> bool:
        try:
            return self._registry.alive(entry)
        except GbuildError:
            if self._place(entry) == here:
                raise
            return False

    def _warn(self, text: str) -> None:
        self._sink(Event("warning", text))
