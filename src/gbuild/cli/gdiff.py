"""``gdiff``: what differs between two builds, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.cli._rebuilding import documents, rebuild_options, rebuilt

if TYPE_CHECKING:
    from gbuild.model.comparison import Differing
    from gbuild.model.rebuilt import Rebuilt


@click.command(name="gdiff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "-r", "--release", metavar="NAME", help="A and B are signers: compare what they signed."
)
@click.option(
    "-d",
    "--destination",
    "tree",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Tree of signatures [default: sigs in the workspace].",
)
@click.option("--package", metavar="NAME", help="Which package of the release.")
@click.option("--all", "everything", is_flag=True, help="Show what is the same, too.")
@click.option("--markdown", is_flag=True, help="Write Markdown.")
@rebuild_options
@shared_options()
def gdiff(
    session: Session,
    a: str,
    b: str,
    *,
    release: str | None,
    tree: Path | None,
    package: str | None,
    everything: bool,
    markdown: bool,
    **rebuild: Any,  # noqa: ANN401 (of cli._rebuilding)
) -> int:
    """Compare two folders of artefacts, two files, two reports, or two signers of a release.

    What differs is searched for causes that are known; of reports and signers, inputs and
    packages are compared, too. Exit code 1: something differs.
    """
    from gbuild.check.compare import compare, compare_signers

    if release is None:
        found = compare(Path(a), Path(b))
    else:
        root = tree or session.workspace / "sigs"
        found = compare_signers(root, release, (a, b), package=package)
    done = rebuilt(session, found, documents(session, a, b, release, tree, package), **rebuild)
    _print(session, found, done, everything=everything, markdown=markdown)
    return 0 if found.same else 1


def _print(
    session: Session, found: Differing, done: Rebuilt | None, *, everything: bool, markdown: bool
) -> None:
    from gbuild.check.comparison_document import document
    from gbuild.ui import comparison_text, rebuilt_text
    from gbuild.ui.escape import line as escaped

    more = {} if done is None else {"rebuilt": rebuilt_text.document(done)}
    session.answer({**document(found), **more})
    if markdown:
        session.say(comparison_text.markdown(found).rstrip("\n"))
        if done is not None:
            session.say("\n" + rebuilt_text.markdown(done))
        return
    told = () if done is None else rebuilt_text.lines(done)
    for line in (*comparison_text.lines(found, everything=everything), *told):
        session.say(escaped(line))


def main() -> None:
    """Run the command."""
    run(gdiff)


if __name__ == "__main__":
    main()
