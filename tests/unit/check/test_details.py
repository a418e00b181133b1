"""Reports of diffoscope are read with care and rendered for every medium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gbuild.check.comparison_document import document
from gbuild.check.diffoscope import Diffoscope
from gbuild.formats.diffoscope import NoReport, parse
from gbuild.host.inspect import Inspected
from gbuild.model.check import Trace
from gbuild.model.comparison import Changed, Compared, Differing, Looked, Presence
from gbuild.model.rebuilt import Rebuild, Rebuilt
from gbuild.ui import comparison_page, comparison_text

EVIL = "<script>alert(1)</script> ```` \x1b[31m"
SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gdiff.schema.json"


def node(**more: Any) -> dict[str, Any]:
    return {"source1": "a/x.tar", "source2": "b/x.tar", "unified_diff": None, **more}


def report(value: dict[str, Any]) -> bytes:
    return json.dumps({"diffoscope-json-version": 1, **value}).encode()


NESTED = report(
    node(
        comments=["stripped"],
        details=[node(source1=EVIL, source2=EVIL, unified_diff=f"@@ -1 +1 @@\n-one\n+{EVIL}\n")],
    )
)
FOUND = Differing(
    a=EVIL,
    b="B",
    artifacts=(
        Compared(path="same", presence=Presence.SAME, a="0" * 64, b="0" * 64),
        Compared(
            path=EVIL,
            presence=Presence.DIFFERS,
            a="1" * 64,
            b="2" * 64,
            traces=(Trace(cause="timestamp", where=EVIL, evidence=EVIL, mend="mend"),),
            unknown=True,
            looked=Looked(detail=parse(NESTED), kept="/k.json", note=EVIL),
        ),
        Compared(path="gone", presence=Presence.ONLY_A, a="3" * 64),
    ),
    changed=(Changed(kind="file", name=EVIL, a="", b="5"),),
    note=EVIL,
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"diffoscope-json-version": 2}',
        b"[" * 100_000,
        report(node(details=7)),
        report(node(details=["x"])),
        report(node(unified_diff=["x"])),
        report(node())[:-1],
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(NoReport):
        parse(data)


def test_a_report_that_is_too_deep_or_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbuild.formats.diffoscope._MOST", 100)
    deep = node()
    for _ in range(70):
        deep = node(details=[deep])
    wide = node(details=[node()] * 101)
    for value in (deep, wide):
        with pytest.raises(NoReport, match="too many"):
            parse(report(value))


def test_nothing_foreign_reaches_a_terminal_or_a_page_raw() -> None:
    page = comparison_page.page(FOUND, version="1")
    assert "<script" not in page
    assert "\x1b" not in page
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "<ins>+&lt;script&gt;" in page
    text = list(comparison_text.lines(FOUND))
    assert "    diffoscope: x.tar > " + EVIL in text
    assert "      stripped" in text


@pytest.mark.parametrize("explained", [True, False])
def test_the_page_shows_what_rebuilds_proved(explained: bool) -> None:
    done = Rebuilt(
        a="alice",
        b="<bob>",
        builds=(
            Rebuild(packages="A", inputs="A", total=1, a=1, same=("A",)),
            Rebuild(packages="B", inputs="B", total=1, b=1, same=("B",) if explained else ()),
        ),
        packages_differ=True,
        inputs_differ=False,
    )
    page = comparison_page.page(FOUND, done, version="1")
    assert "<h2>Built again</h2>" in page
    assert "rebuilt with &lt;bob&gt;&#x27;s packages" in page
    said = "proved: the packages explain" if explained else "nothing is proved"
    assert f'k-{"good" if explained else "warn"}">{said}' in page
    assert "Built again" not in comparison_page.page(FOUND, version="1")


def test_markdown_keeps_a_report_in_a_fence_that_it_cannot_end() -> None:
    text = comparison_text.markdown(FOUND)
    assert "\n`````diff\n@@ -1 +1 @@\n-one\n+<script>" in text
    assert "\x1b" not in text


def test_long_reports_are_cut_and_say_so() -> None:
    lines = "".join(f"+{number}\n" for number in range(100)) + "+" + "x" * 1000 + "\n"
    looked = Looked(detail=parse(report(node(unified_diff=lines))))
    found = Differing(
        a="A", b="B", artifacts=(Compared(path="p", presence=Presence.DIFFERS, looked=looked),)
    )
    text = list(comparison_text.lines(found))
    assert "      77 more lines: --all, or --html FILE" in text
    everything = list(comparison_text.lines(found, everything=True))
    assert everything[-1].endswith("x... (1001 characters)")


def test_a_long_way_is_told_by_its_ends() -> None:
    deep = node(source1="end", source2="end", unified_diff="-a\n+b\n")
    for number in range(20):
        deep = node(source1=f"{number}", source2=f"{number}", details=[deep])
    looked = Looked(detail=parse(report(deep)))
    found = Differing(
        a="A", b="B", artifacts=(Compared(path="p", presence=Presence.DIFFERS, looked=looked),)
    )
    way = "19 > 18 > 17 > 16 > (13 more) > 2 > 1 > 0 > end"
    assert f"    diffoscope: {way}" in list(comparison_text.lines(found))


def test_the_document_names_the_kept_report() -> None:
    value = {"format": "gbuild.gdiff/1", **document(FOUND)}
    jsonschema.validate(json.loads(json.dumps(value)), json.loads(SCHEMA.read_text()))
    assert value["artifacts"][1]["diffoscope"] == {"report": "/k.json", "note": EVIL}  # type: ignore[index]


@pytest.mark.parametrize(
    ("done", "note"),
    [
        (
            Inspected(status=124, report=b"", whole=True, complaint=""),
            "ended after 300 seconds",
        ),
        (Inspected(status=1, report=b"x", whole=False, complaint=""), "its report is longer"),
        (Inspected(status=0, report=b"", whole=True, complaint=""), "sees no difference"),
        (Inspected(status=2, report=b"", whole=True, complaint="why\nbroken\n"), "broken"),
    ],
)
def test_what_went_wrong_is_said(
    done: Inspected, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gbuild.check.diffoscope.inspect", lambda *_args, **_more: done)
    (tmp_path / "x").write_bytes(b"x")
    asker = Diffoscope(Path("/d"), keep=tmp_path / "kept")
    looked = asker.look("x", tmp_path / "x", tmp_path / "x")
    assert note in looked.note
    assert looked.detail is None


def test_names_of_artefacts_cannot_leave_the_folder_or_become_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def inspect(argv: tuple[str, ...], *_args: object, **_more: object) -> Inspected:
        asked.extend(argv[argv.index("--") + 1 :])
        return Inspected(status=1, report=report(node()), whole=True, complaint="")

    monkeypatch.setattr("gbuild.check.diffoscope.inspect", inspect)
    (tmp_path / "x").write_bytes(b"x")
    asker = Diffoscope(Path("/d"), keep=tmp_path / "kept")
    for name in ("../../etc/x", "--html=x.tar", ".hidden", "s/" * 300 + "x.gz"):
        asker.look(name, tmp_path / "x", tmp_path / "x")
    assert asked[2:4] == ["a/artefact.tar", "b/artefact.tar"]
    kept = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert kept[:3] == ["%2E.%2F..%2Fetc%2Fx.json", "%2Ehidden.json", "--html%3Dx.tar.json"]
    assert len(kept) == 4
