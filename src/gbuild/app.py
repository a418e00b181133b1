"""The composition root: names and configuration in, concrete parts out.

Everything is imported when it is asked for, so that ``--help`` stays cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gbuild.errors import MissingTool, UsageFailure

if TYPE_CHECKING:
    from gbuild.engine.prepare import Parts
    from gbuild.host.store import Store
    from gbuild.model.event import Sink
    from gbuild.target.backend import Backend

ENTRY_POINTS = "gbuild.backends"
"""Group of entry points in which other packages offer backends: ``name = module:Class``."""

DEFAULT_BACKEND = "userns"


def make_backend(name: str, *, store: Store, environment: Mapping[str, str], sink: Sink) -> Backend:
    """Make the backend called ``name``; built-in ones first, then other packages'.

    Raises:
        UsageFailure: there is none of that name; lists those there are.
        MissingTool: it is there but a library that it needs is not.
    """
    if name == DEFAULT_BACKEND:
        from gbuild.backends.userns import UsernsBackend

        return UsernsBackend(store=store, environment=environment, sink=sink)
    return _foreign(name, store=store, environment=environment, sink=sink)


def _foreign(name: str, *, store: Store, environment: Mapping[str, str], sink: Sink) -> Backend:
    from importlib.metadata import entry_points

    offered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in offered:
        known = ", ".join(sorted({DEFAULT_BACKEND, *offered}))
        raise UsageFailure(f"there is no backend called {name!r}", details=(f"there is: {known}",))
    try:
        factory = offered[name].load()
    except ImportError as error:
        raise MissingTool(
            f"the backend {name} cannot be loaded: {error}",
            hint=f"pip install 'gbuild[{name}]'",
        ) from error
    backend: Backend = factory(store=store, environment=environment, sink=sink)
    return backend


def make_parts(name: str, *, store: Store, environment: Mapping[str, str], sink: Sink) -> Parts:
    """Bring together what a build works with."""
    from gbuild.engine.prepare import Parts
    from gbuild.host.idmap import current

    return Parts(
        store=store,
        backend=make_backend(name, store=store, environment=environment, sink=sink),
        idmap=current(environment),
        environment=environment,
        sink=sink,
    )
