"""Debian packages without dpkg: the container, control fields, dependencies, dpkg's database."""

from __future__ import annotations

import bz2
import io
import lzma
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from gbuild.errors import MissingTool, Untrusted
from gbuild.host.deb import (
    DamagedPackage,
    closure,
    control_fields,
    installed,
    members,
    needed,
    parse_fields,
    provided,
)
from gbuild.image.bootstrap import compare, plan
from gbuild.image.inside.debs import unpacked
from gbuild.model.lock import Archive, Environment, Package

CONTROL = """\
Package: hello
Version: 2.10-3
Depends: libc6 (>= 2.34), base | other:any,
 wrapped [amd64]
Pre-Depends: dpkg
Provides: greeter (= 1), mail-agent
Description: says hello
 at length
"""


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzipped,
    ".bz2": bz2.compress,
    ".lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    ".xz": lzma.compress,
    ".zst": zstd,
}


def deb(control: str, *, ending: str = ".xz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("./control")
        info.size = len(control)
        archive.addfile(info, io.BytesIO(control.encode()))
    data = PACKERS[ending](packed.getvalue())
    parts = [("debian-binary", b"2.0\n"), (f"control.tar{ending}", data), ("data.tar", b"odd")]
    out = b"!<arch>\n"
    for name, body in parts:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
        out += body + b"\n" * (len(body) % 2)
    return out


@pytest.mark.parametrize("ending", list(PACKERS))
def test_control_fields_of_a_package(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "hello.deb"
    path.write_bytes(deb(CONTROL, ending=ending))
    fields = control_fields(path)
    assert fields["Package"] == "hello"
    assert fields["Description"] == "says hello\n at length"


@pytest.mark.parametrize("ending", list(PACKERS))
def test_the_data_comes_out_as_it_went_in(ending: str) -> None:
    data = bytes(range(256)) * 10_000
    packed = PACKERS[ending](data)
    pieces = unpacked(io.BytesIO(packed + b"beyond"), f"data.tar{ending}", len(packed))
    assert b"".join(pieces) == data


@pytest.mark.parametrize("ending", [".bz2", ".gz", ".xz"])
def test_data_that_ends_early_is_refused(ending: str) -> None:
    packed = PACKERS[ending](bytes(range(256)) * 10_000)[:-20]
    with pytest.raises(DamagedPackage, match="cut off"):
        b"".join(unpacked(io.BytesIO(packed), f"data.tar{ending}", len(packed)))


@pytest.mark.parametrize("ending", [".bz2", ".gz", ".lzma", ".xz", ".zst"])
def test_a_damaged_member_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setitem(PACKERS, ending, lambda data: b"?" + data)
    path = tmp_path / "hello.deb"
    path.write_bytes(deb(CONTROL, ending=ending))
    with pytest.raises(DamagedPackage, match="damaged"):
        control_fields(path)


def test_without_zstd_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hello.deb"
    path.write_bytes(deb(CONTROL, ending=".zst"))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingTool) as caught:
        control_fields(path)
    assert caught.value.hint == "sudo apt-get install zstd"


def test_members_have_their_place() -> None:
    data = deb(CONTROL)
    offset, size = members(io.BytesIO(data))["data.tar"]
    assert data[offset : offset + size] == b"odd"


@pytest.mark.parametrize("data", [b"", b"ar?", b"!<arch>\nshort", b"!<arch>\n" + b"x" * 60])
def test_what_is_no_package_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    with pytest.raises(DamagedPackage):
        control_fields(path)


def test_dependencies_are_groups_of_names() -> None:
    fields = parse_fields(CONTROL)
    assert needed(fields) == (("dpkg",), ("libc6",), ("base", "other"), ("wrapped",))
    assert provided(fields) == ("greeter", "mail-agent")


def test_the_closure_takes_the_first_alternative_that_is_there() -> None:
    packages = {
        "a": {"Depends": "missing | b, virtual"},
        "b": {"Pre-Depends": "a"},
        "c": {"Provides": "virtual"},
        "d": {},
    }
    assert closure(packages, ["a"]) == {"a", "b", "c"}


STATUS = """\
Package: libtiny
Status: install ok installed
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Architecture: amd64
Version: 2
"""


def package(name: str, version: str, *, essential: bool = False, arch: str = "amd64") -> Package:
    return Package(
        name=name,
        arch=arch,
        version=version,
        sha256="0" * 64,
        size=1,
        archive="debian",
        path=f"pool/{name}.deb",
        essential=essential,
    )


def environment(*packages: Package, **changes: object) -> Environment:
    archive = Archive(name="debian", suite="bookworm", sha256="0" * 64, date=7, signed_by=("A",))
    fields = {"suite": "bookworm", "arch": "amd64", "distro": "debian", "request": (), **changes}
    return Environment(archives=(archive,), packages=packages, **fields)  # type: ignore[arg-type] # a table of fields


def test_the_database_must_hold_exactly_what_is_locked() -> None:
    found = installed(STATUS)
    with pytest.raises(Untrusted) as caught:
        compare(environment(package("libtiny", "1"), package("more", "3")), found)
    said = "\n".join(caught.value.details)
    assert "half:amd64: locked None" in said
    assert "more:amd64: locked ('3', 'install ok installed'), installed None" in said
    assert "libtiny" not in said
    compare(environment(package("libtiny", "1")), {("libtiny", "amd64"): found["libtiny", "amd64"]})


def test_the_plan_puts_the_essential_closure_first() -> None:
    locked = environment(
        package("base", "1", essential=True),
        package("lib", "1"),
        package("lib", "1", arch="i386"),
        package("tool", "1"),
        foreign=("i386",),
        base="minimal",
    )
    controls = {"base": {"Depends": "lib"}, "lib": {}, "tool": {}}
    made = plan(locked, controls)
    assert [name for _, name in made["first"]] == ["base_1_amd64.deb", "lib_1_amd64.deb"]
    assert [name for _, name in made["rest"]] == ["lib_1_i386.deb", "tool_1_amd64.deb"]
    assert made["links"] == ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]
    assert made["date"] == 7
