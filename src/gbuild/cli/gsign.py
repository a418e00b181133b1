"""gsign: sign the report of a build and put the assertion into a tree of signatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.cli._options import release_option

if TYPE_CHECKING:
    from gbuild.cli._subject import Subject
    from gbuild.model.manifest import Report
    from gbuild.sign.attest import Attested, Envelope
    from gbuild.sign.signer import Signer
    from gbuild.sign.statement import Statement
    from gbuild.sign.tree import Place

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(name="gsign")
@click.argument("what", metavar="DESCRIPTOR")
@click.option(
    "--signer",
    "-s",
    required=True,
    metavar="KEY",
    help="Key to sign with: e-mail address, fingerprint, key id or name; names your folder too.",
)
@release_option("The release that was built.", required=True)
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
@click.option(
    "--stage",
    type=click.Choice(["noncodesigned", "all"]),
    help="Sign a manifest of this stage instead of the report.",
)
@click.option(
    "--attest-only",
    type=_FILE,
    metavar="SHA256SUMS",
    help="Sign this list, made where it was built  [stage: noncodesigned].",
)
@click.option(
    "--signed",
    type=_FOLDER,
    metavar="DIR",
    help="Code-signed files for stage all; without their signatures they must be what was built.",
)
@click.option(
    "--code-signatures",
    type=_FOLDER,
    metavar="DIR",
    help="Detached code signatures: put them on what was built, into --signed.",
)
@click.option("--dsse", is_flag=True, help="Write an in-toto attestation, too.")
@click.option(
    "--dsse-key",
    type=_FILE,
    metavar="PEM",
    help="Sign that attestation with this Ed25519 key as well (implies --dsse).",
)
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
    stage: str | None,
    attest_only: Path | None,
    signed: Path | None,
    code_signatures: Path | None,
    dsse: bool,
    dsse_key: Path | None,
    force: bool,
) -> None:
    """Sign what gbuild built from DESCRIPTOR, a file or the name of a build.

    The report in result/ must belong to the descriptor, and build/out must hold exactly the
    files that it lists. The assertion and its detached signature are committed when the tree is
    a git repository of its own.

    For files that get code signatures there are two stages: 'noncodesigned' lists what was
    built, 'all' that and the files in --signed.
    """
    from gbuild.cli._subject import subject
    from gbuild.host.files import locked
    from gbuild.model import names
    from gbuild.sign.attest import attest
    from gbuild.sign.tree import Place

    stage = stage or ("noncodesigned" if attest_only else None)
    _refuse(stage, attest_only, signed, code_signatures, dsse=dsse or dsse_key is not None)
    own = names.signer_name(folder or signer, where="--as" if folder else "--signer")
    about = subject(what)
    workspace = session.workspace
    top = destination.absolute() if destination else workspace / "sigs"
    place = Place(
        root=top if destination else top / about.name,
        release=release,
        signer=own,
        name=about.name,
        stage=stage,
    )
    with locked(workspace / "var" / "lock", what=f"workspace {workspace}", wait=0):
        report, said = (
            (None, None) if attest_only else _built(session, about, check_files=not report_only)
        )
        document = _document(
            place, about, report, attest_only, signed, code_signatures, workspace / "build" / "out"
        )
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
            envelope=_envelope(said, key, dsse, dsse_key),
        )
    _tell(session, done, key, top)


def _refuse(
    stage: str | None,
    attest_only: Path | None,
    signed: Path | None,
    code_signatures: Path | None,
    *,
    dsse: bool,
) -> None:
    """Refuse options that do not go together."""
    if signed and (stage != "all" or attest_only):
        raise click.UsageError("--signed needs --stage all, and not --attest-only")
    if stage == "all" and not (signed or attest_only):
        raise click.UsageError("--stage all needs --signed, or --attest-only")
    if code_signatures and not signed:
        raise click.UsageError("--code-signatures needs --signed, where the files are written")
    if dsse and stage:
        raise click.UsageError("--dsse is for the assertion of a build, not for a stage")


def _built(session: Session, about: Subject, *, check_files: bool) -> tuple[Report, Statement]:
    from gbuild.model.event import Event
    from gbuild.sign.result import built
    from gbuild.sign.statement import read_statement

    workspace, name = session.workspace, about.name
    report = built(workspace, name, descriptor=about.descriptor, check_files=check_files)
    said = read_statement(workspace / "result" / f"{name}-res.intoto.json", report)
    for text in said.doubts:
        session.sink(Event("warning", text))
    return report, said


def _document(
    place: Place,
    about: Subject,
    report: Report | None,
    sums: Path | None,
    signed: Path | None,
    code_signatures: Path | None,
    out: Path,
) -> bytes:
    """Return the bytes to sign: the assertion, or the manifest of a stage."""
    if place.stage is None and report is not None:
        from gbuild.sign.assertion import assertion

        optionals = about.descriptor.optionals if about.descriptor else ()
        return assertion(report, release=place.release, name=place.name, optionals=optionals)
    from gbuild.sign import codesign, stages

    entries = stages.built_entries(report) if report else stages.read_sums(sums or Path())
    if code_signatures and signed:
        codesign.attach_all(out, code_signatures, signed)
    more = codesign.compare_all(out, signed) if signed else ()
    return stages.manifest(place.stage or "", entries, place=place, signed=more)


def _envelope(
    said: Statement | None, key: Signer | None, wanted: bool, path: Path | None
) -> Envelope | None:
    """Return what makes the attestation; what it needs is looked at before anything is signed."""
    if said is None or not (wanted or path):
        return None
    from gbuild.sign.dsse import Ed25519Key, attestation

    payload = said.payload
    other = Ed25519Key(path) if path else None
    return lambda: attestation(payload, key=key, other=other)


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
    from gbuild.formats.openpgp import armor
    from gbuild.model.event import Event
    from gbuild.sign.program import sign_with

    if key is not None:
        session.sink(Event("step", f"sign as {key.identity.user_id}"))
        made = key.sign(document)
        return armor(made) if place.stage else made
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
            "attestation": str(place.attestation) if done.attestation else None,
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
    if done.attestation:
        session.say(escape.line(f"in-toto    {place.attestation}"))
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
