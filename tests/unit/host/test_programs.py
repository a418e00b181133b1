"""Where programs are looked for, and how they come onto a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.host import programs


def test_a_host_without_apt_is_not_told_to_use_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "_APT", str(tmp_path / "apt-get"))
    hint = programs.how_to_install("gpgv", platform="linux")
    assert hint == "install the package that Debian calls gpgv"
    (tmp_path / "apt-get").touch(mode=0o755)
    assert programs.how_to_install("gpgv", platform="linux") == "sudo apt-get install gpgv"
    assert programs.how_to_install("gnupg", platform="darwin") == "brew install gnupg"
