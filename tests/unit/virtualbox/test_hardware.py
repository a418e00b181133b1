"""The words that VBoxManage is given for machines made from images."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.backends.virtualbox import hardware, ports
from gbuild.errors import Busy


@pytest.mark.parametrize(("release", "word"), [((6, 1), "--audio"), ((7, 0), "--audio-enabled")])
def test_a_machine_is_made_without_sound_whatever_the_release(
    release: tuple[int, int], word: str
) -> None:
    commands = hardware.base("n", "u", Path("/f"), Path("/f/d.vdi"), release)
    assert [words[0] for words in commands] == [
        "createvm", "modifyvm", "storagectl", "storageattach",
    ]  # fmt: skip
    assert word in commands[1]
    assert any("localhostreachable" in one for one in commands[1]) == (release >= (7, 0))


def test_a_clone_has_a_second_card_only_for_a_network() -> None:
    def words(*, network: bool) -> tuple[str, ...]:
        return hardware.own(
            "u", port=1, console=Path("/c"), memory=512, cpus=1, network=network, release=(7, 0)
        )

    without, both = words(network=False), words(network=True)
    assert without[without.index("--nic2") + 1] == "none"
    assert hardware.WAY_OUT not in without
    assert both[both.index("--macaddress2") + 1] == hardware.WAY_OUT
    assert "ssh,tcp,127.0.0.1,1,,22" in both


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ports.free(())
    assert ports.free({first}) != first
    monkeypatch.setattr(ports, "why_taken", lambda *_: "somebody has it")
    with pytest.raises(Busy, match="no port"):
        ports.free(())
