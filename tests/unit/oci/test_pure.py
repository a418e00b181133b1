"""Images, command lines, limits and what an engine says of itself: no engine is asked."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.backends.oci import container, engine, layout, limits, network, probe
from gbuild.errors import BackendFailure, HostFailure, MissingTool, UsageFailure
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment
from gbuild.target.backend import Limits, TargetSpec

_ARCHIVE = Archive(
    name="debian",
    suite="bookworm",
    sha256="a" * 64,
    date=1_700_000_000,
    signed_by=("B" * 40,),
    components=("main",),
)
_ENVIRONMENT = Environment(
    suite="bookworm", arch="amd64", distro="debian", request=(), archives=(_ARCHIVE,), packages=()
)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image whose tar has a known size."""
    tar = tmp_path / "image.tar"
    tar.write_bytes(b"x" * 1000)
    return Image(key="c" * 64, sha256="d" * 64, recipe=1, environment=_ENVIRONMENT, tar=tar)


def test_the_digest_of_an_image_is_known_before_any_engine_sees_it(image: Image) -> None:
    oci = layout.describe(image)
    assert oci.identity == "cd261cae1bec4132d41a3826ab24496f393207e3f31927bdec7b306ef88c4bd7"
    assert oci.digest == "sha256:db5369b44ea707b9d825c44b7ad5876c9fad3f587aa05b099e27e94ad508a902"
    config = json.loads(oci.config)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{image.sha256}"]
    assert config["created"] == "2023-11-14T22:13:20Z"
    manifest = json.loads(oci.manifest)
    assert manifest["config"]["digest"] == f"sha256:{oci.identity}"
    assert manifest["layers"][0]["size"] == 1000


def test_podmans_folder_has_what_the_manifest_names(image: Image, tmp_path: Path) -> None:
    oci = layout.describe(image)
    layout.write_folder(oci, image.tar, tmp_path / "image")
    files = {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()}
    assert files.keys() == {"version", "manifest.json", oci.identity, oci.layer}
    assert files["manifest.json"] == oci.manifest
    assert files[oci.layer] == image.tar.read_bytes()


def test_dockers_archive_is_the_same_each_time(image: Image, tmp_path: Path) -> None:
    oci = layout.describe(image)
    for name in ("one", "two"):
        layout.write_archive(oci, image.tar, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as tar:
        listing = tar.extractfile("manifest.json")
        assert listing is not None
        (entry,) = json.load(listing)
        assert entry["Layers"] == [f"{image.sha256}.tar"]
        assert entry["Config"] == f"{oci.identity}.json"


@pytest.fixture
def target(image: Image, tmp_path: Path) -> container.Container:
    """A container without network and sudo."""
    spec = TargetSpec(name="one", image=image, user="debian")
    return container.Container(
        name="gbuild-one",
        identity="one~1~0badcafe",
        store=str(tmp_path),
        image="e" * 64,
        date=1,
        kind="podman",
        spec=spec,
        held=limits.hold(Limits(), frozenset(), on_tmpfs=True),
        network=("--network=none",),
        users=(),
        pidfile=tmp_path / "pid",
    )


@pytest.mark.parametrize("kind", ["podman", "docker"])
def test_a_container_has_no_more_than_it_needs(target: container.Container, kind: str) -> None:
    words = replace(target, kind=kind).run(size=10)  # type: ignore[arg-type] # both are kinds
    assert {"--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges"} <= set(words)
    assert {f"--label={container.STORE}={target.store}", "--pull=never"} <= set(words)
    forbidden = ("--privileged", "--volume", "--mount", "-v", "--publish", "--pid=", "--device")
    assert [word for word in words if word.startswith(forbidden)] == []
    assert words.index(target.image) == len(words) - 5  # after it comes the command


def test_sudo_takes_the_ban_on_set_uid_away(target: container.Container) -> None:
    words = replace(target, spec=replace(target.spec, sudo=True)).run(size=10)
    assert "--security-opt=no-new-privileges" not in words
    assert [w for w in words if w.startswith("--tmpfs=/home") and "nosuid" in w] == []


def test_a_kept_container_waits_for_its_removal(target: container.Container) -> None:
    assert "--detach" in target.keep()
    assert target.complete(size=10)[:2] == ("exec", "--interactive")


_ALL = frozenset({"memory", "cpu", "pids"})


def test_limits_are_the_groups_where_there_are_any() -> None:
    wanted = Limits(memory=1 << 30, cpus=2, processes=100, disk=1 << 20)
    held = limits.hold(wanted, _ALL, on_tmpfs=True)
    total = (1 << 30) + (1 << 20)
    assert {f"--memory={total}b", f"--memory-swap={total}b", "--cpus=2"} <= set(held.flags)
    assert "--pids-limit=100" in held.flags
    assert held.gaps == ()
    assert (held.facts["memory"], held.facts["disk"]) == (str(1 << 30), str(1 << 20))


def test_what_holds_for_each_process_only_is_said() -> None:
    held = limits.hold(Limits(memory=1 << 30, processes=100), frozenset(), on_tmpfs=False)
    assert {"--ulimit=data=1073741824:1073741824", "--ulimit=nproc=100:100"} <= set(held.flags)
    assert [gap.partition(":")[0] for gap in held.gaps] == ["memory", "processes", "disk"]
    assert held.facts["memory"].startswith("unlimited (each process")


def test_no_limit_of_processes_is_no_limit_of_the_engines_either() -> None:
    assert "--pids-limit=-1" in limits.hold(Limits(processes=None), _ALL, on_tmpfs=True).flags


def _engine(kind: engine.Kind) -> engine.Engine:
    return engine.Engine(kind=kind, program=Path("/usr/bin/x"), flags=("--a",), environment={})


@pytest.mark.parametrize(
    ("version", "tools", "wanted"),
    [
        ((4, 3, 1), {"slirp4netns", "pasta"}, "--network=slirp4netns:allow_host_loopback=false"),
        ((5, 0), {"pasta"}, "--network=pasta:"),
        ((6, 0), {"slirp4netns", "pasta"}, "--network=pasta:"),
    ],
)
def test_networks_close_the_loopback(
    version: tuple[int, ...], tools: set[str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in tools else None)
    (flag,), resolver = network.flags(_engine("podman"), version, wanted=True)
    assert flag.startswith(wanted)
    assert resolver.startswith("nameserver ")
    assert network.flags(_engine("podman"), version, wanted=False) == (("--network=none",), "")


def test_old_podman_needs_slirp4netns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "pasta" else None)
    with pytest.raises(BackendFailure) as caught:
        network.flags(_engine("podman"), (4, 3, 1), wanted=True)
    assert caught.value.hint == "sudo apt-get install slirp4netns"


def test_versions() -> None:
    assert network.version_of("4.3.1") == (4, 3, 1)
    assert network.version_of("20.10.24+dfsg1") == (20, 10, 24)


def test_podman_without_root_has_no_groups_of_version_1() -> None:
    info = {
        "host": {
            "security": {"rootless": True},
            "cgroupControllers": ["memory"],
            "cgroupVersion": "v1",
            "ociRuntime": {"name": "runc"},
        },
        "version": {"Version": "4.3.1"},
        "store": {"graphDriverName": "overlay"},
    }
    about = probe._podman(info)
    assert (about.version, about.controllers, about.mapped) == ((4, 3, 1), frozenset(), True)
    info["host"]["cgroupVersion"] = "v2"  # type: ignore[index] # a dict
    assert probe._podman(info).controllers == {"memory"}


def test_docker_without_a_map_of_users_is_roots() -> None:
    info = {"ServerVersion": "20.10.24", "Driver": "overlay2", "MemoryLimit": True}
    about = probe._docker({**info, "SecurityOptions": ["name=seccomp,profile=default"]})
    assert (about.mapped, about.rootless) == (False, False)
    assert about.controllers == {"memory"}
    assert probe._docker({**info, "SecurityOptions": ["name=rootless"]}).mapped


@pytest.mark.parametrize(
    ("kind", "said", "hint"),
    [
        ("podman", "write /x: no space left on device", "--store"),
        ("docker", "Cannot connect to ... Is the docker daemon running?", "systemctl start docker"),
        ("docker", "permission denied while trying to connect", "usermod"),
        ("podman", 'exec: "newuidmap": not found', "uidmap"),
        ("podman", 'Error: default OCI runtime "crun" not found: invalid argument', "runtime=runc"),
        ("podman", "open /dev/net/tun: permission denied", "chmod 0666"),
    ],
)
def test_known_complaints_have_a_remedy(kind: engine.Kind, said: str, hint: str) -> None:
    failure = _engine(kind).failure("it failed", f"WARN not a shared mount\n{said}\n".encode())
    assert hint in (failure.hint or "")
    assert said in failure.details


def test_options_that_contradict_each_other(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.touch(mode=0o755)
    store = Store(tmp_path / "store")
    with pytest.raises(UsageFailure, match="options of podman"):
        engine.find({"engine": str(docker), "storage": "own"}, {}, store)
    with pytest.raises(UsageFailure, match="engine=rkt"):
        engine.find({"engine": "rkt"}, {}, store)
    with pytest.raises(MissingTool):
        engine.find({"engine": str(tmp_path / "podman")}, {}, store)


def test_an_own_storage_has_a_folder_with_a_short_name(tmp_path: Path) -> None:
    podman = tmp_path / "podman"
    podman.touch(mode=0o755)
    found = engine.find(
        {"engine": str(podman)}, {"XDG_RUNTIME_DIR": "/run/user/1"}, Store(tmp_path)
    )
    assert found.run is not None
    assert found.run.parent == Path("/tmp")
    assert len(str(found.run)) < 16
    assert found.environment["XDG_RUNTIME_DIR"] == str(found.run)
    assert not found.run.exists()


def test_a_storage_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    podman, file = tmp_path / "podman", tmp_path / "file"
    podman.touch(mode=0o755)
    file.touch()
    found = engine.find(
        {"engine": str(podman), "storage": str(file / "below")}, {}, Store(tmp_path)
    )
    with pytest.raises(HostFailure, match=f"storage {file}/below cannot be made: Not a directory"):
        found.wake()
    assert found.run is not None
    assert not found.run.exists()


def test_only_a_folder_of_ones_own_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    with pytest.raises(HostFailure, match="not a folder of yours alone"):
        replace(_engine("podman"), run=folder).wake()
    folder.chmod(0o700)
    (folder / "stale").touch()
    replace(_engine("podman"), run=folder).wake()
    assert [path.name for path in folder.iterdir()] == ["boot"]
    replace(_engine("podman"), run=folder).rest()  # asks nobody: podman never ran
    assert not folder.exists()
