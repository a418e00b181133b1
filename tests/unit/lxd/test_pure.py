"""The parts of the backend of LXD that need no server."""

from __future__ import annotations

import shutil
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.backends.lxd import address, inside, instance, websocket
from gbuild.backends.lxd.bases import is_base
from gbuild.backends.lxd.place import Nic, Pool
from gbuild.backends.lxd.refusals import AWAY, hint_for, spoken
from gbuild.backends.lxd.websocket import Refused, WebSocket
from gbuild.errors import BackendFailure, MissingTool, UsageFailure
from gbuild.image.unified import Unified
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment
from gbuild.target.backend import Limits, TargetSpec

_ARCHIVE = Archive(name="debian", suite="none", sha256="0" * 64, date=1, signed_by=())
_ENVIRONMENT = Environment(
    suite="none", arch="amd64", distro="debian", request=(), archives=(_ARCHIVE,), packages=()
)
_IMAGE = Image(key="k", sha256="0" * 64, recipe=0, environment=_ENVIRONMENT, tar=Path("/none"))
_SPEC = TargetSpec(name="one", image=_IMAGE, user="builder", limits=Limits(disk=1 << 20, cpus=2))
_SHAPE = instance.Shape(
    flavour="lxd", pool=Pool(name="p", driver="btrfs"), image_size=1000, scratch=1 << 20
)
_NIC = Nic(network="br", address="10.0.0.7", prefix=24, gateway="10.0.0.1")


class TestAddress:
    @pytest.mark.parametrize(
        ("environment", "endpoint"),
        [
            ({"LXD_DIR": "/srv/lxd"}, "/srv/lxd/unix.socket"),
            ({"INCUS_DIR": "/srv/i"}, "/srv/i/unix.socket"),
            ({"INCUS_DIR": "/srv/i", "INCUS_SOCKET": "/run/i"}, "/run/i"),
            ({"LXD_DIR": "", "LXD_SOCKET": "/run/l", "INCUS_DIR": "/srv/i"}, "/run/l"),
        ],
    )
    def test_the_socket_of_the_environment(
        self, environment: dict[str, str], endpoint: str
    ) -> None:
        found = address.find({}, environment)
        assert (found.endpoint, found.remote) == (endpoint, False)

    def test_https_needs_a_certificate_and_a_pin(self, tmp_path: Path) -> None:
        given = {"endpoint": "https://host"}
        with pytest.raises(UsageFailure, match="cert cannot be read"):
            address.find(given, {"HOME": str(tmp_path)})
        for name in ("cert", "key"):
            (tmp_path / name).write_text("")
            given[name] = str(tmp_path / name)
        with pytest.raises(UsageFailure, match="no certificate is pinned"):
            address.find(given, {})
        found = address.find({**given, "pin": "AB:" * 31 + "ab"}, {})
        assert (found.pin, found.host_port) == ("ab" * 32, ("host", 8443))

    @pytest.mark.parametrize("bad", ["http://host", "host:8443", "https://a b", "https://h/x"])
    def test_other_endpoints_are_refused(self, bad: str) -> None:
        with pytest.raises(UsageFailure, match="not an endpoint"):
            address.find({"endpoint": bad}, {})


class TestInstance:
    def test_without_network_there_is_no_card(self) -> None:
        assert set(instance.devices(_SPEC, _SHAPE)) == {"root"}
        assert "lxc.net" not in instance.configuration(_SPEC, _SHAPE)["raw.lxc"]

    def test_a_network_is_one_address_on_one_bridge(self) -> None:
        shape = replace(_SHAPE, nic=_NIC)
        assert instance.devices(_SPEC, shape)["eth0"]["ipv4.address"] == "10.0.0.7"
        assert "ipv4.gateway = 10.0.0.1" in instance.configuration(_SPEC, shape)["raw.lxc"]

    def test_processors_are_a_number_or_ranges(self) -> None:
        named = replace(_SPEC, extras={"processors": "1,3"})
        assert instance.configuration(_SPEC, _SHAPE)["limits.cpu"] == "2"
        assert instance.configuration(named, _SHAPE)["limits.cpu"] == "1-1,3-3"
        none = replace(_SPEC, limits=Limits())
        assert "limits.cpu" not in instance.configuration(none, _SHAPE)

    def test_a_home_elsewhere_is_in_memory_too(self) -> None:
        moved = instance.configuration(replace(_SPEC, home="/srv/elsewhere"), _SHAPE)["raw.lxc"]
        assert "tmpfs srv/elsewhere tmpfs" in moved
        assert "tmpfs home/builder" not in moved

    def test_set_uid_programs_work_only_with_sudo(self) -> None:
        plain = instance.configuration(_SPEC, _SHAPE)["raw.lxc"]
        allowed = instance.configuration(replace(_SPEC, sudo=True), _SHAPE)["raw.lxc"]
        assert "lxc.no_new_privs = 1" in plain
        assert "no_new_privs" not in allowed

    def test_what_is_written_to_memory_counts_as_memory(self) -> None:
        spec = replace(_SPEC, limits=Limits(memory=100))
        assert instance.configuration(spec, _SHAPE)["limits.memory"] == f"{100 + (1 << 20)}B"

    def test_a_pool_without_quota_is_told(self) -> None:
        shape = replace(_SHAPE, pool=Pool(name="p", driver="dir"))
        assert "size" not in instance.devices(_SPEC, shape)["root"]
        assert any("unlimited" in gap for gap in instance.gaps(_SPEC, shape))

    def test_incus_calls_its_door_otherwise(self) -> None:
        incus = instance.configuration(_SPEC, replace(_SHAPE, flavour="incus"))
        assert incus["security.guestapi"] == "false"
        assert "security.devlxd" not in incus

    def test_names_are_what_servers_accept(self) -> None:
        name = instance.instance_name("a_b.c" * 30)
        assert len(name) <= 63
        assert name.replace("-", "").isalnum()
        assert instance.instance_name("x") != instance.instance_name("x")


def test_the_first_process_is_words_without_blanks_and_quotes() -> None:
    words = inside.first_process().split(" ")
    assert words[:2] == ["/bin/bash", "-c"]
    assert len(words) == 3
    assert not set(words[2]) & set("'\"\t")


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 127, 4096])
def test_masking_twice_gives_the_data_back(size: int) -> None:
    data, mask = bytes(range(256)) * 16, b"\x01\xfe\x80\x7f"
    once = websocket.masked(data[:size], mask)
    assert once == bytes(b ^ mask[n % 4] for n, b in enumerate(data[:size]))
    assert websocket.masked(once, mask) == data[:size]


def _socket(answer: bytes) -> WebSocket:
    """Return a web socket whose server says ``answer`` after a good handshake."""
    import base64
    import hashlib

    ours, theirs = socket.socketpair()

    def serve() -> None:
        asked = theirs.recv(4096)
        key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        digest = hashlib.sha1(key + websocket._MAGIC, usedforsecurity=False).digest()
        accept = base64.b64encode(digest)
        theirs.sendall(b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n" + answer)
        theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    made = WebSocket(ours, host="localhost", resource="/x")
    server.join()
    return made


class TestWebSocket:
    def test_frames_become_bytes(self) -> None:
        large = bytes(range(256)) * 300
        link = _socket(
            b"\x82\x03abc" + b"\x82\x7f" + len(large).to_bytes(8, "big") + large + b"\x88\x00"
        )
        got = b""
        while (piece := link.receive()) is not None:
            got += piece
        link.close()
        assert got == b"abc" + large

    @pytest.mark.parametrize("bad", [b"\x82\x83abcdefg", b"\xf2\x01a", b"\x89\x7e\xff\xff"])
    def test_what_breaks_the_protocol_is_refused(self, bad: bytes) -> None:
        link = _socket(bad)
        with pytest.raises(Refused):
            link.receive()
        link.close()

    def test_an_end_in_the_middle_is_an_error(self) -> None:
        link = _socket(b"\x82\x05ab")
        link.receive()
        with pytest.raises(ConnectionResetError):
            link.receive()
        link.close()

    def test_another_answer_is_refused(self) -> None:
        ours, theirs = socket.socketpair()
        theirs.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        with pytest.raises(Refused, match="403"):
            WebSocket(ours, host="localhost", resource="/x")
        ours.close()
        theirs.close()


class TestBases:
    def test_a_base_stays_and_does_nothing(self) -> None:
        source = {"type": "image", "fingerprint": "f"}
        made = instance.base("b", source, {instance.BASE: "k"}, _SHAPE.pool)
        assert (made["ephemeral"], made["profiles"]) == (False, [])
        assert set(made["devices"]) == {"root"}
        assert made["config"]["security.privileged"] == "false"

    def test_a_target_that_inherits_its_labels_is_none(self) -> None:
        assert is_base({instance.STORE: "s", instance.BASE: "k"})
        assert not is_base({instance.BASE: "k", instance.ID: "one~1~0"})
        assert not is_base({})

    @pytest.mark.parametrize("check", ["sample", "list", "full"])
    def test_what_was_read_must_be_the_image(self, check: inside.Check) -> None:
        image = Unified(fingerprint="f", size=1, sample="sample", listing="list", tree="full")
        inside.compare("i", image, check, check)
        with pytest.raises(BackendFailure, match="is not the image"):
            inside.compare("i", image, check, "")


@pytest.mark.parametrize("said", AWAY)
def test_a_member_out_of_reach_has_a_hint(said: str) -> None:
    assert "target=MEMBER" in str(hint_for(f"Post: {said} 10.0.0.1"))


def test_known_refusals_have_a_hint() -> None:
    assert "storage pool" in str(hint_for("write: No space left on device"))
    assert hint_for("something else") is None
    assert str(hint_for("Network not found", "incus")).startswith("incus network list;")
    assert spoken("sudo lxd init", "incus") == "sudo incus admin init"


@pytest.mark.parametrize(
    ("installed", "command"),
    [
        ("lxd", "sudo systemctl start lxd"),
        ("incusd", "sudo systemctl start incus"),
        ("", "sudo apt-get install lxd && sudo lxd init"),
    ],
)
def test_a_daemon_that_rests_is_started_and_none_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: str, command: str
) -> None:
    monkeypatch.setattr(address, "_SOCKETS", ("/nonexistent",))
    monkeypatch.setattr(shutil, "which", lambda name, path: name == installed)
    with pytest.raises(MissingTool) as caught:
        address.find({}, {})
    assert caught.value.hint == f"{command}, or --backend-option endpoint=https://..."
