"""What gdoctor finds and advises, on made-up hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gbuild.errors import MissingTool
from gbuild.target import capable as probe
from gbuild.target.backend import Finding


def _set(proc: Path, name: str, value: str) -> None:
    place = proc / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("name", "value", "state", "word"),
    [
        ("user/max_user_namespaces", "0", "missing", "max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "missing", "unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "limited", "restrict"),
        ("kernel/unprivileged_userns_clone", "1", "ok", ""),
    ],
)
def test_settings_that_forbid_user_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, state: str, word: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    _set(tmp_path, name, value)
    finding = probe.switches(tmp_path)
    assert finding.state == state
    assert word in (finding.mend or "")


def test_what_was_not_tested_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    _set(tmp_path, "kernel/apparmor_restrict_unprivileged_userns", "1")
    assert "not tested" in probe.switches(tmp_path).detail


def test_missing_helpers_are_an_apt_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(tool: str, *, package: str) -> Path:
        raise MissingTool(f"{tool} is not installed", hint=f"sudo apt-get install {package}")

    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(probe, "which", missing)
    finding = probe.user_map({})
    assert (finding.state, finding.mend) == ("missing", "sudo apt-get install uidmap")


def test_helpers_without_privileges_are_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "newuidmap"
    tool.touch(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(probe, "which", lambda *_, **__: tool)
    assert "reinstall uidmap" in (probe.user_map({}).mend or "")
    tool.chmod(0o4755)
    assert probe.privileged(tool)


def test_an_unknown_processor_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe.machine("riscv64").state == "missing"
    assert probe.machine("x86_64").state == "ok"


@pytest.mark.parametrize(
    ("chroot", "container", "word"),
    [(True, "docker", "chroot"), (False, "docker", "docker"), (False, "", "kernel of 5.12")],
)
def test_a_refusal_is_explained_from_the_surroundings(
    monkeypatch: pytest.MonkeyPatch, *, chroot: bool, container: str, word: str
) -> None:
    monkeypatch.setattr(probe, "in_chroot", lambda: chroot)
    monkeypatch.setattr(probe, "inside_container", lambda: container)
    assert word in probe.explain()


def test_a_kernel_that_cannot_replace_directories_is_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "in_chroot", lambda: False)
    finding = probe._trial_line(f"{probe.REPLACING}\tInput/output error")
    assert (finding.state, "--scratch disk" in (finding.mend or "")) == ("limited", True)
    assert probe._trial_line("overlay\tInvalid argument").state == "missing"


def test_scarce_memory_and_disk_are_limited_not_missing(tmp_path: Path) -> None:
    assert probe.memory(1 << 30).state == "limited"
    assert probe.memory(8 << 30).state == "ok"
    assert probe.disk(tmp_path, 1 << 30).state == "limited"
    assert isinstance(probe.disk(tmp_path), Finding)


def test_this_process_is_in_no_chroot() -> None:
    assert not probe.in_chroot()


@pytest.mark.parametrize(("version_1", "systemd"), [(True, False), (False, False), (False, True)])
def test_the_help_for_control_groups_is_one_that_helps(
    monkeypatch: pytest.MonkeyPatch, *, version_1: bool, systemd: bool
) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda _: systemd)
    monkeypatch.setattr(os.path, "exists", lambda _: version_1)
    command = probe.delegation(["memory", "pids"])
    assert ("/sys/fs/cgroup/memory/" in (command or "")) == version_1
    assert ("/sys/fs/cgroup/pids/" in (command or "")) == version_1
    assert ("systemd-run" in (command or "")) == systemd
