"""gdoctor on this host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

_SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gdoctor.schema.json"


def _gdoctor(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gbuild.cli.gdoctor", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_table_says_what_works(tmp_path: Path) -> None:
    done = _gdoctor("--store", str(tmp_path / "store"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].split()[:3] == ["backend", "state", "needs"]
    assert "\nuserns  " in done.stdout
    assert "The backend userns works on this host." in done.stdout


def _answer(*words: str) -> Any:
    schema = json.loads(_SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    answer = json.loads(_gdoctor("--json", *words).stdout)
    jsonschema.validate(answer, schema)
    return answer


def test_an_unknown_backend_is_a_usage_error(tmp_path: Path) -> None:
    answer = _answer("--backend", "none-such", "--store", str(tmp_path / "store"))
    assert answer["error"]["code"] == 2


def test_json_has_every_finding(tmp_path: Path) -> None:
    answer = _answer("--store", str(tmp_path / "store"))
    assert answer["format"] == "gbuild.gdoctor/1"
    assert answer["works"] is True
    names = {finding["what"] for finding in answer["findings"]}
    assert {"namespaces", "overlay", "map of users", "git", "gpg", "gpgv", "zstd"} <= names
    assert {finding["state"] for finding in answer["findings"]} <= {
        "ok",
        "missing",
        "limited",
        "not tested",
    }


def test_it_says_which_apt_glock_will_use(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['gdoctor', '--backend', 'userns', *sys.argv[1:]];"
        "from gbuild.host import apt; apt.on_host = lambda: None;"
        "from gbuild.cli.gdoctor import main; main()"
    )
    words = [sys.executable, "-c", script, "--store", str(tmp_path / "store")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none here: glock uses that of debian bookworm, in a sandbox" in done.stdout
    assert "this host's: glock uses it" in _gdoctor("--backend", "userns").stdout


@pytest.mark.parametrize(("name", "library"), [("kvm", "libvirt"), ("lxd", "pylxd")])
def test_a_library_that_is_missing_costs_one_backend(
    tmp_path: Path, name: str, library: str
) -> None:
    script = (
        f"import sys; sys.argv = ['gdoctor', *sys.argv[1:]]; sys.modules[{library!r}] = None;"
        "from gbuild.cli.gdoctor import main; main()"
    )
    words = [sys.executable, "-c", script, "--json", "--store", str(tmp_path / "store")]
    own = {**os.environ, "LXD_DIR": str(tmp_path)}  # or it would find no daemon first
    done = subprocess.run(words, capture_output=True, env=own, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["works"] is True
    lacking = [
        (one["name"], finding["detail"], finding["mend"])
        for one in answer["backends"]
        for finding in one["findings"]
        if "Python library" in finding["detail"]
    ]
    extra = Path(__file__).parents[3] / "bin" / "extra"
    assert lacking == [(name, f"the Python library {library} is not installed", f"{extra} {name}")]
    assert {one["name"] for one in answer["backends"]} >= {"userns", "lxc", "lxd", "kvm", "oci"}


def test_a_host_that_cannot_is_exit_3_with_a_mend(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['gdoctor', *sys.argv[1:]];"
        "from gbuild.target import capable as probe; from gbuild.target.backend import Finding;"
        "probe.switches = lambda: Finding('user namespaces allowed', 'missing', 'x', 'do this');"
        "from gbuild.cli.gdoctor import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--store", str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "do this" in done.stdout
    assert "cannot work" in done.stdout
