"""The page, the document and the text of a check; waivers; history."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from gbuild.check import history
from gbuild.check.document import document
from gbuild.errors import UsageFailure
from gbuild.formats.waivers import WaiversInvalid, parse_waivers
from gbuild.model.check import (
    NOT_ASKED,
    CheckBuild,
    CheckedArtifact,
    CheckResult,
    Reproducible,
    Trace,
    Tried,
    TriedAxis,
    Waiver,
    changed,
)
from gbuild.ui import check_page, check_text

EVIL = "<script>alert(1)</script>\x1b[31m"
SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gcheck.schema.json"
TRACE = Trace(cause="timestamp", where="a > b", evidence=EVIL, mend="use SOURCE_DATE_EPOCH")
WAIVER = Waiver(pattern="*.pdf", reason=EVIL, owner="alice", expires="2027-03-01")
BUILD = CheckBuild(
    number=1, kind="control", varied=(), artifacts=(("a", "0" * 64),), folder=Path(), seconds=2.0
)
AXIS = TriedAxis(name="backend", what="another machine", ask="backend=NAME", needs="another")
LXC = replace(AXIS, value="lxc", state="differs", differing=("ok",))
RESULT = CheckResult(
    name="prog",
    backend="userns",
    descriptor_sha256="1" * 64,
    plan_digest="2" * 64,
    started=1795274120.0,
    seconds=9.0,
    variations=(
        Tried(name="umask", control="002", varied="022"),
        Tried(name="cache", control="x", varied="y", missing="the descriptor has no cache"),
    ),
    builds=(BUILD, replace(BUILD, number=2, kind="all", artifacts=(), failure="it failed")),
    artifacts=(
        CheckedArtifact(path="ok", sha256="0" * 64, verdict=Reproducible.YES),
        CheckedArtifact(
            path=EVIL,
            sha256="0" * 64,
            verdict=Reproducible.SENSITIVE,
            causes=(("umask",),),
            repeats=1,
            traces=(TRACE,),
        ),
        CheckedArtifact(
            path="x.pdf",
            sha256="0" * 64,
            verdict=Reproducible.UNSTABLE,
            differed=2,
            repeats=3,
            waiver=WAIVER,
        ),
    ),
)


def test_the_page_escapes_and_loads_nothing() -> None:
    page = check_page.page(RESULT, ())
    assert "<script" not in page
    assert "\x1b" not in page
    assert "default-src 'none'" in page
    assert page == check_page.page(RESULT, ())
    assert "not reproducible, 2 of 3 artefacts differ, 1 waived" in page


def test_the_text_says_what_matters() -> None:
    text = "\n".join(check_text.lines(RESULT))
    assert "changed by umask" in text
    assert "2 of 3 unvaried builds differed" in text
    assert "waived until 2027-03-01 by alice" in text
    assert "not varied: cache (the descriptor has no cache)" in text


def test_axes_are_shown_as_not_run_unless_asked() -> None:
    quiet, asked = (replace(RESULT, artifacts=RESULT.artifacts[:1], axes=(a,)) for a in (AXIS, LXC))
    assert "not run: backend (--also, see gcheck --list)" in list(check_text.lines(quiet))
    assert "--also backend=NAME" in check_page.page(quiet, ())
    assert quiet.passes
    assert check_text.summary(asked) == "prog: not reproducible with backend=lxc"
    assert "backend=lxc: not the same: ok" in list(check_text.lines(asked))
    assert 'title="not the same with backend=lxc"' in check_page.page(asked, ())
    assert document(asked)["reproducible"] is False
    assert replace(asked, axes=(replace(LXC, waived=("ok",)),)).passes
    assert not replace(asked, axes=(replace(LXC, state="failed", differing=()),)).passes


def test_what_was_left_out_is_counted() -> None:
    left = Tried(name="home", control="x", varied="y", missing=NOT_ASKED)
    some = replace(RESULT, variations=(*RESULT.variations, left, left))
    said = "cache (the descriptor has no cache), 2 not asked for"
    assert f"not varied: {said}" in list(check_text.lines(some))
    assert f"Not varied: {said}." in check_page.page(some, ())


def test_the_document_follows_its_schema() -> None:
    found = {"format": "gbuild.gcheck/1", **document(replace(RESULT, axes=(AXIS, LXC)))}
    jsonschema.validate(json.loads(json.dumps(found)), json.loads(SCHEMA.read_text()))
    assert found["reproducible"] is False
    assert [a.path for a in RESULT.failing] == [EVIL]


def test_a_build_that_failed_changed_everything() -> None:
    assert changed({"a": "0", "b": "1"}, replace(BUILD, artifacts=())) == {"a", "b"}
    assert changed({"a": "0"}, replace(BUILD, artifacts=(("a", "0"), ("new", "1")))) == {"new"}


def test_history_keeps_every_check(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    assert history.read(path) == ()
    history.add(path, RESULT)
    history.add(path, replace(RESULT, started=RESULT.started + 60))
    first, second = history.read(path)
    assert (first.started, second.started) == ("2026-11-21T15:15:20Z", "2026-11-21T15:16:20Z")
    assert first.verdicts["x.pdf"] == "unstable"
    assert "Earlier checks" in check_page.page(RESULT, (first, second))
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(UsageFailure, match=r"h.jsonl:3 "):
        history.read(path)


GOOD = """\
format: gbuild.waivers/1
waivers:
- artifacts: "*.pdf"
  reason: the typesetter writes the time
  owner: alice
  expires: 2027-03-01
"""


def test_waivers_are_read() -> None:
    (waiver,) = parse_waivers(GOOD.encode(), path="w")
    assert (waiver.pattern, waiver.owner, waiver.expires) == ("*.pdf", "alice", "2027-03-01")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("waivers/1", "waivers/2", "unknown format"),
        ("2027-03-01", "2027-02-30", "expires is no day"),
        ("2027-03-01", "soon", "expires is no day"),
        ("  owner: alice\n", "", "a waiver has no owner"),
        ("owner: alice", "owner: alice\n  until: x", "unknown key"),
        ("alice", '" "', "owner is empty"),
        (GOOD, "- a\n", "a file of waivers is a mapping"),
    ],
)
def test_waivers_that_say_too_little_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(WaiversInvalid) as refused:
        parse_waivers(GOOD.replace(old, new).encode(), path="w.yml")
    assert said in "\n".join((refused.value.brief, *refused.value.details))


def test_the_page_is_green_only_when_nothing_is_waived() -> None:
    ok, broken = RESULT.artifacts[:2]
    colour = {
        "good": replace(RESULT, artifacts=(ok,), axes=()),
        "warn": replace(RESULT, artifacts=(ok, replace(broken, waiver=WAIVER)), axes=()),
        "bad": replace(RESULT, artifacts=(ok, broken), axes=()),
    }
    for kind, result in colour.items():
        assert f'class="verdict k-{kind}"' in check_page.page(result, ())
