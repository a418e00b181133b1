"""Whose programs a processor runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.errors import HostFailure
from gbuild.host.processor import check_runs


def test_a_processor_runs_its_own_and_what_an_emulator_is_there_for(tmp_path: Path) -> None:
    (tmp_path / "qemu-arm").touch()
    for arch in ("amd64", "i386", "armhf"):
        check_runs(arch, machine="x86_64", handlers=tmp_path)
    check_runs("whatever", machine="unheard-of", handlers=tmp_path)
    with pytest.raises(HostFailure, match="runs no programs of arm64") as foreign:
        check_runs("arm64", machine="x86_64", handlers=tmp_path)
    assert "here: amd64, i386" in (foreign.value.hint or "")
