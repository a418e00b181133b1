"""``glock from-assertion``: pin the packages that an old assertion names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, shared_options
from gbuild.cli._moments import moment_option
from gbuild.cli._options import NEW_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gbuild.image.archives import Origin

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="from-assertion")
@click.argument("document", type=_FILE, metavar="ASSERTION")
@click.option(
    "--output",
    type=NEW_FILE,
    metavar="FILE",
    help="Write the lock there [default: ASSERTION's stem and .lock, here].",
)
@moment_option("--date", help="When it was built: the archives of that time are asked first.")
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="A folder with packages that nobody offers any more; their names do not matter.",
)
@click.option(
    "--descriptor",
    type=_FILE,
    metavar="FILE",
    help="What was built: its repositories are asked, too.",
)
@shared_options(workspace=False)
def from_assertion(
    session: Session,
    document: Path,
    output: Path | None,
    date: int | None,
    folder: Path | None,
    descriptor: Path | None,
) -> None:
    """Pin the packages that ASSERTION (or a report) was built with.

    Each is found again by its sha256: in the store, on the mirrors, at the snapshot service. When
    signed archives list all of them the lock is proved; else it says that nobody vouches for them.
    """
    import time

    from gbuild.formats.lockfile import lock_digest
    from gbuild.host.files import read_small
    from gbuild.image.from_assertion import default_output, lock_assertion
    from gbuild.image.lockfiles import write
    from gbuild.image.seek import Look
    from gbuild.model.manifest import LARGEST
    from gbuild.ui import lock_text

    look = Look(
        store=session.store,
        environment=session.environment,
        sink=session.sink,
        now=int(time.time()),
        date=date,
        more=_repositories(descriptor),
        folder=folder,
    )
    lock, proof = lock_assertion(read_small(document, limit=LARGEST), look)
    path = output or default_output(document)
    write(path, lock, proof)
    session.say(f"wrote {path}")
    for one in lock.environments:
        session.say(f"  {one.label}: {lock_text.megabytes(one.packages)}, {lock_text.vouched(one)}")
    session.answer({"lock": str(path), "digest": lock_digest(lock), **lock_text.facts(lock)})


def _repositories(path: Path | None) -> Sequence[Origin]:
    if path is None:
        return ()
    from gbuild.formats.descriptor import parse_descriptor
    from gbuild.host.files import read_small
    from gbuild.image.archives import repository_origin

    descriptor = parse_descriptor(read_small(path), path=str(path))
    return [repository_origin(one, path.absolute().parent) for one in descriptor.repositories]
