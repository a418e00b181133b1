"""gverify: check the signatures of a release and compare what was signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gbuild.errors import Untrusted
    from gbuild.model.verdict import ReleaseVerdict
    from gbuild.verify.keys import KeySource
    from gbuild.verify.policy import Policy
    from gbuild.verify.release import Checker


@click.command(name="gverify")
@click.argument("what", metavar="[DESCRIPTOR]", required=False)
@click.option("--release", "-r", required=True, metavar="NAME", help="The release to check.")
@click.option(
    "--destination",
    "-d",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Tree to read, as DIR/RELEASE/SIGNER/  [default: sigs/<name>].",
)
@click.option(
    "--compare-to",
    "-c",
    metavar="SIGNER",
    help="Compare everybody to SIGNER instead of to what most persons signed.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show every artefact, key and digest.")
@click.option(
    "--markup/--no-markup",
    "-m",
    default=None,
    help="Mark the verdicts up for a terminal  [default: when it is one].",
)
@click.option(
    "--keys",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of public keys to use instead of the tree's own (may be given again).",
)
@click.option("--default-keyring", is_flag=True, help="Use the keys of your own keyring too.")
@click.option(
    "--persons",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Persons who must have signed every artefact alike.",
)
@click.option("--allow-weak", is_flag=True, help="Count SHA-1 signatures and short keys too.")
@shared_options(store=False)
def gverify(
    session: Session,
    what: str | None,
    release: str,
    destination: Path | None,
    compare_to: str | None,
    verbose: bool,
    markup: bool | None,
    keys: tuple[Path, ...],
    default_keyring: bool,
    persons: int,
    allow_weak: bool,
) -> int:
    """Check who signed a release, and whether they signed the same files.

    DESCRIPTOR is a file or the name of a build; without it all packages of the release are
    checked. Exit code 0: everybody who counts agrees; 1: they do not; 8: bad, missing or too
    few signatures. No key is fetched, nothing in the tree is run.
    """
    from gbuild.cli._subject import subject
    from gbuild.model import names
    from gbuild.verify.policy import default_policy

    names.release_name(release, where="--release")
    policy = default_policy(persons=persons, allow_weak=allow_weak)
    name = subject(what).name if what else None
    roots = _roots(session, name, destination)
    verdicts = [
        verdict
        for root in roots
        for verdict in _verify(
            session,
            root,
            release,
            name=name,
            policy=policy,
            compare_to=compare_to,
            keys=keys,
            default_keyring=default_keyring,
        )
    ]
    if not verdicts:
        raise _no_release(release, roots)
    _show(session, verdicts, policy, verbose=verbose, markup=markup)
    return exit_code(verdicts)


def exit_code(verdicts: Sequence[ReleaseVerdict]) -> int:
    """Return 8 when anything is untrusted, else 1 when anything differs, else 0."""
    from gbuild.errors import AnswerIsNo, Untrusted
    from gbuild.model.verdict import Outcome

    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.UNTRUSTED in outcomes:
        return Untrusted.exit_code
    return AnswerIsNo.exit_code if Outcome.MISMATCH in outcomes else 0


def _roots(session: Session, name: str | None, destination: Path | None) -> tuple[Path, ...]:
    """Return the trees to look in; every one holds ``<release>/<signer>/``."""
    if destination is not None:
        return (destination.absolute(),)
    sigs = session.workspace / "sigs"
    if name is not None:
        return (sigs / name,)
    from gbuild.verify.read import releases

    return tuple(sigs / package for package in releases(sigs)) if sigs.is_dir() else ()


def _verify(
    session: Session,
    root: Path,
    release: str,
    *,
    name: str | None,
    policy: Policy,
    compare_to: str | None,
    keys: tuple[Path, ...],
    default_keyring: bool,
) -> tuple[ReleaseVerdict, ...]:
    """Judge the release in one tree; nothing when the tree does not have it."""
    from gbuild.host.keyring import Keyring
    from gbuild.model.event import Event
    from gbuild.verify.release import Checker, fill, verify_release

    if not (root / release).exists():
        return ()
    source = _key_source(session, root, keys, default_keyring=default_keyring)
    with Keyring() as keyring:
        for problem in (*source.problems, *fill(keyring, source)):
            session.sink(Event("warning", problem))
        checker = Checker.of(keyring)
        session.sink(Event("info", _about_keys(source, checker)))
        return verify_release(
            root, release, name=name, checker=checker, policy=policy, compare_to=compare_to
        )


def _key_source(
    session: Session, root: Path, folders: tuple[Path, ...], *, default_keyring: bool
) -> KeySource:
    from gbuild.verify import keys

    source = keys.from_folders(folders) if folders else keys.from_tree(root)
    if not default_keyring:
        return source
    from gbuild.host.gpg import PersonalKeyring

    own = PersonalKeyring(session.environment).export()
    return keys.joined([source, keys.from_bytes("your own keyring", own)])


def _about_keys(source: KeySource, checker: Checker) -> str:
    primaries = {key.primary for key in checker.keys.values()}
    places = ", ".join(source.folders) or "nowhere: no key folder in the tree, no --keys"
    return f"{len(primaries)} public keys from {places}"


def _no_release(release: str, roots: Sequence[Path]) -> Untrusted:
    from gbuild.errors import Untrusted
    from gbuild.verify.read import releases

    there = [each for root in roots if root.is_dir() for each in releases(root)]
    shown = ", ".join(there[:20]) + (", ..." if len(there) > 20 else "")
    return Untrusted(
        f"nobody has signed release {release}",
        details=(
            f"looked in {', '.join(map(str, roots)) or 'sigs'}",
            f"releases there: {shown or 'none'}",
        ),
        hint="gsign writes there; name another tree with -d DIR",
    )


def _show(
    session: Session,
    verdicts: Sequence[ReleaseVerdict],
    policy: Policy,
    *,
    verbose: bool,
    markup: bool | None,
) -> None:
    from gbuild.cli._verdicts import text
    from gbuild.verify.document import document
    from gbuild.verify.policy import describe

    session.answer(document(verdicts, required=describe(policy)))
    if session.json:
        return
    marked = sys.stdout.isatty() if markup is None else markup
    for verdict in verdicts:
        session.say(text(verdict, verbose=verbose, markup=marked))
        session.say()
    session.say(f"required: {describe(policy)}")


def main() -> None:
    """Run gverify."""
    run(gverify)


if __name__ == "__main__":
    main()
