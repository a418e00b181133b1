"""gsign: sign the report of a build and put the assertion into a tree of signatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options

if TYPE_CHECKING:
    from gbuild.sign.attest import Attested
    from gbuild.sign.signer import Signer
    from gbuild.sign.tree import Place


@click.command(name="gsign")
@click.argument("what", metavar="DESCRIPTOR")
@click.option(
    "--signer",
    "-s",
    required=True,
    metavar="KEY",
    help="Key to sign with: e-mail address, fingerprint, key id or name; names your folder too.",
)
@click.option("--release", "-r", required=True, metavar="NAME", help="The release that was built.")
@click.option(
    "--destination",
    "-d",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Tree to write to, as DIR/RELEASE/KEY/  [default: sigs/<name>].",
)
@click.option(
    "--signing_program",
    "--signing-program",
    "-p",
    "program",
    metavar="PROG",
    help="Sign with 'PROG -u KEY FILE'  [default: gpg]; 'true' leaves signing to you.",
)
@click.option("--as", "folder", metavar="NAME", help="Name of your folder, when it is not KEY.")
@click.option(
    "--export-key/--no-export-key",
    default=None,
    help="Put your public key beside the releases  [default: without -d].",
)
@click.option("--report-only", is_flag=True, help="Sign although build/out is not here any more.")
@click.option("--force", is_flag=True, help="Replace an earlier assertion of yours.")
@shared_options(store=False)
def gsign(
    session: Session,
    what: str,
    signer: str,
    release: str,
    destination: Path | None,
    program: str | None,
    folder: str | None,
    export_key: bool | None,
    report_only: bool,
    force: bool,
) -> None:
    """Sign what gbuild built from DESCRIPTOR, a file or the name of a build.

    The report in result/ must belong to the descriptor, and build/out must hold exactly the
    files that it lists. The assertion and its detached signature are committed when the tree is
    a git repository of its own.
    """
    from gbuild.cli._subject import subject
    from gbuild.host.files import locked
    from gbuild.model import names
    from gbuild.sign.assertion import assertion
    from gbuild.sign.attest import attest
    from gbuild.sign.result import built
    from gbuild.sign.tree import Place

    names.release_name(release, where="--release")
    own = names.signer_name(folder or signer, where="--as" if folder else "--signer")
    about = subject(what)
    workspace = session.workspace
    top = destination.absolute() if destination else workspace / "sigs"
    place = Place(
        root=top if destination else top / about.name,
        release=release,
        signer=own,
        name=about.name,
    )
    optionals = about.descriptor.optionals if about.descriptor else ()
    with locked(workspace / "var" / "lock", what=f"workspace {workspace}", wait=0):
        report = built(
            workspace, about.name, descriptor=about.descriptor, check_files=not report_only
        )
        document = assertion(report, release=release, name=about.name, optionals=optionals)
        key = _signer(session, signer) if program is None else None
        done = attest(
            place,
            document,
            lambda: _sign(session, place, document, key=key, program=program, wanted=signer),
            top=top,
            public_key=key.public_key() if key else None,
            export_key=destination is None if export_key is None else export_key,
            force=force,
            environment=session.environment,
        )
    _tell(session, done, key, top)


def _signer(session: Session, wanted: str) -> Signer:
    from gbuild.host.gpg import PersonalKeyring
    from gbuild.sign.gnupg import GnupgSigner

    return GnupgSigner(wanted, PersonalKeyring(session.environment))


def _sign(
    session: Session,
    place: Place,
    document: bytes,
    *,
    key: Signer | None,
    program: str | None,
    wanted: str,
) -> bytes | None:
    from gbuild.model.event import Event
    from gbuild.sign.program import sign_with

    if key is not None:
        session.sink(Event("step", f"sign as {key.identity.user_id}"))
        return key.sign(document)
    return sign_with(
        program or "",
        signer=wanted,
        name=place.assertion.name,
        document=document,
        environment=session.environment,
    )


def _tell(session: Session, done: Attested, key: Signer | None, top: Path) -> None:
    from gbuild.ui import escape

    place = done.place
    session.answer(
        {
            "release": place.release,
            "name": place.name,
            "signer": place.signer,
            "fingerprint": key.identity.fingerprint if key else None,
            "assertion": str(place.assertion),
            "signature": str(place.signature) if done.signed else None,
            "key": str(done.key) if done.key else None,
            "written": done.written,
            "commit": done.commit,
        }
    )
    if key is not None:
        session.say(escape.line(f"signed by  {key.identity.user_id}"))
        session.say(f"           {key.identity.fingerprint}")
    session.say(escape.line(f"assertion  {place.assertion}"))
    if done.signed:
        session.say(escape.line(f"signature  {place.signature}"))
    else:
        session.say(escape.line(f"no signature yet: sign it to {place.signature}"))
    if done.key:
        session.say(escape.line(f"public key {done.key}"))
    session.say(escape.line(_about_commit(done, top)))


def _about_commit(done: Attested, top: Path) -> str:
    if done.commit:
        return f"committed  {done.commit[:12]} in {top}"
    if not done.written:
        return "nothing to do: this was signed already"
    return f"not committed: {top} is not the top of a git repository of its own"


def main() -> None:
    """Run gsign."""
    run(gsign)


if __name__ == "__main__":
    main()
