"""What is asked of another host, and what machines there cannot have."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.backends.kvm.address import parse
from gbuild.backends.kvm.pieces import Pieces
from gbuild.backends.kvm.remote import There
from gbuild.backends.kvm.volumes import owner
from gbuild.errors import UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.model.lock import Environment
from gbuild.target.backend import TargetSpec

_LABEL = "<secmodel><model>dac</model><doi>0</doi>{labels}</secmodel>"
_BASE = (
    '<baselabel type="kvm">+64055:+109</baselabel><baselabel type="qemu">+64055:+109</baselabel>'
)


def there(
    folder: Path, *, labels: str = _BASE, kvm: str = '<domain type="kvm"/>', arch: str = "x86_64"
) -> There:
    """Return another host that says so of itself."""
    store = Store(folder)
    site = There(
        parse("qemu+ssh://box/system"),
        lambda: None,
        Pieces(store, {}, discard),
        store,
        pool_name="gbuild",
        sink=discard,
    )
    site.__dict__["_capabilities"] = ET.fromstring(  # noqa: S314 - our own
        f"<capabilities><host><uuid>u</uuid><cpu><arch>{arch}</arch></cpu>"
        f"<secmodel><model>apparmor</model></secmodel>{_LABEL.format(labels=labels)}</host>"
        f'<guest><arch name="i686"><domain type="kvm"/></arch></guest>'
        f'<guest><arch name="x86_64"><domain type="qemu"/>{kvm}</arch></guest></capabilities>'
    )
    return site


def test_qemu_runs_as_whom_that_host_says(tmp_path: Path) -> None:
    assert there(tmp_path).owner("kvm") == (64055, 109)
    assert there(tmp_path, labels="").owner("qemu") is None


@pytest.mark.parametrize(
    ("kvm", "arch", "mend"),
    [
        ('<domain type="kvm"/>', "x86_64", None),
        ("", "x86_64", "over there: sudo modprobe kvm_intel || sudo modprobe kvm_amd"),
        ("", "aarch64", "its processor is aarch64"),
    ],
)
def test_that_host_says_whether_it_has_kvm(
    tmp_path: Path, kvm: str, arch: str, mend: str | None
) -> None:
    assert there(tmp_path, kvm=kvm, arch=arch).obstacle() == mend


def test_machines_there_have_no_network(tmp_path: Path) -> None:
    environment = Environment(
        suite="s", arch="amd64", distro="debian", request=(), archives=(), packages=()
    )
    image = Image(key="k", sha256="0", recipe=1, environment=environment, tar=tmp_path)
    spec = TargetSpec(name="t", image=image, user="builder")
    site = there(tmp_path)
    site.refuse(spec)
    with pytest.raises(UsageFailure, match="targets on box have no network"):
        site.refuse(replace(spec, network=True))


def test_a_store_goes_by_a_name_of_its_own(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert owner(one) == owner(one) != owner(two)
    assert there(tmp_path / "one").mark == owner(one)
