"""``gcheck``: is it reproducible, and if not, why."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gbuild.cli import _building as building
from gbuild.cli._boundary import Session, backend_options, run, shared_options

if TYPE_CHECKING:
    from gbuild.check.check import CheckOptions
    from gbuild.model.check import CheckResult


@click.command(name="gcheck")
@building.descriptor_argument
@click.option("--list", "show_list", is_flag=True, help="List what can be varied, build nothing.")
@click.option("--only", multiple=True, metavar="NAME", help="Vary this; may be given again.")
@click.option(
    "--without", multiple=True, metavar="NAME", help="Do not vary this; may be given again."
)
@click.option(
    "--also",
    multiple=True,
    metavar="AXIS",
    help="Build once more with time=SECONDS, faketime, directory-order, backend=NAME, lock=FILE "
    "or point-release=FILE; may be given again.",
)
@click.option(
    "--rounds",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    metavar="N",
    help="Repeat the unvaried build N times, to see how often it differs by itself.",
)
@click.option(
    "--most",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    metavar="N",
    help="Builds that the search for causes may take.",
)
@click.option("--keep-builds", is_flag=True, help="Leave every build whole in var/check.")
@building.num_make
@building.memory
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Builds that run side by side.",
)
@building.allow_sudo
@building.offline
@building.wait
@building.timeout
@building.scratch
@backend_options
@shared_options()
def gcheck(
    session: Session,
    descriptor: Path,
    *,
    show_list: bool,
    only: tuple[str, ...],
    without: tuple[str, ...],
    also: tuple[str, ...],
    rounds: int,
    most: int,
    keep_builds: bool,
    **build: Any,  # noqa: ANN401 (options of gbuild)
) -> int:
    """Build DESCRIPTOR twice, once with everything varied, and compare.

    When artefacts differ, more builds tell which variations matter, and what differs is searched
    for known causes. Writes result/<name>-check.json and .html. Exit code 1: not reproducible.
    """
    from gbuild.check.check import CheckOptions, check
    from gbuild.check.waivers import read_waivers
    from gbuild.model.options import BuildOptions

    options = CheckOptions(
        build=BuildOptions(backend=session.chosen_backend, **build),
        only=only,
        without=without,
        also=also,
        rounds=rounds,
        most=most,
        keep=keep_builds,
    )
    if show_list:
        _print_list(session, descriptor, options)
        return 0
    waivers = read_waivers(descriptor)
    result = check(
        descriptor,
        options,
        session.make_parts(),
        session.workspace,
        backends=session.make_backend,
        waivers=waivers,
    )
    _answer(session, result)
    return 0 if result.passes else 1


def _print_list(session: Session, descriptor: Path, options: CheckOptions) -> None:
    from dataclasses import replace

    from gbuild.check.axes import untried
    from gbuild.check.check import grounds_of, tried
    from gbuild.check.document import axis, variation
    from gbuild.engine.preflight import missing
    from gbuild.engine.prepare import read_descriptor
    from gbuild.model.event import Event
    from gbuild.ui import check_text

    backend = session.make_backend()
    grounds = grounds_of(read_descriptor(descriptor, session.sink), backend)
    found, axes = tried(grounds, options), untried(grounds)
    if problem := next(iter(missing(backend.probe())), None):
        session.sink(Event("warning", f"{backend.name} cannot be used here (gdoctor)"))
        found = tuple(replace(one, missing=one.missing or problem.text) for one in found)
    session.answer(
        {
            "backend": backend.name,
            "variations": [variation(one) for one in found],
            "axes": [axis(one) for one in axes],
        }
    )
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    session.say(check_text.variations(found, backend=backend.name, width=width))
    session.say()
    session.say(check_text.axes(axes, width=width))


def _answer(session: Session, result: CheckResult) -> None:
    """Write the result beside the reports, and say it."""
    import json

    from gbuild.check import history
    from gbuild.check.document import document
    from gbuild.host.files import write_atomically
    from gbuild.ui import check_page, check_text
    from gbuild.ui.escape import line as escaped
    from gbuild.ui.escape import terminal

    folder = session.workspace / "result"
    found = document(result)
    text = json.dumps({"format": "gbuild.gcheck/1", **found}, indent=2) + "\n"
    json_path, page_path = (folder / f"{result.name}-check.{kind}" for kind in ("json", "html"))
    write_atomically(json_path, text.encode())
    write_atomically(page_path, check_page.page(result, result.earlier).encode())
    history.add(history.path_of(folder, result.name), result)
    session.answer(found)
    for line in check_text.lines(result):
        session.say(escaped(line))
    session.say(terminal(f"{json_path}\n{page_path}"))


def main() -> None:
    """Run the command."""
    run(gcheck)


if __name__ == "__main__":
    main()
