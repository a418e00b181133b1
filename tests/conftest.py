"""What every test gets: no foreign environment, markers by folder, quick ones first."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_FOLDERS = ("unit", "property", "contract", "integration", "e2e")
_LEAKING_PREFIXES = ("GBUILD_", "GIT_", "XDG_")
_LEAKING_NAMES = ("GNUPGHOME", "SOURCE_DATE_EPOCH", "NO_COLOR", "TZ", "LC_ALL", "LANGUAGE")
_FOR_TESTS = "GBUILD_TEST_"
_STRICT = "GBUILD_TEST_STRICT"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away variables of the person that would change what is tested."""
    for name in list(os.environ):
        if name.startswith(_FOR_TESTS):
            continue
        if name.startswith(_LEAKING_PREFIXES) or name in _LEAKING_NAMES:
            monkeypatch.delenv(name)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a new folder that other users may enter (pytest's own is private to its user)."""
    folder = Path(tempfile.mkdtemp(prefix="gbuild-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, keep root's tests from others, and put the slow folders last."""
    for item in items:
        folder = _folder(item)
        if folder in ("integration", "e2e"):
            item.add_marker(folder)
        if item.get_closest_marker("root") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs to be root"))
    items.sort(key=lambda item: _FOLDERS.index(_folder(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what was skipped for a missing tool, where all tools should be (``bin/test``)."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if _STRICT in os.environ and "is not installed" in reason:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {reason}"
    return report


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).parts[0]
