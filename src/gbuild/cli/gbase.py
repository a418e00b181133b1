"""``gbase``: the images in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli import _backends
from gbuild.cli._boundary import Session, backend_options, run, shared_options
from gbuild.cli._options import NEW_FILE

if TYPE_CHECKING:
    from gbuild.image.prune import StoredImage
    from gbuild.target.backend import Prepared

_DAY = 86400
_SHORTEST = 6
"""Digits of a digest that are enough to name an image."""

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group(name="gbase")
def gbase() -> None:
    """Look after the images that builds run on (gbuild makes them from locks by itself)."""


@gbase.command()
@click.argument("descriptor", type=_FILE, required=False)
@click.option("--distro", help="debian or ubuntu [default: the one that has the suite].")
@click.option("--suite", help="Which suite [default: all of the descriptor's].")
@click.option("--arch", help="Which architecture [default: all of the descriptor's].")
@click.option("--offline", is_flag=True, help="Use nothing but the store.")
@backend_options
@shared_options()
def make(
    session: Session,
    descriptor: Path | None,
    *,
    distro: str | None,
    suite: str | None,
    arch: str | None,
    offline: bool,
) -> None:
    """Make the images of DESCRIPTOR, or of a bare suite, and prepare them for the backend.

    Without DESCRIPTOR, --suite and --arch say what to make. gbuild does this by itself.
    """
    from gbuild.engine import bases
    from gbuild.errors import UsageFailure
    from gbuild.ui.escape import terminal

    parts = session.make_parts()
    workspace = session.workspace
    if descriptor is None:
        if suite is None or arch is None:
            raise UsageFailure("without a descriptor, --suite and --arch say what to make")
        made = [
            bases.bare_base(
                parts, workspace, distro=distro, suite=suite, arch=arch, offline=offline
            )
        ]
    else:
        if distro is not None:
            raise UsageFailure("the descriptor says its distribution: leave --distro away")
        made = [
            *bases.bases_of(descriptor, parts, workspace, suite=suite, arch=arch, offline=offline)
        ]
    for image in made:
        session.say(
            terminal(
                f"{image.environment.label} {image.sha256[:16]}: ready for {session.chosen_backend}"
            )
        )
    session.answer(
        {
            "backend": session.chosen_backend,
            "made": [
                {"key": one.key, "label": one.environment.label, "sha256": one.sha256}
                for one in made
            ],
        }
    )


_SUITE = click.option("--suite", required=True, help="The suite of the machine.")
_ARCH = click.option("--arch", required=True, help="Its architecture.")


@gbase.command(name="import")
@click.argument("file", type=_FILE)
@_SUITE
@_ARCH
@backend_options
@shared_options(workspace=False)
def import_(session: Session, file: Path, *, suite: str, arch: str) -> None:
    """Make a machine for --suite and --arch from FILE: a Vagrant box for VirtualBox.

    Only for backends whose machines a person makes (--backend virtualbox).
    """
    from gbuild.ui.escape import terminal

    label = _label(suite, arch)
    name = session.make_backend().import_machine(file.absolute(), label=label)
    session.say(terminal(f"{name}: ready for {session.chosen_backend}"))
    session.answer({"backend": session.chosen_backend, "label": label, "machine": name})


@gbase.command(name="export")
@click.argument("file", type=NEW_FILE)
@_SUITE
@_ARCH
@backend_options
@shared_options(workspace=False)
def export(session: Session, file: Path, *, suite: str, arch: str) -> None:
    """Write the machine for --suite and --arch to FILE, a Vagrant box."""
    label = _label(suite, arch)
    session.make_backend().export_machine(file.absolute(), label=label)
    session.answer({"backend": session.chosen_backend, "label": label, "file": str(file)})


def _label(suite: str, arch: str) -> str:
    from gbuild.model import names

    return f"{names.SUITE.check(suite, '--suite')}-{names.ARCHITECTURE.check(arch, '--arch')}"


@gbase.command(name="list")
@backend_options
@shared_options(workspace=False)
def list_images(session: Session) -> None:
    """List the images in the store, least recently used first, and who has them prepared."""
    from gbuild.image.prune import images

    found = images(session.store)
    shapes, silent = _prepared(session)
    _show(session, found, shapes)
    session.answer(
        {
            "images": [
                {
                    "key": one.key,
                    "label": one.label,
                    "sha256": one.sha256,
                    "recipe": one.recipe,
                    "bytes": one.size,
                    "used": one.used,
                    "maps": list(one.maps),
                }
                for one in found
            ],
            "prepared": [
                {"backend": name, "key": p.key, "label": p.label, "place": p.place, "used": p.used}
                for name, p in shapes
            ],
            "silent": silent,
        }
    )


def _show(
    session: Session, found: tuple[StoredImage, ...], shapes: list[tuple[str, Prepared]]
) -> None:
    import time

    from gbuild.ui.table import plain

    known = {one.key for one in found}
    rows = [
        (
            one.label,
            one.sha256[:16],
            str(one.recipe),
            f"{one.size / 1e6:.0f} MB",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used)),
            " ".join(name for name, shape in shapes if shape.key == one.key) or "-",
        )
        for one in found
    ]
    rows += [
        (shape.label, f"key {shape.key[:12]}", "-", "gone", "-", name)
        for name, shape in shapes
        if shape.key not in known
    ]
    headers = ("environment", "image sha256", "recipe", "tar", "last used", "prepared for")
    session.say(plain(headers, rows) if rows else "no images in the store")


def _prepared(session: Session) -> tuple[list[tuple[str, Prepared]], dict[str, str]]:
    """Return what every backend has prepared, and which could not be asked and why."""
    from gbuild.errors import GbuildError

    shapes: list[tuple[str, Prepared]] = []
    silent: dict[str, str] = {}
    for name, answer in _backends.ask(session, lambda backend: backend.prepared()):
        if isinstance(answer, GbuildError):
            silent[name] = answer.brief
        else:
            shapes += [(name, one) for one in answer]
    return shapes, silent


@gbase.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@backend_options
@shared_options(workspace=False)
def remove(session: Session, names: tuple[str, ...]) -> int:
    """Remove images: the environment's name, or the beginning of a sha256 or key.

    With --backend only what that backend has made of them goes.
    """
    shapes, _ = _prepared(session)
    keys = [key for name in names for key in _matching(session, name, shapes)]
    failed = _discard(session, [one for one in shapes if one[1].key in keys])
    if not session.backend_name:
        failed += _remove_images(session, keys)
    session.answer({"removed": [key for key in keys if key not in failed]})
    return 3 if failed else 0


def _matching(session: Session, name: str, shapes: list[tuple[str, Prepared]]) -> list[str]:
    """Return the keys of the images that a person means.

    Raises:
        UsageFailure: there is none.
    """
    from gbuild.errors import UsageFailure
    from gbuild.image.prune import images

    found = {
        one.key
        for one in images(session.store)
        if name == one.label or (len(name) >= _SHORTEST and _begins(name, one.key, one.sha256))
    }
    found |= {
        one.key
        for _, one in shapes
        if name == one.label or (len(name) >= _SHORTEST and one.key.startswith(name))
    }
    if not found:
        raise UsageFailure(f"there is no image {name!r}", hint="gbase list")
    return sorted(found)


def _begins(name: str, *texts: str) -> bool:
    return any(text.startswith(name) for text in texts)


def _discard(session: Session, shapes: list[tuple[str, Prepared]]) -> list[str]:
    """Remove what backends have made of images; return the keys of those that stay."""
    from gbuild.errors import GbuildError
    from gbuild.model.event import Event
    from gbuild.ui.escape import terminal

    stay: list[str] = []
    for name, shape in shapes:
        try:
            if session.make_backend(name).discard(shape.key):
                session.say(terminal(f"removed {shape.label} from {name}: {shape.place}"))
        except GbuildError as error:
            stay.append(shape.key)
            text = f"the image of {shape.label} stays on {name}: {error.brief}"
            session.sink(Event("warning", text))
    return stay


def _remove_images(session: Session, keys: list[str]) -> list[str]:
    from gbuild.host.idmap import current
    from gbuild.image.prune import remove as remove_images

    idmap = current(session.environment)
    gone = remove_images(session.store, keys, idmap=idmap, sink=session.sink)
    _say_removed(session, gone)
    there = {one.key for one in gone}
    from gbuild.image.prune import images

    return [one.key for one in images(session.store) if one.key in keys and one.key not in there]


def _say_removed(session: Session, gone: tuple[StoredImage, ...]) -> None:
    for one in gone:
        session.say(f"removed {one.label} {one.sha256[:16]}, {one.size / 1e6:.0f} MB")


@gbase.command()
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=30.0,
    metavar="DAYS",
    help="Remove images not used for this many days [default: 30].",
)
@click.option("--all", "everything", is_flag=True, help="Remove every image not in use.")
@click.option("--downloads", is_flag=True, help="Remove packages, inputs and git mirrors, too.")
@backend_options
@shared_options(workspace=False)
def prune(session: Session, older_than: float, everything: bool, downloads: bool) -> None:
    """Remove images that were not used for a while, on every backend.

    They are made again when needed. With --backend only what that backend has prepared goes.
    With --downloads what is fetched from the network goes by the same rule.
    """
    import time

    unused_for = 0 if everything else older_than * _DAY
    shapes, silent = _prepared(session)
    moment = time.time() - unused_for
    old = [(name, one) for name, one in shapes if one.used <= moment]
    stay = _discard(session, old)
    gone = {one.key for _, one in old if one.key not in stay}
    if not session.backend_name:
        from gbuild.host.idmap import current
        from gbuild.image.prune import prune as remove_old

        removed = remove_old(
            session.store,
            idmap=current(session.environment),
            sink=session.sink,
            unused_for=unused_for,
        )
        _say_removed(session, removed)
        gone |= {one.key for one in removed}
    session.say(f"{len(gone)} images removed")
    more = _prune_downloads(session, unused_for) if downloads else {}
    session.answer({"removed": sorted(gone), "silent": silent, **more})


def _prune_downloads(session: Session, unused_for: float) -> dict[str, object]:
    from dataclasses import asdict

    from gbuild.image.downloads import prune_downloads

    gone = prune_downloads(session.store, unused_for=unused_for)
    session.say(
        f"{gone.blobs} files and {gone.mirrors} git mirrors removed, {gone.size / 1e6:.0f} MB"
    )
    return {"downloads": asdict(gone)}


@gbase.command()
@shared_options(workspace=False)
def check(session: Session) -> int:
    """Hash every image again, tar and unpacked tree; exit 1 when one was changed."""
    from gbuild.errors import WrongHash
    from gbuild.host.idmap import current
    from gbuild.image.prune import check as hash_again
    from gbuild.image.prune import images
    from gbuild.ui.escape import terminal

    idmap = current(session.environment)
    wrong: dict[str, str] = {}
    found = images(session.store)
    for one in found:
        try:
            hash_again(one, session.store, idmap=idmap)
        except WrongHash as error:
            wrong[one.key] = error.brief
        verdict = terminal(wrong.get(one.key, "good"))
        session.say(f"{one.label} {one.sha256[:16]}: {verdict}")
    session.answer({"good": [o.key for o in found if o.key not in wrong], "changed": wrong})
    return 1 if wrong else 0


def main() -> None:
    """Run the command of this process."""
    run(gbase)


if __name__ == "__main__":
    main()
