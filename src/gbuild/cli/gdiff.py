"""``gdiff``: what differs between two builds, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.cli._options import NEW_FILE, release_option
from gbuild.cli._rebuilding import documents, rebuild_options, rebuilt
from gbuild.errors import MissingTool

if TYPE_CHECKING:
    from gbuild.check.diffoscope import Diffoscope
    from gbuild.model.comparison import Differing
    from gbuild.model.rebuilt import Rebuilt


@click.command(name="gdiff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@release_option("A and B are signers: compare what they signed.")
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
@click.option(
    "--html",
    "page",
    type=NEW_FILE,
    metavar="FILE",
    help="Write a page that loads nothing, too.",
)
@click.option(
    "--diffoscope",
    "keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where its reports are kept [default: result/diffoscope in the workspace].",
)
@click.option("--no-diffoscope", "without", is_flag=True, help="Do not ask diffoscope.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=1.0),
    default=600.0,
    show_default=True,
    help="How long diffoscope may take for all artefacts.",
)
@click.option(
    "--unconfined", is_flag=True, help="Run diffoscope without namespaces, on files you trust."
)
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
    page: Path | None,
    keep: Path | None,
    without: bool,
    seconds: float,
    unconfined: bool,
    **rebuild: Any,  # noqa: ANN401 (of cli._rebuilding)
) -> int:
    """Compare two folders of artefacts, two files, two reports, or two signers of a release.

    What differs is searched for causes that are known, and shown to diffoscope where this host
    has it; of reports and signers, inputs and packages are compared, too. Exit code 1: something
    differs.
    """
    from gbuild.check.compare import compare, compare_signers

    if release is None:
        options = _Diffoscope(keep=keep, without=without, seconds=seconds, unconfined=unconfined)
        asker, note = options.ready(session)
        look, end = (asker.look, asker.end) if asker else (None, None)
        found = compare(Path(a), Path(b), look=look, end=end)
        if not (found.same or found.explained):
            found = replace(found, note=note)
    else:
        root = tree or session.workspace / "sigs"
        found = compare_signers(root, release, (a, b), package=package)
    done = rebuilt(session, found, documents(session, a, b, release, tree, package), **rebuild)
    if page is not None:
        _write(page, found, done)
    _print(session, found, done, everything=everything, markdown=markdown)
    return 0 if found.same else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Diffoscope:
    """The options about diffoscope, as given."""

    keep: Path | None
    without: bool
    seconds: float
    unconfined: bool

    def ready(self, session: Session) -> tuple[Diffoscope | None, str]:
        """Return what asks it, or why nothing does: it is not there, and was not asked for."""
        from gbuild.check import diffoscope

        program = None if self.without else diffoscope.program()
        if program is not None:
            keep = self.keep or session.workspace / "result/diffoscope"
            asker = diffoscope.Diffoscope(
                program, keep=keep, seconds=self.seconds, confined=not self.unconfined
            )
            return asker, ""
        if self.keep is not None and not self.without:
            raise MissingTool("diffoscope is not on this host", hint=diffoscope.mend())
        return None, "" if self.without else diffoscope.absent()


def _write(path: Path, found: Differing, done: Rebuilt | None) -> None:
    from gbuild.host.files import write_atomically
    from gbuild.ui import comparison_page

    write_atomically(path, comparison_page.page(found, done).encode())


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
