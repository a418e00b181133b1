"""gget: fetch a release when enough persons agree on every file of it, and only then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.cli._options import release_option
from gbuild.errors import HostFailure

if TYPE_CHECKING:
    from gbuild.get.run import Result
    from gbuild.model.policy import Policy

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(name="gget")
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@release_option("The release to fetch.")
@click.option(
    "--signatures",
    "-s",
    metavar="TREE",
    help="Tree of signatures: a folder, or a .tar.gz (file or address).",
)
@click.option("--commit", metavar="REVISION", help="Read the repository TREE as of that commit.")
@click.option(
    "--destination",
    "--dest",
    "-d",
    type=_FOLDER,
    default=".",
    metavar="DIR",
    help="Make DIR/NAME with the files  [default: here].",
)
@click.option("--package", metavar="NAME", help="Only this package of the release.")
@click.option("--only", multiple=True, metavar="GLOB", help="Only these files (may be repeated).")
@click.option("--url", "-u", "urls", multiple=True, metavar="URL", help="The same as SOURCE.")
@click.option("--config", "-c", type=_FILE, metavar="FILE", help="Gitian's download config.")
@click.option("--policy", "policy_file", type=_FILE, metavar="FILE", help="What a release needs.")
@click.option(
    "--persons",
    type=click.IntRange(1),
    metavar="N",
    help="Persons who must have signed every file alike  [default: 1].",
)
@click.option("--allow-weak", is_flag=True, help="Count SHA-1 signatures and short keys too.")
@click.option("--keys", multiple=True, type=_FOLDER, metavar="DIR", help="Public keys to use.")
@click.option("--default-keyring", is_flag=True, help="Use the keys of your own keyring too.")
@click.option(
    "--wait",
    "-w",
    metavar="HOURS",
    help="Hours for which enough signatures must have been known (or '3 days').",
)
@click.option(
    "--evidence",
    multiple=True,
    metavar="DIR@COMMIT",
    help="A repository that shows since when signatures exist.",
)
@click.option("--max-size", default="4G", show_default=True, help="Most bytes of all files.")
@click.option("--project", metavar="NAME", help="Share what is remembered among trees of NAME.")
@click.option("--allow-older", is_flag=True, help="Go back to an older release.")
@click.option("--dry-run", "--dryrun", "-n", is_flag=True, help="Judge only; change nothing.")
@shared_options(store=False, workspace=False)
def gget(
    session: Session,
    sources: tuple[str, ...],
    release: str | None,
    signatures: str | None,
    commit: str | None,
    destination: Path,
    package: str | None,
    only: tuple[str, ...],
    urls: tuple[str, ...],
    config: Path | None,
    policy_file: Path | None,
    persons: int | None,
    allow_weak: bool,
    keys: tuple[Path, ...],
    default_keyring: bool,
    wait: str | None,
    evidence: tuple[str, ...],
    max_size: str,
    project: str | None,
    allow_older: bool,
    dry_run: bool,
) -> int:
    """Fetch the files of a release from every SOURCE until all are there.

    SOURCE is a folder, or the address of one. Every file must be signed alike by enough
    persons; then all are put in place together, or none. With --config and without --signatures,
    SOURCE is a package of Gitian's: one ZIP with files and signatures. Exit codes as gverify's: 1
    when signers differ, 8 when too few can be relied on, 4 when a file cannot be had or is another.
    """
    _check_system()
    from gbuild.cli._getting import Asked, order
    from gbuild.get.run import get
    from gbuild.host.web import settings

    asked = Asked(
        release=release,
        signatures=signatures,
        commit=commit,
        places=(*sources, *urls),
        destination=destination,
        package=package,
        only=only,
        config=config,
        policy=policy_file,
        persons=persons,
        allow_weak=allow_weak,
        keys=keys,
        default_keyring=default_keyring,
        wait=wait,
        evidence=evidence,
        max_size=max_size,
        project=project,
        allow_older=allow_older,
        dry_run=dry_run,
    )
    made = order(session, asked)
    result = get(made, settings=settings(session.environment), sink=session.sink)
    _show(session, result, made.wanted.policy, destination.absolute() / result.release)
    return _exit_code(result)


def _check_system() -> None:
    if os.name != "posix":
        raise HostFailure(
            "gget puts files in place by descriptors and locks that this system does not have",
            hint="gverify works here: fetch the files yourself and compare their sha256 with -v",
        )


def _exit_code(result: Result) -> int:
    from gbuild.cli.gverify import exit_code

    return 0 if result.state != "refused" else exit_code(result.agreement.verdicts)


def _show(session: Session, result: Result, policy: Policy, target: Path) -> None:
    from gbuild.ui import escape, matrix
    from gbuild.verify.document import document
    from gbuild.verify.policy import describe

    sizes, files = result.sizes or {}, result.agreement.files
    placed = result.state in ("fetched", "present")
    session.answer(
        {
            "state": result.state,
            "destination": str(target) if placed else None,
            "files": [
                {"path": path, "sha256": digest, "size": sizes.get(path)}
                for path, digest in files.items()
            ],
            "verdict": document(result.agreement.verdicts, required=describe(policy)),
        }
    )
    for verdict in result.agreement.verdicts:
        session.say(matrix.text(verdict, verbose=False, markup=False))
    if result.agreement.verdicts:
        session.say(matrix.required(describe(policy)))
    number = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    said = {
        "refused": "nothing was fetched",
        "fetched": f"{number}, {sum(sizes.values())} bytes, in {target}",
        "present": f"{number}: all of them are in {target} already"
        if files
        else f"the newest release is in {target} already",
        "dry-run": f"{number} would be fetched to {target}",
    }
    session.say(escape.line(said[result.state]))


def main() -> None:
    """Run gget."""
    run(gget)


if __name__ == "__main__":
    main()
