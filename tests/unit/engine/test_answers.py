"""What gbuild answers with --json follows the published schema."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from gbuild.cli._boundary import run
from gbuild.cli.gbuild import _answer, gbuild
from gbuild.engine import plan_text
from gbuild.engine.planner import plan_build
from gbuild.model.descriptor import Alternative
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import BuildOutcome
from gbuild.model.plan import Inputs

if TYPE_CHECKING:
    from .conftest import Described, Locked, MadeOutcome

SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gbuild.schema.json"


def check(answer: Any) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(answer)), schema)


def in_format(fields: Any) -> Any:
    return {"format": "gbuild.gbuild/1", **fields}


def test_a_finished_build(made: MadeOutcome, tmp_path: Path) -> None:
    job = replace(
        made("bookworm-amd64", {"bin/hello": "x"}), image="c" * 64, facts={"scratch": "tmpfs"}
    )
    outcome = BuildOutcome(
        name="sample",
        plan_digest="d" * 64,
        jobs=(job,),
        artifacts=job.artifacts,
        out=job.out,
        report=tmp_path / "sample-res.yml",
        report_sha256="e" * 64,
        statement=tmp_path / "sample-res.intoto.json",
        lock=tmp_path / "sample.lock",
        warnings=("the later job wins",),
    )
    check(in_format(_answer(outcome)))


def test_a_plan(described: Described, locked: Locked) -> None:
    descriptor = described(
        network="none",
        enable_cache=True,
        alternatives=(Alternative(package="cc", path="/usr/bin/gcc-12"),),
    )
    plan = plan_build(descriptor, BuildOptions(), Inputs(), locked())
    check(in_format({"plan": plan_text.describe(plan)}))


def test_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "odd.yml").write_text("name: [\n")
    folders = ["--store", str(tmp_path / "store"), "--workspace", str(tmp_path)]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit) as end:
            run(gbuild, arguments=[str(tmp_path / "odd.yml"), "--json", *folders])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"]["code"] == end.value.code == 2
    check(answer)


def test_the_schema_tells_its_answers_apart() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(in_format({"plan": "d" * 64}))
