"""The documentation leads somewhere and leaves nothing out."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gbuild import errors

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
COMMANDS = (
    *("gbase", "gbuild", "gcheck", "gdiff", "gdoctor", "gget", "glock"),
    *("gsign", "gsigs", "gtarget", "gverify"),
)
_CACHE_VARIABLES = ("CACHE_ENABLED", "PACKAGE_CACHE", "COMMON_CACHE")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


@pytest.mark.parametrize("part", ["tutorial", "how-to", "reference", "explanation"])
def test_every_page_is_in_the_index(part: str) -> None:
    index = (DOCS / "README.md").read_text()
    for page in (DOCS / part).glob("*.md"):
        assert f"({part}/{page.name})" in index


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "explanation/adr/README.md").read_text()
    numbers = []
    for page in sorted((DOCS / "explanation/adr").glob("[0-9]*.md")):
        title = page.read_text().split("\n", 1)[0]
        numbers.append(int(page.name[:4]))
        assert title.startswith(f"# {'NNNN' if numbers[-1] == 0 else page.name[:4]}: ")
        assert f"({page.name})" in index
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_every_command_is_documented(command: str) -> None:
    page = (DOCS / f"reference/{command}.md").read_text()
    main = getattr(importlib.import_module(f"gbuild.cli.{command}"), command)
    shared = (DOCS / "reference/shared-options.md").read_text()
    for option in _options(main):
        assert f"`{option}" in page + shared, option


def test_every_exit_code_is_documented() -> None:
    page = (DOCS / "reference/exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    families = {cls.exit_code for cls in errors.GbuildError.__subclasses__()}
    assert families | {0, errors.INTERRUPTED} <= documented


def test_every_environment_variable_is_documented() -> None:
    page = (DOCS / "reference/configuration.md").read_text()
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "bin").glob("*"), *(ROOT / "bin").glob(".*")]
    text = "".join(path.read_text() for path in sources if path.is_file())
    used = set(re.findall(r"\bGBUILD_[A-Z][A-Z_]*[A-Z]", text))
    inside_targets = {"GBUILD_BITS"} | {f"GBUILD_{c}" for c in _CACHE_VARIABLES}
    assert {name for name in used - inside_targets if name not in page} == set()


def _options(command: click.Command) -> Iterator[str]:
    """Yield the long options of a command and its subcommands, and the subcommands' names."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield max(parameter.opts, key=len)
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield f"{command.name} {name}"
            yield from _options(child)


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
