"""``gdiff --rebuild``: its options, and the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gbuild.cli import _building as building
from gbuild.cli._boundary import Session, backend_options
from gbuild.cli._moments import moment_option
from gbuild.errors import UsageFailure
from gbuild.model.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from gbuild.model.comparison import Differing
    from gbuild.model.rebuilt import Rebuilt

_OPTIONS = (
    click.option(
        "--rebuild",
        is_flag=True,
        help="Build again with each signer's packages and inputs, to prove what explains it.",
    ),
    click.option(
        "--descriptor",
        "descriptors",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The descriptor that was built; may be given twice [default: found by its hash].",
    ),
    moment_option("--date", help="When it was built: for packages that mirrors dropped since."),
    building.unproven_lock,
    building.num_make,
    building.memory,
    building.allow_sudo,
    building.wait,
    building.timeout,
    building.scratch,
    backend_options,
)


def rebuild_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add everything that ``--rebuild`` needs; :func:`rebuilt` takes the values together."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def documents(
    session: Session, a: str, b: str, release: str | None, tree: Path | None, package: str | None
) -> Callable[[], tuple[bytes, bytes]]:
    """Return what reads the two documents that were compared, as they are."""

    def read() -> tuple[bytes, bytes]:
        from gbuild.check.compare import signed
        from gbuild.host.files import read_small
        from gbuild.model.manifest import LARGEST

        if release is None:
            return read_small(Path(a), limit=LARGEST), read_small(Path(b), limit=LARGEST)
        root = tree or session.workspace / "sigs"
        return signed(root, release, a, package), signed(root, release, b, package)

    return read


def rebuilt(
    session: Session,
    found: Differing,
    read: Callable[[], tuple[bytes, bytes]],
    *,
    rebuild: bool,
    descriptors: tuple[Path, ...],
    date: int | None,
    **build: Any,  # noqa: ANN401 (options of gbuild)
) -> Rebuilt | None:
    """Build again when the person asks for it and there is a difference to explain.

    Raises:
        UsageFailure: A and B are no documents that say what they were built from.
    """
    if not rebuild:
        return None
    if found.same:
        session.sink(Event("info", "all artefacts are the same: nothing is rebuilt"))
        return None
    if not found.explained:
        raise UsageFailure("--rebuild needs two reports, or two signers of a release (--release)")
    from gbuild.check.rebuild import Request
    from gbuild.check.rebuild import rebuild as run
    from gbuild.model.options import BuildOptions

    request = Request(
        workspace=session.workspace,
        descriptors=descriptors,
        date=date,
        options=BuildOptions(backend=session.chosen_backend, **build),
    )
    return run(found, read(), request, session.make_parts())
