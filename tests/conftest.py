"""What every test gets: no foreign environment, markers by folder, an order.

``bin/test`` runs several workers side by side (pytest-xdist). What is costly to make and never
changed, such as a store with images, lies in one folder of the run; whoever needs it first makes
it while the others wait (:class:`Common`). The tests of a file stay in one worker, so that its
fixtures are made once; in ``e2e`` a test goes where there is room, but for a few files.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

_HERE = Path(__file__).parent
_FOLDERS = ("unit", "property", "fuzz", "contract", "integration", "e2e")
_LEAKING_PREFIXES = ("GBUILD_", "GIT_", "XDG_")
_LEAKING_NAMES = ("GNUPGHOME", "SOURCE_DATE_EPOCH", "NO_COLOR", "TZ", "LC_ALL", "LANGUAGE")
_FOR_TESTS = "GBUILD_TEST_"
_STRICT = "GBUILD_TEST_STRICT"
_RUN = "GBUILD_TEST_RUN"
_REQUIRED = "REQUIRE_BACKENDS"
_BACKENDS = ("userns", "lxc", "lxd", "kvm", "oci", "virtualbox")
_TOGETHER = frozenset({"tests/e2e/test_four_jobs.py"})
"""Files of e2e whose tests share a workspace: they stay in one worker."""
_SHARED = ("locked_hello", "built_hello")
"""Fixtures that all workers share and that take long to make."""

_legs: dict[str, list[float]] = {}
_workers: dict[str, set[str]] = {}
_busy: dict[str, dict[str, float]] = {}
_ended: dict[str, float] = {}


# hypothesis tries the same examples in every run, whatever the load of the machine is;
# GBUILD_TEST_EXPLORE=1 looks for new ones, longer.
_SLOW = [HealthCheck.too_slow]
settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW
)
settings.register_profile(
    "explore", deadline=None, max_examples=3000, suppress_health_check=_SLOW, print_blob=True
)
if os.environ.get("GBUILD_TEST_EXPLORE"):
    settings.load_profile("explore")
else:
    settings.load_profile("steady")
    # It would also draw words of the modules that are loaded, which are others in each worker.
    providers._get_local_constants = lambda: providers._local_constants


@dataclass(frozen=True, slots=True)
class Common:
    """A folder that all workers of one run share, open to every user, removed with the run."""

    root: Path

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the folder ``name``, which ``make`` filled for the first who asked for it.

        When that failed, the next one tries again in an empty folder.
        """
        folder = self.root / name
        made = self.root / f"{name}.made"
        with self.alone(name):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep the other workers out of what is called ``name``."""
        with (self.root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the run, in the process that starts the workers.

    A shell lets what it starts in the background ignore interrupts, and so would all its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="gbuild-run-", dir="/var/tmp"))
        folder.chmod(0o755)  # mapped users must reach what is below
        os.environ[_RUN] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder of the run, all workers having ended."""
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(_RUN))
        if (folder / "store" / "images").exists():  # holds files of mapped users
            prune = [sys.executable, "-m", "gbuild.cli.gbase", "prune", "--all"]
            subprocess.run([*prune, "--store", folder / "store"], check=False, capture_output=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def common() -> Common:
    """What the workers of this run share."""
    return Common(Path(os.environ[_RUN]))


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
    """Mark by folder, keep root's tests from others; slow folders last, in each slow files first.

    Workers take tests in this order: so the last ones are small, and no worker is idle for long.
    """
    slow = {_together(item.nodeid) for item in items if item.get_closest_marker("slow")}
    for item in items:
        folder = _folder(item)
        if folder in ("integration", "e2e"):
            item.add_marker(folder)
        if item.get_closest_marker("root") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs to be root"))
    items.sort(key=lambda item: (_FOLDERS.index(_folder(item)), *_rank(item, slow)))
    _make_early(items)


def _rank(item: pytest.Item, slow: Collection[str]) -> tuple[int, int]:
    """Return the place of a test in its folder: long files of one worker, slow tests, others.

    Of slow tests those come first that wait for nothing that another worker makes.
    """
    together = _together(item.nodeid)
    if together not in slow:
        return 2, 0
    alone = together == item.nodeid
    return int(alone), alone and sum(name in _SHARED for name in _fixtures(item))


def _make_early(items: list[pytest.Item]) -> None:
    """Let one test that makes all that is shared begin first: the longest of those that need it."""
    users = [item for item in items if set(_SHARED) <= set(_fixtures(item))]
    for item in users[:1]:
        items.remove(item)
        items.insert(0, item)


def _fixtures(item: pytest.Item) -> Collection[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else ()


def _together(nodeid: str) -> str:
    """Return what tests of one worker have in common: their file, or only their own name."""
    file = nodeid.partition("::")[0]
    alone = "/e2e/" in file and file not in _TOGETHER
    return nodeid if alone else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests to the workers: a file's to one."""
    from xdist.scheduler import LoadScopeScheduling

    scheduler: Any = LoadScopeScheduling(config, log)
    scheduler._split_scope = _together
    return scheduler


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what was skipped for a missing tool, where all tools should be (``bin/test``)."""
    report = yield
    report.backend = _backend(item)  # type: ignore[attr-defined] # travels with the report
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if _must_run(_backend(item), reason):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same with a module that skips itself."""
    report = yield
    if report.skipped and _must_run(_backend(collector), str(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: {report.longrepr}"
    return report


def _must_run(backend: str, reason: str) -> bool:
    """Say whether a skip is a failure: tools are complete, or this backend is required.

    What is too slow for every run waits for ``GBUILD_TEST_FULL=1`` all the same.
    """
    if "GBUILD_TEST_FULL=1" in reason:
        return False
    if _STRICT in os.environ and "is not installed" in reason:
        return True
    return backend in os.environ.get(_REQUIRED, "").split(",") and bool(backend)


def _backend(node: pytest.Item | pytest.Collector) -> str:
    """Return the backend that a test is about: by its mark, else by its file's or folder's name."""
    if marker := node.get_closest_marker("backend"):
        return str(marker.args[0])
    folder, name = node.path.parent.name, node.path.stem.removeprefix("test_")
    names = (folder, name, name.partition("_")[0])  # such as test_lxd_cluster
    return next((one for one in names if one in _BACKENDS), "")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what the tests of each backend and folder took; note which worker ran what."""
    worker = getattr(report, "worker_id", "")
    _workers.setdefault(_together(report.nodeid), set()).add(worker)
    folders = _busy.setdefault(worker, {})
    folder = _named(report.nodeid)
    folders[folder] = folders.get(folder, 0.0) + report.duration
    _ended[worker] = report.stop
    if backend := getattr(report, "backend", ""):
        _legs.setdefault(backend, []).append(report.duration)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the time of folders, workers and backends' legs, and tests that were torn apart."""
    for name in _torn():
        terminalreporter.write_line(f"ERROR {name}: its tests ran in several workers")
    for folder in sorted({folder for folders in _busy.values() for folder in folders}):
        seconds = [folders.get(folder, 0.0) for folders in _busy.values()]
        terminalreporter.write_line(f"folder {folder}: {sum(seconds):.1f} s")
    for worker, folders in sorted(_busy.items()):
        idle = max(_ended.values()) - _ended[worker]
        told = f"{sum(folders.values()):.1f} s of tests, idle in the last {idle:.1f} s"
        terminalreporter.write_line(f"worker {worker or 'alone'}: {told}")
    for backend, seconds in sorted(_legs.items()):
        tests = len(seconds) // 3 or 1  # set-up, call and end each have a report
        terminalreporter.write_line(f"backend {backend}: {tests} tests, {sum(seconds):.1f} s")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the run fail when tests that share something were not kept together."""
    if _torn() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _torn() -> list[str]:
    return sorted(name for name, workers in _workers.items() if len(workers) > 1)


def _named(nodeid: str) -> str:
    """Return the folder that the time of a test is added to."""
    parts = nodeid.partition("::")[0].split("/")[1:-1]
    return "/".join(parts[:2] if parts[:1] == ["integration"] else parts[:1])


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).parts[0]
