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
"""Group of entry points in which other packages offer backends: ``name = package:BACKEND``."""

DEFAULT_BACKEND = "userns"


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends: a package below ``gbuild.backends``, or an entry point."""
    import pkgutil
    from importlib.metadata import entry_points

    from gbuild import backends

    own = {module.name for module in pkgutil.iter_modules(backends.__path__) if module.ispkg}
    return tuple(sorted(own | {point.name for point in entry_points(group=ENTRY_POINTS)}))


def make_backend(
    name: str,
    *,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink,
    options: Mapping[str, str] | None = None,
) -> Backend:
    """Make the backend called ``name``; one of our own goes before another package's.

    Raises:
        UsageFailure: there is none of that name, or it has no such option; lists those there are.
        MissingTool: it is there but a library that it needs is not.
    """
    kind = _backend_class(name)
    given = dict(options or {})
    if unknown := sorted(given.keys() - kind.settings.keys()):
        raise UsageFailure(
            f"the backend {name} has no option {unknown[0]!r}",
            details=tuple(f"{key}: {text}" for key, text in kind.settings.items()),
        )
    return kind(store=store, environment=environment, sink=sink, options=given)


def _backend_class(name: str) -> type[Backend]:
    from importlib import import_module
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    try:
        if name.isidentifier() and find_spec(f"gbuild.backends.{name}"):
            own: type[Backend] = import_module(f"gbuild.backends.{name}").BACKEND
            return own
        for point in entry_points(group=ENTRY_POINTS, name=name):
            foreign: type[Backend] = point.load()
            return foreign
    except ImportError as error:
        raise MissingTool(
            f"the backend {name} cannot be loaded: {error}",
            hint=f"pip install 'gbuild[{name}]'",
        ) from error
    known = ", ".join(backend_names())
    raise UsageFailure(f"there is no backend called {name!r}", details=(f"there is: {known}",))


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
