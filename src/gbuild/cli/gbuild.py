"""``gbuild``: build a descriptor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gbuild.cli import _building as building
from gbuild.cli._boundary import Session, backend_options, run, shared_options

if TYPE_CHECKING:
    from gbuild.model.outcome import BuildOutcome
    from gbuild.model.plan import Plan


class Pairs(click.ParamType[dict[str, str]]):
    """``DIR=VALUE[,DIR=VALUE...]``, as Gitian's ``--commit`` and ``--url`` take it."""

    name = "pairs"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        """Split the text; the same folder twice is an error."""
        if isinstance(value, dict):
            return dict(value)
        pairs: dict[str, str] = {}
        for text in str(value).split(","):
            folder, equals, found = text.partition("=")
            if not (folder and equals and found):
                self.fail(f"{text!r} is not DIR=VALUE", param, ctx)
            if folder in pairs:
                self.fail(f"{folder} is given twice", param, ctx)
            pairs[folder] = found
        return pairs


@click.command(name="gbuild")
@building.descriptor_argument
@building.allow_sudo
@click.option(
    "-i",
    "--skip-image",
    is_flag=True,
    expose_value=False,
    help="Accepted as in Gitian: images at hand are always reused, targets are always clean.",
)
@click.option("--upgrade", is_flag=True, help="Use today's packages although there is a lock.")
@building.num_make
@building.memory
@click.option(
    "-c",
    "--commit",
    "commits",
    type=Pairs(),
    default={},
    metavar="DIR=REV[,..]",
    help="Commits to build of the remotes.",
)
@click.option(
    "-u",
    "--url",
    "urls",
    type=Pairs(),
    default={},
    metavar="DIR=URL[,..]",
    help="Other addresses of the remotes.",
)
@click.option(
    "-o", "--cache-read-only", is_flag=True, help="Use the cache, bring nothing back into it."
)
@click.option(
    "--skip-fetch", is_flag=True, help="Fetch no remote: use the git objects that the store has."
)
@click.option("--fetch-tags", is_flag=True, help="Fetch all tags of the remotes, too.")
@click.option("--fetch-branches", is_flag=True, help="Fetch all branches of the remotes, too.")
@click.option("--skip-cleanup", is_flag=True, help="Let the targets live on after the build.")
@click.option("--no-cache", is_flag=True, help="Start with empty caches and leave them alone.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Jobs that run side by side.",
)
@building.offline
@click.option(
    "--accept-drift",
    is_flag=True,
    help="Build on a machine of yours although its packages are not the lock's; it is recorded.",
)
@building.unproven_lock
@click.option("--dry-run", is_flag=True, help="Print the plan and start nothing.")
@click.option("--keep", is_flag=True, help="Let a failed target live on, for a shell in it.")
@building.wait
@click.option("--resume", is_flag=True, help="Do not build again what this plan has finished.")
@building.timeout
@building.scratch
@click.option(
    "--disk",
    type=click.IntRange(16),
    metavar="MIB",
    help="Scratch space of a target [default: 8192].",
)
@backend_options
@shared_options()
def gbuild(
    session: Session,
    descriptor: Path,
    *,
    dry_run: bool,
    no_cache: bool,
    **options: Any,  # noqa: ANN401 (the options above)
) -> None:
    """Build DESCRIPTOR and write result/<name>-res.yml.

    Each suite and architecture is built in a fresh target from locked packages. What was made
    lies in build/out, logs in var/. Options of Gitian's gbuild keep their names.
    """
    parts = session.make_parts(hurry=not dry_run)
    from gbuild.engine import build as engine
    from gbuild.model.options import BuildOptions

    chosen = BuildOptions(use_cache=not no_cache, backend=session.chosen_backend, **options)
    if dry_run:
        _print_plan(session, engine.plan_only(descriptor, chosen, parts, session.workspace))
        return
    _print_outcome(session, engine.build(descriptor, chosen, parts, session.workspace))


def _print_plan(session: Session, plan: Plan) -> None:
    from gbuild.engine import plan_text
    from gbuild.ui.escape import terminal

    session.answer({"plan": plan_text.describe(plan)})
    for line in plan_text.lines(plan):
        session.say(terminal(line))


def _print_outcome(session: Session, outcome: BuildOutcome) -> None:
    from gbuild.model.event import Event
    from gbuild.ui.escape import terminal

    for text in outcome.warnings:
        session.sink(Event("warning", text))
    session.answer(_answer(outcome))
    if session.quiet:
        return
    for artifact in outcome.artifacts:
        session.say(terminal(f"{artifact.sha256}  {artifact.path}"))
    session.say(terminal(f"{outcome.report_sha256}  {outcome.report.name}"))


def _answer(outcome: BuildOutcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "plan": outcome.plan_digest,
        "out": str(outcome.out),
        "artifacts": [
            {"path": a.path, "sha256": a.sha256, "size": a.size} for a in outcome.artifacts
        ],
        "report": {"path": str(outcome.report), "sha256": outcome.report_sha256},
        "statement": str(outcome.statement),
        "lock": str(outcome.lock),
        "warnings": list(outcome.warnings),
        "jobs": [
            {
                "label": job.label,
                "log": str(job.log),
                "seconds": round(job.seconds, 3),
                "reused": job.reused,
                "image": job.image or None,
                "facts": dict(job.facts),
            }
            for job in outcome.jobs
        ],
    }


def main() -> None:
    """Run the command."""
    run(gbuild)


if __name__ == "__main__":
    main()
