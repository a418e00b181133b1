"""The composition root: names and configuration in, concrete parts out.

Everything is imported when it is asked for, so that ``--help`` stays cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gbuild.errors import MissingTool, UsageFailure
from gbuild.model.event import Event, Sink

if TYPE_CHECKING:
    from gbuild.engine.prepare import Parts
    from gbuild.host.store import Store
    from gbuild.target.backend import Backend

ENTRY_POINTS = "gbuild.backends"
"""Group of entry points in which other packages offer backends: ``name = package:BACKEND``."""

DEFAULT_BACKEND = "userns"
_VARIABLE = "GBUILD_BACKEND"
_GITIAN = {"USE_LXC": "lxc", "USE_VBOX": "virtualbox", "USE_DOCKER": "oci"}
"""Variables by which Gitian chose; when several are set, its first one wins, as there."""


def chosen_backend(wanted: str | None, *, environment: Mapping[str, str], sink: Sink) -> str:
    """Return the backend to use: the one asked for, the environment's, Gitian's, the default.

    ``GBUILD_BACKEND`` goes before Gitian's ``USE_LXC``, ``USE_VBOX`` and ``USE_DOCKER``, which
    choose with a note.
    """
    ours = wanted or environment.get(_VARIABLE)
    theirs = next((name for name in _GITIAN if environment.get(name)), None)
    if theirs is None or ours == _GITIAN[theirs]:
        return ours or DEFAULT_BACKEND
    name = ours or _GITIAN[theirs]
    said = "--backend" if wanted else _VARIABLE
    why = f"; {said} goes before it" if ours else f"; the same is said by {_VARIABLE}={name}"
    sink(Event("info", f"{theirs} is set, the backend {name} is used{why}"))
    return name


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

    ``options`` go before those of the configuration file.

    Raises:
        UsageFailure: there is none of that name, or it has no such option; lists those there are.
        MissingTool: it is there but a library that it needs is not.
    """
    from gbuild.host import config

    kind = _backend_class(name)
    given = dict(options or {})
    configured = config.load(environment).backends.get(name, {})
    _check_options(kind, given, "")
    _check_options(kind, configured, f" ({config.path_of(environment)})")
    return kind(store=store, environment=environment, sink=sink, options={**configured, **given})


def _check_options(kind: type[Backend], given: Mapping[str, str], where: str) -> None:
    unknown = sorted(given.keys() - kind.settings.keys())
    if not unknown:
        return
    known = tuple(f"{key}: {text}" for key, text in kind.settings.items())
    raise UsageFailure(
        f"the backend {kind.name} has no option {unknown[0]!r}{where}",
        details=known or ("it has no options",),
    )


def _backend_class(name: str) -> type[Backend]:
    from importlib import import_module
    from importlib.util import find_spec

    from gbuild.host.libraries import how_to_install

    try:
        if name.isidentifier() and find_spec(f"gbuild.backends.{name}"):
            own: type[Backend] = import_module(f"gbuild.backends.{name}").BACKEND
            return own
        from importlib.metadata import entry_points  # slow to load

        for point in entry_points(group=ENTRY_POINTS, name=name):
            foreign: type[Backend] = point.load()
            return foreign
    except ImportError as error:
        raise MissingTool(
            f"the backend {name} cannot be loaded: {error}",
            hint=how_to_install(name),
        ) from error
    known = ", ".join(backend_names())
    raise UsageFailure(f"there is no backend called {name!r}", details=(f"there is: {known}",))


def make_parts(
    name: str,
    *,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink,
    options: Mapping[str, str] | None = None,
    hurry: bool = False,
) -> Parts:
    """Bring together what a build works with; with ``hurry`` the build follows at once."""
    backend = make_backend(name, store=store, environment=environment, sink=sink, options=options)
    if hurry:
        backend.hurry()
    from gbuild.engine.prepare import Parts  # slow to load, which is why it comes after
    from gbuild.host.idmap import current

    return Parts(
        store=store,
        backend=backend,
        idmap=current(environment),
        environment=environment,
        sink=sink,
    )
