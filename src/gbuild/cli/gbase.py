"""``gbase``: the images in the store."""

from __future__ import annotations

import click

from gbuild.cli._boundary import Session, run, shared_options

_DAY = 86400


@click.group(name="gbase")
def gbase() -> None:
    """Look after the images that builds run on (gbuild makes them from locks by itself)."""


@gbase.command(name="list")
@shared_options(workspace=False)
def list_images(session: Session) -> None:
    """List the images in the store, least recently used first."""
    import time

    from gbuild.image.prune import images
    from gbuild.ui.table import plain

    found = images(session.store)
    rows = [
        (
            one.label,
            one.sha256[:16],
            str(one.recipe),
            f"{one.size / 1e6:.0f} MB",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used)),
            "yes" if one.maps else "no",
        )
        for one in found
    ]
    headers = ("environment", "image sha256", "recipe", "tar", "last used", "unpacked")
    session.say(plain(headers, rows) if rows else "no images in the store")
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
            ]
        }
    )


@gbase.command()
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=30.0,
    metavar="DAYS",
    help="Remove images not used for this many days [default: 30].",
)
@click.option("--all", "everything", is_flag=True, help="Remove every image not in use.")
@shared_options(workspace=False)
def prune(session: Session, older_than: float, everything: bool) -> None:
    """Remove images that were not used for a while; they are made again when needed."""
    from gbuild.host.idmap import current
    from gbuild.image.prune import prune as remove

    gone = remove(
        session.store,
        idmap=current(session.environment),
        sink=session.sink,
        unused_for=0 if everything else older_than * _DAY,
    )
    for one in gone:
        session.say(f"removed {one.label} {one.sha256[:16]}, {one.size / 1e6:.0f} MB")
    session.say(f"{len(gone)} images removed")
    session.answer({"removed": [one.key for one in gone]})


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
