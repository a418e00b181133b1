"""Engines that are down, full or lying: each gives one clear error; stand-ins play them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.backends.oci import OciBackend, layout, machine
from gbuild.errors import BackendFailure, GbuildError, Unavailable, UsageFailure, WrongHash
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.backend import TargetSpec
from gbuild.target.contract import small_image

_PODMAN = """\
#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
words="$*"
case "$words" in
PATTERNS
*) exit 0 ;;
esac
"""
_INFO = {
    "host": {
        "security": {"rootless": True},
        "cgroupVersion": "v1",
        "ociRuntime": {"name": "runc"},
    },
    "version": {"Version": "4.3.1"},
    "store": {"graphDriverName": "overlay"},
}
_ASKED = f"cat <<'END'\n{json.dumps(_INFO)}\nEND"
_DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    " Is the docker daemon running?"
)


class StandIn:
    """Makes backends whose engine is a script."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.made: list[OciBackend] = []

    def backend(
        self, answers: Mapping[str, str], *, name: str = "podman", **options: str
    ) -> OciBackend:
        """``answers``: what is run, in sh, for command lines that match a pattern of sh."""
        lines = "".join(f"{pattern}) {script}\n;;\n" for pattern, script in answers.items())
        program = self.folder / name
        program.write_text(_PODMAN.replace("PATTERNS\n", lines))
        program.chmod(0o755)
        own = {} if name == "docker" else {"storage": str(self.folder / "storage")}
        made = OciBackend(
            store=self.store,
            environment={},
            sink=discard,
            options={"engine": str(program), **own, **options},
        )
        self.made.append(made)
        return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store; nothing that fails leaves anything in it."""
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def image(store: Store) -> Image:
    """A small image."""
    return small_image(store)


@pytest.fixture
def standin(tmp_path: Path, store: Store) -> Iterator[StandIn]:
    """A maker of engines; none leaves its folder for sockets behind."""
    maker = StandIn(tmp_path, store)
    yield maker
    for backend in maker.made:
        backend._leave()
        assert backend.engine.run is None or not backend.engine.run.exists()


def _says(text: str) -> str:
    return f'echo "{text}" >&2; exit 125'


def test_a_daemon_that_is_down(standin: StandIn, image: Image) -> None:
    backend = standin.backend({"*": _says(_DOWN)}, name="docker")
    (finding,) = backend.probe()
    assert (finding.what, finding.state) == ("engine", "missing")
    assert "systemctl start docker" in (finding.mend or "")
    with pytest.raises(BackendFailure) as caught:
        backend.prepare(image)
    assert "systemctl start docker" in (caught.value.hint or "")
    assert backend.targets() == ()


def test_a_disk_that_is_full_while_an_image_is_imported(standin: StandIn, image: Image) -> None:
    full = "writing blob: write /storage/x: no space left on device"
    backend = standin.backend({'"image inspect"*': "exit 125", "pull*": _says(full)})
    with pytest.raises(BackendFailure, match="podman pull failed") as caught:
        backend.prepare(image)
    assert caught.value.details == (full,)
    assert "--store" in (caught.value.hint or "")
    assert list((standin.store.root / "tmp").iterdir()) == []


def test_an_engine_that_has_other_bytes(standin: StandIn, image: Image) -> None:
    listed = json.dumps([{"Id": "a" * 64, "Digest": f"sha256:{'b' * 64}"}])
    backend = standin.backend({'"image inspect"*': f"echo '{listed}'"})
    with pytest.raises(WrongHash) as caught:
        backend.prepare(image)
    assert f"expected {layout.describe(image).digest}" in caught.value.details


def test_an_engine_that_forgets_what_it_imported(standin: StandIn, image: Image) -> None:
    backend = standin.backend({'"image inspect"*': "exit 125"})
    with pytest.raises(BackendFailure, match="lost the image"):
        backend.prepare(image)


def test_an_engine_that_prints_no_json(standin: StandIn) -> None:
    backend = standin.backend({"info*": "echo hello"})
    (finding,) = backend.probe()
    assert "printed no JSON" in finding.detail


_NAMED = f"sha256:{'c' * 64}"


def _named(standin: StandIn, *, arch: str = "amd64", there: bool = True) -> OciBackend:
    answers = {
        "info*": _ASKED,
        '"image list"*': f"echo {'sha256:' + 'd' * 64} {_NAMED if there else '<none>'!r}",
        '"image inspect"*': f"""echo '[{{"Architecture": "{arch}"}}]'""",
        "run*": _says("exec /bin/bash: exec format error"),
    }
    return standin.backend(answers, image=f"registry.example/team/base@{_NAMED}")


def test_an_image_that_is_not_there(standin: StandIn, image: Image) -> None:
    with pytest.raises(Unavailable, match="does not have the image") as caught:
        _named(standin, there=False).prepare(image)
    assert caught.value.hint == "podman pull NAME@sha256:..."


def test_an_image_whose_tar_is_gone(standin: StandIn, image: Image) -> None:
    gone = replace(image, sha256="d" * 64)
    with pytest.raises(Unavailable, match=f"lacks the blob {gone.sha256}"):
        standin.backend({}).prepare(gone)


def test_an_image_of_another_architecture(standin: StandIn, image: Image) -> None:
    with pytest.raises(UsageFailure, match="is for arm64, the job needs amd64"):
        _named(standin, arch="arm64").prepare(image)


def test_a_tag_is_no_name(standin: StandIn, image: Image) -> None:
    backend = standin.backend({}, image="debian:bookworm")
    with pytest.raises(UsageFailure, match="expected NAME@sha256"):
        backend.prepare(image)


def test_a_descriptor_that_names_no_image(standin: StandIn, image: Image) -> None:
    backend = standin.backend({}, image="descriptor")
    backend.given({"another": _NAMED})
    with pytest.raises(UsageFailure, match="no docker_image_digests for"):
        backend.prepare(image)


def test_a_container_that_does_not_start_leaves_nothing(standin: StandIn, image: Image) -> None:
    backend = _named(standin)
    spec = TargetSpec(name="one", image=image, user="debian")
    for start in (backend.start, backend.detach):
        with pytest.raises(GbuildError) as caught:
            start(spec)
        assert "exec format error" in " ".join(caught.value.details)
        assert "another architecture" in (caught.value.hint or "")
        assert backend.targets() == ()
    assert list(backend.registry.folder.iterdir()) == []


def test_a_container_that_docker_removes_already_is_waited_for(
    standin: StandIn, tmp_path: Path
) -> None:
    """It begins to when the client that runs a container is killed."""
    begun = tmp_path / "begun"
    busy = "removal of container x is already in progress"
    script = f'[ -e {begun} ] && {{ echo "No such container: x" >&2; exit 1; }}; touch {begun}'
    backend = standin.backend({"rm*": f"{script}; {_says(busy)}"}, name="docker")
    assert machine.remove(backend.engine, "x") is False
    assert begun.exists()
