"""``gdoctor``: what this host can do, what is missing, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gbuild.cli._boundary import Session, run, shared_options

if TYPE_CHECKING:
    from gbuild.target.backend import Finding

_CANNOT = 3
_TOOLS = (
    ("git", "git", "remotes, and signatures kept in git"),
    ("gpg", "gnupg", "gsign and gverify"),
    ("gpgv", "gpgv", "locks and their proofs"),
    ("apt-get", "apt", "locking packages"),
    ("zstd", "zstd", "images of Ubuntu 21.10 and later"),
)
"""Program, Debian package, what it is for."""


@click.command(name="gdoctor")
@click.option(
    "--backend", default="userns", show_default=True, metavar="NAME", help="What makes targets."
)
@shared_options(workspace=False)
def gdoctor(session: Session, backend: str) -> int:
    """Try what this host can do; exit 3 if the backend cannot work here."""
    from gbuild import app

    maker = app.make_backend(
        backend, store=session.store, environment=session.environment, sink=session.sink
    )
    probed = maker.probe()
    tools = tuple(_tool(*row) for row in _TOOLS)
    works = all(finding.state != "missing" for finding in probed)
    _show(session, (*probed, *tools))
    session.say(f"\nThe backend {backend} {'works' if works else 'cannot work'} on this host.")
    session.answer(
        {
            "backend": backend,
            "works": works,
            "findings": [asdict(finding) for finding in (*probed, *tools)],
        }
    )
    return 0 if works else _CANNOT


def _tool(program: str, package: str, purpose: str) -> Finding:
    from gbuild.errors import MissingTool
    from gbuild.host.process import which
    from gbuild.target.backend import Finding

    try:
        return Finding(program, "ok", str(which(program, package=package)))
    except MissingTool as error:
        return Finding(program, "missing", f"needed for {purpose}", error.hint)


def _show(session: Session, findings: tuple[Finding, ...]) -> None:
    from gbuild.ui import table

    rows = [(f.what, f.state, f.detail) for f in findings]
    session.say(table.plain(("what", "state", "detail"), rows))
    for finding in findings:
        if finding.mend is not None:
            session.say(f"\n{finding.what}:\n    {finding.mend}")


def main() -> None:
    """Run gdoctor."""
    run(gdoctor)


if __name__ == "__main__":
    main()
