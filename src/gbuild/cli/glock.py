"""``glock``: pin the packages of a descriptor, prove a lock, show it, compare two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.cli._from_assertion import from_assertion
from gbuild.cli._options import NEW_FILE

if TYPE_CHECKING:
    from gbuild.model.descriptor import Descriptor
    from gbuild.model.lock import Lock

_DESCRIPTOR = click.argument(
    "descriptor", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
_LOCK = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Default(click.Group):
    """``glock FILE`` is short for ``glock resolve FILE``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default subcommand before arguments that name none."""
        first = args[0] if args else "--help"
        if first not in self.commands and first not in ("--help", "--version"):
            args = ["resolve", *args]
        return super().parse_args(ctx, args)


@click.group(name="glock", cls=_Default, subcommand_metavar="DESCRIPTOR | COMMAND ...")
def glock() -> None:
    """Pin the packages of a descriptor.

    glock DESCRIPTOR resolves the packages against the archives as they are now and writes
    DESCRIPTOR's lock and its proof beside it.
    """


@glock.command()
@_DESCRIPTOR
@click.option(
    "--output",
    type=NEW_FILE,
    metavar="FILE",
    help="Write the lock there [default: beside the descriptor].",
)
@click.option(
    "--allow-older",
    is_flag=True,
    help="Accept archives that are older than before, frozen or no longer valid.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="SUITE[:ARCH]",
    help="Leave a suite out, such as bookworm-security:i386 while its mirror is broken.",
)
@click.option(
    "--boot",
    is_flag=True,
    help="Also pin what virtual machines boot from: kernel, static busybox, boot loader.",
)
@click.option(
    "--image/--no-image",
    default=True,
    help="Also make the images and record their hashes [default: yes].",
)
@shared_options(workspace=False)
def resolve(
    session: Session,
    descriptor: Path,
    output: Path | None,
    allow_older: bool,
    without: tuple[str, ...],
    boot: bool,
    image: bool,
) -> None:
    """Resolve DESCRIPTOR's packages and write its lock, proof and image hashes."""
    from gbuild.formats.lockfile import lock_digest
    from gbuild.image.lockfiles import lock_path, write
    from gbuild.image.resolve import lock_descriptor
    from gbuild.ui import lock_text

    what = _descriptor(descriptor)
    path = output or lock_path(descriptor)
    previous = _previous(path)
    lock, proof = lock_descriptor(
        what,
        folder=descriptor.absolute().parent,
        store=session.store,
        environment=session.environment,
        sink=session.sink,
        previous=previous,
        allow_older=allow_older,
        without=without,
        boot=boot,
    )
    if image:
        lock = _with_images(session, lock, what)
    write(path, lock, proof)
    _tell(session, path, lock, previous)
    session.answer({"lock": str(path), "digest": lock_digest(lock), **lock_text.facts(lock)})


@glock.command()
@_DESCRIPTOR
@click.option("--lock", "lock_file", type=_LOCK, metavar="FILE", help="The lock to prove.")
@click.option("--offline", is_flag=True, help="Use nothing but the store.")
@shared_options(workspace=False)
def verify(session: Session, descriptor: Path, lock_file: Path | None, offline: bool) -> None:
    """Prove that every hash in DESCRIPTOR's lock was vouched for by the archives' keys."""
    from gbuild.image.lockfiles import lock_path, read
    from gbuild.image.proof import check
    from gbuild.image.resolve import refuse_misfit

    what = _descriptor(descriptor)
    path = lock_file or lock_path(descriptor)
    lock, proof = read(path)
    refuse_misfit(lock, what, path=path)
    findings = check(
        lock,
        proof,
        descriptor=what,
        folder=descriptor.absolute().parent,
        store=session.store,
        environment=session.environment,
        sink=session.sink,
        offline=offline,
        again=True,
    )
    for one in findings:
        session.say(f"{one.label}: {one.packages} packages, all vouched for by")
        for archive in one.archives:
            session.say(f"  {archive.name} {archive.suite} of {_day(archive.date)}, signed by")
            session.say("    " + "\n    ".join(archive.signed_by))
    session.answer(
        {"lock": str(path), "environments": {o.label: {"packages": o.packages} for o in findings}}
    )


@glock.command()
@click.argument("lock_file", type=_LOCK)
@shared_options(workspace=False, store=False)
def show(session: Session, lock_file: Path) -> None:
    """Show what a lock pins."""
    from gbuild.formats.lockfile import lock_digest
    from gbuild.image.lockfiles import read_lock_file
    from gbuild.ui import lock_text
    from gbuild.ui.table import plain

    lock = read_lock_file(lock_file)
    for one in lock.environments:
        session.say(
            f"{one.label} ({one.distro}, base {one.base}), {lock_text.megabytes(one.packages)}"
        )
        if one.asserted is None:
            session.say(f"  asked for: {' '.join(one.request)}")
        else:
            session.say(f"  read from the assertion sha256:{one.asserted.sha256}")
            session.say(f"  {lock_text.vouched(one)}")
        for archive in one.archives:
            session.say(f"  from {archive.name} {archive.suite} of {_day(archive.date)}")
        for recipe, digest in sorted(lock.images.get(one.label, {}).items()):
            session.say(f"  image by recipe {recipe}: {digest}")
        rows = [(p.name, p.arch, p.version, f"{p.size:,}") for p in one.packages]
        session.say(plain(("package", "arch", "version", "bytes"), rows))
        session.say()
    session.answer({"lock": str(lock_file), "digest": lock_digest(lock), **lock_text.facts(lock)})


@glock.command()
@click.argument("old", type=_LOCK)
@click.argument("new", type=_LOCK)
@shared_options(workspace=False, store=False)
def diff(session: Session, old: Path, new: Path) -> int:
    """Show which packages differ between two locks; exit 1 when some do."""
    from gbuild.image.lockdiff import changes, lines
    from gbuild.image.lockfiles import read_lock_file

    found = changes(read_lock_file(old), read_lock_file(new))
    for line in lines(found):
        session.say(line)
    session.answer({"changes": [one.as_json() for one in found]})
    return 1 if found else 0


def _descriptor(path: Path) -> Descriptor:
    from gbuild.formats.descriptor import parse_descriptor
    from gbuild.host.files import read_small

    return parse_descriptor(read_small(path), path=str(path))


def _previous(path: Path) -> Lock | None:
    from gbuild.image.lockfiles import read_lock_file

    return read_lock_file(path) if path.exists() else None


def _with_images(session: Session, lock: Lock, descriptor: Descriptor) -> Lock:
    from gbuild.image.provide import with_images

    return with_images(
        lock,
        repositories=descriptor.repositories,
        store=session.store,
        sink=session.sink,
        environment=session.environment,
    )


def _tell(session: Session, path: Path, lock: Lock, previous: Lock | None) -> None:
    from gbuild.image.lockdiff import changes, lines
    from gbuild.ui import lock_text

    session.say(f"wrote {path}")
    for one in lock.environments:
        images = lock.images.get(one.label, {})
        made = "".join(f", image {digest}" for digest in images.values())
        session.say(f"  {one.label}: {lock_text.megabytes(one.packages)}{made}")
    if previous is not None:
        for line in lines(changes(previous, lock)) or ("no package changed",):
            session.say(f"  {line}")


def _day(seconds: int) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


glock.add_command(from_assertion)


def main() -> None:
    """Run the command of this process."""
    run(glock)


if __name__ == "__main__":
    main()
