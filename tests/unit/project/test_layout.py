"""The project keeps the shape that its architecture page describes."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from pathlib import Path

import pytest

from gbuild import errors

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src/gbuild"
SOURCES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = (
    *("gbase", "gbuild", "gcheck", "gdiff", "gdoctor", "gget", "glock"),
    *("gsign", "gsigs", "gtarget", "gverify"),
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_launcher_module_and_entry_point(command: str) -> None:
    launcher = ROOT / "bin" / command
    assert launcher.read_text().endswith(f'launch {command} "$@"\n')
    assert os.access(launcher, os.X_OK)
    assert (PACKAGE / "cli" / f"{command}.py").is_file()
    assert PROJECT["project"]["scripts"][command] == f"gbuild.cli.{command}:main"


def test_launchers_differ_only_in_their_command() -> None:
    texts = {(ROOT / "bin" / c).read_text().replace(c, "COMMAND") for c in COMMANDS}
    assert len(texts) == 1


def test_no_other_commands() -> None:
    public = {p.stem for p in (PACKAGE / "cli").glob("*.py") if not p.stem.startswith("_")}
    assert public == set(COMMANDS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_small_and_well_named(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem.strip("_") not in ("util", "utils", "helper", "helpers", "misc", "common")


def test_functions_stay_small() -> None:
    lengths = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) // 2] <= 12
    assert lengths[len(lengths) * 9 // 10] <= 35


def test_locks_pin_every_dependency_by_hash() -> None:
    run, dev = (_pins(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock"))
    assert run.items() <= dev.items()
    extras = PROJECT["project"]["optional-dependencies"]
    for wanted in [*PROJECT["project"]["dependencies"], *extras["build"]]:
        assert re.split(r"[ >=<]", wanted)[0].lower() in run
    for wanted in PROJECT["dependency-groups"]["dev"]:
        assert re.split(r"[ >=<]", wanted)[0].lower() in dev


def test_verifying_needs_no_compiled_library() -> None:
    wanted = [re.split(r"[ >=<]", each)[0] for each in PROJECT["project"]["dependencies"]]
    assert wanted == ["click", "PyYAML", "python-gnupg", "rich"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_name_no_server(name: str) -> None:
    package = r"[a-z0-9.-]+==[0-9a-z.]+( ; [a-z0-9_.<=> \"]+)? \\"
    digest = r"    --hash=sha256:[0-9a-f]{64}( \\)?"
    for line in (ROOT / name).read_text().splitlines():
        assert re.fullmatch(f"#.*|{package}|{digest}", line)


@pytest.mark.parametrize("name", ["requirements-apt.txt", "tests/apt-packages.txt"])
def test_package_lists_are_sorted(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert packages == sorted(set(packages))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?", name) for name in packages)


@pytest.mark.parametrize("family", errors.GbuildError.__subclasses__())
def test_the_drawing_of_errors_is_true(family: type[errors.GbuildError]) -> None:
    if family.__module__ == "gbuild.errors":
        assert re.search(rf"{family.__name__} +{family.exit_code}\b", errors.__doc__ or "")


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))
