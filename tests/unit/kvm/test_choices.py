"""What the backend decides before it asks anybody: acceleration, addresses, names, the order."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gbuild.backends.kvm import acceleration, launch, library, order, saved
from gbuild.backends.kvm.domain import Domain, Shape
from gbuild.errors import HostFailure, UsageFailure
from gbuild.model.image import Image
from gbuild.model.lock import Environment
from gbuild.target.backend import Limits, TargetSpec

SHAPE = Shape(
    kernel=Path("/k"), initrd=Path("/i"), emulator=Path("/q"), kind="qemu", memory=512, cpus=2
)
DOMAIN = Domain(
    name="gbuild-x-0", store="/a & b", identity='t~1~"', shape=SHAPE,
    disk=Path("/d,<e>"), console=Path("/c"),
)  # fmt: skip


def spec(**changes: object) -> TargetSpec:
    environment = Environment(
        suite="s", arch="i386", distro="debian", request=(), archives=(), packages=()
    )
    image = Image(key="k", sha256="0", recipe=1, environment=environment, tar=Path("/t"))
    plain = TargetSpec(name="t", image=image, user="builder")
    return replace(plain, **changes)  # type: ignore[arg-type] # the caller's are a spec's


class Trial:
    """Counts how often a boot was tried."""

    def __init__(self, *, works: bool) -> None:
        self.times = 0
        self.works = works

    def __call__(self) -> bool:
        self.times += 1
        return self.works


@pytest.mark.parametrize("works", [True, False])
def test_kvm_is_used_where_a_machine_has_booted_by_it(tmp_path: Path, works: bool) -> None:
    node, record, trial = tmp_path / "kvm", tmp_path / "trials" / "x", Trial(works=works)
    node.touch()
    for _ in range(2):
        kind, note = acceleration.choose(
            "auto", record, trial, node=node, mend=acceleration.unusable(node)
        )
        assert kind == ("kvm" if works else "qemu")
        assert (note is None) == works
    assert trial.times == 1


def test_without_the_node_nothing_is_tried(tmp_path: Path) -> None:
    trial, node = Trial(works=True), tmp_path / "none"
    mend = acceleration.unusable(node)
    kind, note = acceleration.choose("auto", tmp_path / "x", trial, node=node, mend=mend)
    assert (kind, trial.times) == ("qemu", 0)
    assert note is not None
    assert "modprobe" in note
    with pytest.raises(HostFailure, match="cannot be used"):
        acceleration.choose("kvm", tmp_path / "x", trial, node=node, mend=mend)


def test_what_a_person_says_needs_no_trial(tmp_path: Path) -> None:
    trial = Trial(works=False)

    def chosen(wanted: str, mend: str | None) -> str:
        return acceleration.choose(wanted, tmp_path / "x", trial, node="/dev/kvm", mend=mend)[0]

    assert chosen("tcg", "modprobe") == "qemu"
    assert chosen("kvm", None) == "kvm"
    assert trial.times == 0
    with pytest.raises(UsageFailure, match="auto, kvm or tcg"):
        chosen("xen", None)


def test_the_lowest_free_name_is_taken() -> None:
    beginning = saved.family(SHAPE, "store")
    assert beginning == saved.family(SHAPE, "store")
    assert beginning != saved.family(replace(SHAPE, memory=513), "store")
    assert saved.free_name(beginning, {f"{beginning}-0", f"{beginning}-2"}) == f"{beginning}-1"


def test_a_domain_is_well_formed_whatever_its_names_are() -> None:
    root = ET.fromstring(DOMAIN.xml())  # noqa: S314 - our own
    source = root.find("devices/disk/source")
    assert source is not None
    assert source.get("file") == "/d,<e>"
    mark = root.find("metadata/*")
    assert mark is not None
    assert dict(mark.attrib) == {"store": "/a & b", "id": 't~1~"'}
    assert root.find("devices/interface") is None
    assert root.find("devices/graphics") is None
    words = [one.get("value") or "" for one in root.iter() if one.tag.endswith("}arg")]
    assert [word for word in words if word.startswith("user,") and "restrict=on" not in word] == []


def test_only_emulated_machines_go_without_random_addresses() -> None:
    assert "norandmaps" in DOMAIN.xml()
    assert "norandmaps" not in replace(DOMAIN, shape=replace(SHAPE, kind="kvm")).xml()


def test_the_order_holds_what_the_target_may() -> None:
    limits = Limits(processes=7, disk=1 << 20, open_files=None)
    text = order.text(
        spec(limits=limits, network=True), detached=True, now=12, seed="ab", size=3
    ).decode()
    lines = text.splitlines()
    assert lines[-1] == "go"
    assert dict(line.split("=") for line in lines[:-1]) == {
        "date": "12", "seed": "ab", "root": "nodev,nosuid", "room": "1048576",
        "files": "1048576", "tasks": "7", "persona": "linux32", "keep": "yes",
        "network": "yes", "bytes": "3",
    }  # fmt: skip
    assert b"root=nodev\n" in order.text(spec(sudo=True), detached=False, now=0, seed="", size=0)


def test_facts_and_gaps_say_what_holds() -> None:
    facts = order.facts(spec(limits=Limits(cpus=None)), SHAPE, uri="u", how="booted")
    assert facts["cpus"] == "unlimited (2 virtual)"
    assert (facts["memory"], facts["acceleration"]) == (str(512 << 20), "tcg")
    assert order.gaps(spec(limits=Limits(inodes=5))) == ("inodes: 2000000",)
    assert order.gaps(spec()) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, '<model fallback="forbid">qemu64</model>'),
        ({"kind": "kvm"}, "host-passthrough"),
        ({"model": "max"}, 'mode="maximum"'),
        ({"model": "Nehalem", "kind": "kvm"}, '<model fallback="forbid">Nehalem</model>'),
        ({"model": "<"}, ">&lt;</model>"),
    ],
)
def test_the_processor_is_the_one_asked_for(changes: dict[str, Any], words: str) -> None:
    assert words in replace(DOMAIN, shape=replace(SHAPE, **changes)).xml()


def test_a_wall_clock_of_its_own_is_part_of_the_order() -> None:
    varied = spec(extras={"clock.wall": "-5"})
    assert order.text(varied, detached=False, now=12.9, seed="", size=0).startswith(b"date=7\n")


@pytest.mark.parametrize(
    ("here", "limits", "extras", "emulated", "with_kvm"),
    [
        (64, Limits(cpus=3), {}, 3, 3),
        (64, Limits(cpus=3), {"processors": "1"}, 1, 1),
        (64, Limits(), {}, 8, 8),
        (5, Limits(), {}, 3, 5),
        (1, Limits(), {}, 1, 1),
    ],
)
def test_a_machine_has_the_processors_it_may_use(
    here: int,
    limits: Limits,
    extras: dict[str, str],
    emulated: int,
    with_kvm: int,
) -> None:
    asked = spec(limits=limits, extras=extras)
    assert launch.processors(asked, "qemu", here=here) == emulated
    assert launch.processors(asked, "kvm", here=here) == with_kvm


def test_other_architectures_are_refused() -> None:
    plain = spec()
    launch.refuse_architecture(plain)
    foreign = replace(plain.image, environment=replace(plain.image.environment, arch="riscv64"))
    with pytest.raises(UsageFailure, match="not riscv64") as caught:
        launch.refuse_architecture(replace(plain, image=foreign))
    assert caught.value.hint is not None
    assert "--backend userns" in caught.value.hint


def test_a_saved_state_is_wanted_or_not() -> None:
    assert launch._yes({}, "saved-state")
    assert launch._yes({"saved-state": "yes"}, "saved-state")
    assert not launch._yes({"saved-state": "no"}, "saved-state")
    with pytest.raises(UsageFailure, match="is yes or no, not 'maybe'"):
        launch._yes({"saved-state": "maybe"}, "saved-state")


def test_a_host_without_the_memory_says_how_to_ask_for_less() -> None:
    said = "process exited: cannot set up guest memory 'pc.ram': Cannot allocate memory"
    assert library._remedy(said) == "ask for less: -m MIB, or --backend-option memory=MIB"
    assert library._remedy("Domain not found") is None
