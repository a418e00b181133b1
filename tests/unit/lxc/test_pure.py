"""What liblxc is told, and which way out a target gets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gbuild.backends.lxc import LxcBackend, bridge, configuration, ways
from gbuild.errors import HostFailure, UsageFailure
from gbuild.host import uplink
from gbuild.host.sandbox.layout import Directory, Layout
from gbuild.host.store import Store
from gbuild.model.event import discard


def _settings(layout: Layout, **kinds: int) -> dict[str, list[str]]:
    """Return a configuration as key to values; ``kinds`` are modes of paths, / written as __."""
    modes = {f"/{name.replace('__', '/')}": mode for name, mode in kinds.items()}
    text = configuration.container(layout, "gbuild-group", kind=modes.get)
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" = ")
        settings.setdefault(key, []).append(value)
    return settings


_LAYOUT = Layout(root=Directory(path=Path("/image")), hostname="gitian")


def test_a_container_has_no_network_and_no_new_privileges() -> None:
    settings = _settings(_LAYOUT)
    assert settings["lxc.net.0.type"] == ["empty"]
    assert settings["lxc.no_new_privs"] == ["1"]
    assert settings["lxc.uts.name"] == ["gitian"]
    assert settings["lxc.autodev"] == ["0"]
    assert "sys_admin" not in settings["lxc.cap.keep"][0].split()


def test_sudo_lets_set_uid_programs_work() -> None:
    layout = Layout(root=Directory(path=Path("/image")), sudo=True)
    assert _settings(layout)["lxc.no_new_privs"] == ["0"]


def test_its_control_groups_carry_our_name() -> None:
    settings = _settings(_LAYOUT)
    names = [settings[f"lxc.cgroup.dir.{part}"][0] for part in ("container", "monitor")]
    assert names == ["gbuild-group", "gbuild-group.monitor"]
    assert settings["lxc.cgroup.dir.monitor.pivot"] == ["gbuild-group.pivot"]


def test_what_this_kernel_shows_is_covered_by_what_fits() -> None:
    entries = _settings(_LAYOUT, proc__kcore=stat.S_IFREG, proc__acpi=stat.S_IFDIR)[
        "lxc.mount.entry"
    ]
    covers = [entry for entry in entries if "proc/kcore" in entry or "proc/acpi" in entry]
    assert [entry.split()[0] for entry in covers] == ["tmpfs", "/dev/null"]
    assert all("ro" in entry.split()[3].split(",") for entry in covers)
    assert not any("proc/keys" in entry for entry in entries)


def test_a_bridge_is_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert ways.chosen({}) == "bridge"
    assert ways.chosen({"network": "pasta"}) == "pasta"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ways.chosen({}) == "pasta"
    with pytest.raises(UsageFailure, match="only root"):
        ways.chosen({"network": "bridge"})
    with pytest.raises(UsageFailure, match="neither bridge nor pasta"):
        ways.chosen({"network": "nat"})


def test_without_a_network_there_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    way = ways.find({}, wanted=False)
    assert (way.name, way.resolver, way.held("0badcafe")) == ("none", "", {})
    assert way.join("0badcafe", 1) is None


def test_a_bridge_is_written_down_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(uplink, "resolver", lambda: ("nameserver 192.0.2.1\n", ()))
    way = ways.find({}, wanted=True)
    assert way.held("0badcafe") == {"bridges": ("gbb0badcafe",)}
    assert len(bridge.name_of("0badcafe")) < 16  # IFNAMSIZ


def test_a_resolver_on_the_loopback_is_not_reached_by_a_bridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(uplink, "resolver", lambda: ("nameserver 169.254.1.1\n", ("--dns",)))
    with pytest.raises(HostFailure, match="loopback") as caught:
        ways.find({}, wanted=True)
    assert caught.value.hint == "--backend-option network=pasta"


def test_names_that_are_not_ours_are_never_removed() -> None:
    assert bridge.remove(("eth0", "docker0", "lxcbr0", "gbbuild")) == ()
    ours = ("gbb0badcafe", "gbv0badcafe", "gbbuild", "gbbare0", "gbb0badcafe1")
    assert [bridge.is_ours(name) for name in ours] == [True, True, False, False, False]
    assert "gbb" not in bridge._RULES, "the rules are about a set of bridges, and no prefix"


def test_an_unknown_way_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    backend = LxcBackend(
        store=Store(tmp_path), environment={}, sink=discard, options={"network": "x"}
    )
    with pytest.raises(UsageFailure):
        backend.probe()
    assert backend.targets() == ()
    assert backend.prune() == ()


def test_a_setting_that_cannot_be_changed_is_told(tmp_path: Path) -> None:
    """As in a container, whose /proc/sys is read-only."""
    with pytest.raises(HostFailure, match="cannot be changed") as caught:
        bridge._set(tmp_path, "1")
    assert "userns" in (caught.value.hint or "")
    bridge._set(tmp_path / "eth9" / "forwarding", "1")  # an interface that has gone
