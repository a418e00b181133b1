"""A target with a network reaches the outside, never this host; and the network can be cut."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gbuild.backends.userns.backend import UsernsBackend
from gbuild.errors import MissingTool
from gbuild.host import process, uplink
from gbuild.host.store import Store

from .conftest import spec
from .processes import descendants, marked, until

_SOURCES = Path(__file__).parents[3] / "src"


def _may_make_networks() -> bool:
    """Say whether CAP_NET_ADMIN is there: engines take it from root in a container."""
    status = Path("/proc/self/status").read_text()
    effective = int(
        next(row for row in status.splitlines() if row.startswith("CapEff:")).split()[1], 16
    )
    return bool(effective >> 12 & 1)


@pytest.mark.root
@pytest.mark.skipif(not _may_make_networks(), reason="root in a container may make no networks")
def test_the_outside_is_reached_and_this_host_is_not(store: Store, tree: Path) -> None:
    script = Path(__file__).parent / "neighbourhood.py"
    done = subprocess.run(
        [sys.executable, script, _SOURCES, store.root, tree],
        input=pickle.dumps(spec(network=True)),
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "loopback": False,
        "host": False,
        "host by gateway": False,
        "loopback 6": False,
        "host 6": False,
        "host by gateway 6": False,
        "loopback by link-local": False,
        "elsewhere": True,
        "elsewhere 6": True,
        "elsewhere after the cut": False,
        "interfaces": ["lo"],
    }


@pytest.mark.root
def test_the_way_out_ends_with_the_target(backend: UsernsBackend) -> None:
    before = descendants(os.getpid())
    machine = backend.start(spec(network=True))
    pasta = marked(b"--no-map-gw", below=os.getpid())
    assert pasta
    assert machine.facts["network"] == "pasta"
    machine.stop()
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pasta))
    assert descendants(os.getpid()) <= before


def test_without_pasta_the_mend_is_told(
    backend: UsernsBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(process.CLEAN_ENVIRONMENT, "PATH", str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        uplink.Uplink(os.getpid())
    assert caught.value.hint == "sudo apt-get install passt"
    assert caught.value.exit_code == 3
    assert backend.targets() == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 10.0.0.1\nsearch x\n", ("nameserver 10.0.0.1\n", ())),
        ("nameserver 127.0.0.53\n", ("nameserver 169.254.1.1\n", ("--dns-forward", "169.254.1.1"))),
        ("nameserver 127.0.0.1\nnameserver fd00::1\n", ("nameserver fd00::1\n", ())),
        ("nameserver ../../x\n", ("nameserver 169.254.1.1\n", ("--dns-forward", "169.254.1.1"))),
    ],
)
def test_the_resolver_is_one_that_the_inside_reaches(
    tmp_path: Path, text: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    place = tmp_path / "resolv.conf"
    place.write_text(text)
    assert uplink.resolver((place,)) == expected
