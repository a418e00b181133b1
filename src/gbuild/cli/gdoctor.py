"""``gdoctor``: what this host can do, what is missing, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from gbuild.cli import _backends
from gbuild.cli._boundary import Session, backend_options, run, shared_options
from gbuild.errors import GbuildError

if TYPE_CHECKING:
    from gbuild.target.backend import Backend, Finding

_CANNOT = 3
_TOOLS = (
    ("git", "git", "remotes, and signatures kept in git"),
    ("gpg", "gnupg", "gsign and gverify"),
    ("gpgv", "gpgv", "locks and their proofs"),
    ("zstd", "zstd", "images of Ubuntu 21.10 and later"),
)
"""Program, Debian package, what it is for."""


@click.command(name="gdoctor")
@backend_options
@shared_options(workspace=False)
def gdoctor(session: Session) -> int:
    """Try what this host can do; exit 3 if the backend that would be used cannot work here.

    Without --backend all backends are tried, each on its own.
    """
    reports = tuple(_report(*one) for one in _backends.ask(session, _look))
    tools = (*(_tool(*row) for row in _TOOLS), _apt())
    chosen = session.chosen_backend
    own = next((r for r in reports if r.name == chosen), None) or _look(session.make_backend())
    _show(session, reports, tools)
    verdict = "works" if own.works else "cannot work"
    session.say(f"\nThe backend {chosen} {verdict} on this host.")
    session.answer(
        {
            "backend": chosen,
            "works": own.works,
            "findings": [asdict(f) for f in (*own.findings, *tools)],
            "backends": [{**asdict(report), "works": report.works} for report in reports],
        }
    )
    return 0 if own.works else _CANNOT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What one backend says of this host."""

    name: str
    summary: str
    needs: str
    findings: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        return all(finding.state != "missing" for finding in self.findings)


def _look(backend: Backend) -> _Report:
    return _Report(
        name=backend.name,
        summary=backend.summary,
        needs=backend.needs,
        findings=backend.probe(),
    )


def _report(name: str, answer: _Report | GbuildError) -> _Report:
    """Turn a backend that could not even be asked into a finding."""
    from gbuild.target.backend import Finding

    if isinstance(answer, _Report):
        return answer
    detail = "; ".join((answer.brief, *answer.details))
    finding = Finding("the backend", "missing", detail, answer.hint)
    return _Report(name=name, summary="", needs="", findings=(finding,))


def _tool(program: str, package: str, purpose: str) -> Finding:
    from gbuild.errors import MissingTool
    from gbuild.host.process import which
    from gbuild.target.backend import Finding

    try:
        return Finding(program, "ok", str(which(program, package=package)))
    except MissingTool as error:
        return Finding(program, "missing", f"needed for {purpose}", error.hint)


def _apt() -> Finding:
    """Which apt glock will use: none need be installed."""
    from gbuild.host.apt import on_host
    from gbuild.image import tools
    from gbuild.target.backend import Finding

    if on_host() is not None:
        return Finding("apt", "ok", "this host's: glock uses it")
    return Finding("apt", "ok", f"none here: glock uses that of {tools.NAME}, in a sandbox")


def _show(session: Session, reports: tuple[_Report, ...], tools: tuple[Finding, ...]) -> None:
    from gbuild.ui import table

    headers = ("backend", "state", "needs", "what it is")
    rows = [(r.name, "ok" if r.works else "missing", r.needs, r.summary) for r in reports]
    session.say(table.plain(headers, rows))
    for title, findings in (*((r.name, r.findings) for r in reports), ("tools", tools)):
        session.say(f"\n{title}")
        cells = [(f"  {f.what}", f.state, f.detail) for f in findings]
        session.say(table.plain(("  what", "state", "detail"), cells))
    mends = [(f"{r.name}: {f.what}", f.mend) for r in reports for f in r.findings]
    for what, mend in (*mends, *((tool.what, tool.mend) for tool in tools)):
        if mend is not None:
            session.say(f"\n{what}:\n    {mend}")


def main() -> None:
    """Run gdoctor."""
    run(gdoctor)


if __name__ == "__main__":
    main()
