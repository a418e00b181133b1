"""Commands that look at every backend: one that is broken costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from gbuild.errors import GbuildError, UsageFailure

if TYPE_CHECKING:
    from gbuild.cli._session import Session
    from gbuild.target.backend import Backend, Machine
    from gbuild.target.registry import Entry

Answer = TypeVar("Answer")


def names(session: Session) -> tuple[str, ...]:
    """Return the one backend that was asked for, else all there are.

    Raises:
        UsageFailure: there are options, but no backend that they belong to.
    """
    from gbuild import app

    if session.backend_name:
        return (session.backend_name,)
    if session.backend_pairs:
        raise UsageFailure("--backend-option needs --backend NAME here")
    return app.backend_names()


def ask(
    session: Session, question: Callable[[Backend], Answer]
) -> Iterator[tuple[str, Answer | GbuildError]]:
    """Ask every backend in turn, and yield its answer or why it has none.

    Raises:
        GbuildError: the one backend that was asked for has no answer.
    """
    for name in names(session):
        try:
            yield name, question(session.make_backend(name))
        except GbuildError as error:
            if session.backend_name:
                raise
            yield name, error


def has_traces(session: Session, name: str) -> bool:
    """Say whether a backend's targets were ever written down in the store and not removed."""
    folder = session.store.root / "run" / name
    return folder.is_dir() and any(folder.glob("*.json"))


def attach(session: Session, name: str) -> Machine:
    """Reach the target of that name, on the backend that was asked for or the one that has it.

    Raises:
        UsageFailure: there is none, or several backends have one.
    """
    from gbuild.model.names import target_name

    target_name(name)
    found = () if session.backend_name else _holders(session, name)
    if len(found) > 1 and session.chosen_backend not in found:
        raise UsageFailure(
            f"several backends have a target called {name}: {', '.join(found)}",
            hint="choose one with --backend NAME",
        )
    holder = found[0] if len(found) == 1 else session.chosen_backend
    return session.make_backend(holder).attach(name)


def forget(session: Session, name: str) -> tuple[str, ...]:
    """Strike dead targets of that name off the store, whoever ran them; return what they held.

    Nothing is ended or removed elsewhere: this is for what nobody can ask any more.

    Raises:
        UsageFailure: none is known, or one runs.
    """
    from gbuild.target.registry import Registry

    forgotten = []
    for backend in names(session):
        registry = Registry(session.store, backend)
        entries = [entry for entry in registry.entries() if entry.name == name]
        if entries and (_runs(session, backend, name) or any(map(_is_used, entries))):
            raise UsageFailure(f"{name} runs", hint=f"gtarget stop {name}")
        for entry in entries:
            registry.remove(entry.id)
            held = (f"{kind} {' '.join(entry.held[kind])}" for kind in sorted(entry.held))
            forgotten.append(f"{name} of {backend}, which held: {', '.join(held) or 'nothing'}")
    if not forgotten:
        raise UsageFailure(f"no target called {name} is known", hint="gtarget list")
    return tuple(forgotten)


def _runs(session: Session, backend: str, name: str) -> bool:
    """Say whether a backend reaches a target that was left running; where it cannot, none does."""
    try:
        session.make_backend(backend).attach(name)
    except GbuildError:
        return False
    return True


def _is_used(entry: Entry) -> bool:
    """Say whether the process that a target was to end with still works with it."""
    return not entry.detached and entry.alive()


def _holders(session: Session, name: str) -> tuple[str, ...]:
    """Return the backends in whose registry the name stands."""
    from gbuild.target.registry import Registry

    folder = session.store.root / "run"
    backends = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return tuple(
        backend
        for backend in backends
        if any(e.name == name and e.detached for e in Registry(session.store, backend).entries())
    )
