"""Everything after the last target is dead: merge, report, statement."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

from gbuild.engine.caches import merge_caches
from gbuild.engine.collect import merge
from gbuild.engine.prepare import Prepared
from gbuild.engine.report import make_report
from gbuild.engine.statement import make_statement
from gbuild.engine.workspace import Workspace
from gbuild.formats.report import write_report
from gbuild.host.files import write_atomically
from gbuild.model.image import Image
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import BuildOutcome, JobOutcome


def finish(
    prepared: Prepared,
    images: Mapping[str, Image],
    outcomes: tuple[JobOutcome, ...],
    options: BuildOptions,
    workspace: Workspace,
) -> BuildOutcome:
    """Merge what was made, then write the report and the statement."""
    descriptor = prepared.descriptor
    strict = not descriptor.is_gitian_pure
    artifacts, warnings = merge(outcomes, workspace.out, strict=strict)
    common, package = merge_caches(descriptor, options, outcomes, workspace.cache)
    report = make_report(
        descriptor,
        prepared.inputs,
        prepared.found.lock,
        artifacts,
        common=common,
        package=package,
        bases={one.label: one.base for one in outcomes if one.base is not None},
    )
    data = write_report(report)
    sha256 = hashlib.sha256(data).hexdigest()
    report_path = workspace.result / f"{descriptor.name}-res.yml"
    statement_path = workspace.result / f"{descriptor.name}-res.intoto.json"
    statement = make_statement(
        descriptor,
        prepared.plan,
        prepared.inputs,
        options,
        lock=prepared.found.lock,
        images=images,
        outcomes=outcomes,
        artifacts=artifacts,
        report_sha256=sha256,
        times=(prepared.started, time.time()),
    )
    write_atomically(statement_path, statement)
    write_atomically(report_path, data)
    return BuildOutcome(
        name=descriptor.name,
        plan_digest=prepared.plan.digest,
        jobs=outcomes,
        artifacts=artifacts,
        out=workspace.out,
        report=report_path,
        report_sha256=sha256,
        statement=statement_path,
        lock=prepared.found.path,
        warnings=warnings,
    )
