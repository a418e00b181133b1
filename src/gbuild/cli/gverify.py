"""gverify: check the signatures of releases and compare what was signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.cli._moments import moment_option
from gbuild.cli._options import NEW_FILE, release_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gbuild.cli._views import View
    from gbuild.model.verdict import ReleaseVerdict


@click.command(name="gverify")
@click.argument("what", metavar="[DESCRIPTOR]", required=False)
@release_option("The release to check, or a glob: '1.*'.", globs=True)
@click.option("--all", "everything", is_flag=True, help="Check every release of the tree.")
@moment_option("--since", help="Only releases of which anything is from then or later.")
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
@moment_option("--at", help="Judge as of that moment  [default: now].")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What a release needs: persons, groups, k of n.",
)
@click.option(
    "--persons",
    type=click.IntRange(1),
    metavar="N",
    help="Persons who must have signed every artefact alike  [default: 1].",
)
@click.option("--allow-weak", is_flag=True, help="Count SHA-1 signatures and short keys too.")
@click.option(
    "--evidence",
    multiple=True,
    metavar="DIR@COMMIT",
    help="A git repository whose history, up to that commit, shows when a signature was there.",
)
@click.option(
    "--timestamps",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Certificates of authorities whose proofs (.tsr) show when a signature was there.",
)
@click.option("--explain", "view", flag_value="explain", help="Say in sentences why, or why not.")
@click.option("--markdown", "view", flag_value="markdown", help="Markdown, for a pull request.")
@click.option("--html", "view", flag_value="html", help="One page that needs nothing else.")
@click.option(
    "--output",
    "-o",
    type=NEW_FILE,
    metavar="FILE",
    help="Write the text, the Markdown or the page there.",
)
@shared_options(store=False)
def gverify(
    session: Session,
    what: str | None,
    release: str | None,
    everything: bool,
    since: int | None,
    destination: Path | None,
    compare_to: str | None,
    verbose: bool,
    markup: bool | None,
    keys: tuple[Path, ...],
    default_keyring: bool,
    at: int | None,
    policy_file: Path | None,
    persons: int | None,
    allow_weak: bool,
    evidence: tuple[str, ...],
    timestamps: Path | None,
    view: View | None,
    output: Path | None,
) -> int:
    """Check who signed a release, and whether they signed the same files.

    DESCRIPTOR is a file or the name of a build; without it all packages of the release are
    checked. Exit code 0: everybody who counts agrees; 1: they do not; 8: bad, missing or too
    few signatures. No key is fetched, nothing in the tree is run.
    """
    from gbuild.cli._asked import policy_asked, release_asked, witness_asked
    from gbuild.cli._judging import Question, judged, roots
    from gbuild.cli._subject import subject
    from gbuild.cli._views import Shape, show

    name = subject(what).name if what else None
    question = Question(
        release=release_asked(release, everything=everything),
        name=name,
        policy=policy_asked(policy_file, persons=persons, allow_weak=allow_weak),
        roots=roots(session, name, destination),
        compare_to=compare_to,
        keys=keys,
        default_keyring=default_keyring,
        at=at,
        since=since,
        witness=witness_asked(evidence, timestamps),
    )
    verdicts = judged(session, question)
    shape = Shape(view=view or "text", output=output, verbose=verbose, markup=markup)
    show(session, verdicts, question, shape)
    return exit_code(verdicts)


def exit_code(verdicts: Sequence[ReleaseVerdict]) -> int:
    """Return 8 when anything is untrusted, else 1 when anything differs, else 0."""
    from gbuild.errors import AnswerIsNo, Untrusted
    from gbuild.model.verdict import Outcome

    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.UNTRUSTED in outcomes:
        return Untrusted.exit_code
    return AnswerIsNo.exit_code if Outcome.MISMATCH in outcomes else 0


def main() -> None:
    """Run gverify."""
    run(gverify)


if __name__ == "__main__":
    main()
