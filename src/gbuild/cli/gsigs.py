"""gsigs: look after a repository of signatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options

if TYPE_CHECKING:
    from gbuild.host.git.command import Git
    from gbuild.model.policy import Policy
    from gbuild.verify.proposal import Proposal

_REFUSED, _UNTRUSTED = 1, 8


@click.group(name="gsigs")
def gsigs() -> None:
    """Look after a git repository of signatures."""


@gsigs.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="What is signed there  [default: the folder's name].")
@shared_options(workspace=False, store=False)
def init(session: Session, folder: Path, *, name: str | None) -> None:
    """Start a repository in FOLDER: a page, a place for keys, a policy, a check of changes."""
    from gbuild.model import names
    from gbuild.sign.start_tree import start_tree

    what = names.release_name(name or folder.absolute().name, where="--name")
    commit = start_tree(folder.absolute(), what, session.environment)
    session.answer({"folder": str(folder.absolute()), "name": what, "commit": commit})
    session.say(f"started {folder}: read README.md there, and put your key into builder-keys/")


@gsigs.command()
@click.argument("commits", metavar="BASE..HEAD")
@click.option(
    "--repository",
    "-C",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="The repository  [default: the current folder].",
)
@click.option("--signer", metavar="NAME", help="Whose change it must be.")
@shared_options(workspace=False, store=False)
def check(session: Session, commits: str, *, repository: Path, signer: str | None) -> int:
    """Check what HEAD proposes to add to BASE.

    Accepted (exit 0) is a change that adds entries of one signer, with a good signature by a key
    that BASE has for them, or that brings one signer's key up to date. Other changes are refused,
    or left to a maintainer (exit 1); a signature that does not count is exit 8. Where the signer
    disagrees with others, that is shown.
    """
    from gbuild.host.git.objects import repository as opened
    from gbuild.verify.proposal import check as checked
    from gbuild.verify.proposal import proposed_range

    git = opened(repository.absolute())
    wanted = proposed_range(git, commits)
    found = checked(git, wanted, policy=_policy(git, wanted.base), signer=signer)
    _show(session, found)
    if found.untrusted:
        return _UNTRUSTED
    return 0 if found.accepted else _REFUSED


def _policy(git: Git, base: str) -> Policy:
    """Return the policy in the base commit, or that of a person who wrote none."""
    from gbuild.formats.policy import read_policy
    from gbuild.host.git.objects import contents, files
    from gbuild.model.sigs_layout import POLICY_FILE
    from gbuild.verify.policy import default_policy

    for _, data in contents(git, [f for f in files(git, base) if f.path == POLICY_FILE]):
        return read_policy(data, path=f"{base[:12]}:{POLICY_FILE}")
    return default_policy()


def _show(session: Session, found: Proposal) -> None:
    from gbuild.ui import escape
    from gbuild.ui.matrix import text

    session.answer(
        {
            "accepted": found.accepted,
            "signer": found.review.signer,
            "releases": list(found.review.releases),
            "keys": list(found.review.keys),
            "problems": list(found.problems),
            "untrusted": list(found.untrusted),
            "differences": list(found.differences),
            "notes": list(found.notes),
        }
    )
    if session.json:
        return
    for verdict in found.verdicts:
        session.say(text(verdict, verbose=False, markup=False))
        session.say()
    for title, lines in (
        ("refused", found.problems),
        ("not trusted", found.untrusted),
        ("differs", found.differences),
        ("for a maintainer", found.notes),
    ):
        for line in lines:
            session.say(escape.line(f"{title}: {line}"))
    session.say("accepted" if found.accepted else "not accepted")


def main() -> None:
    """Run gsigs."""
    run(gsigs)


if __name__ == "__main__":
    main()
