"""Gitian's download packages: one ZIP with files and signatures, as its downloader fetched them."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.inputs.conftest import Site

from gbuild.errors import GbuildError, HostFailure, Unavailable, Untrusted, UsageFailure, WrongHash
from gbuild.formats.gitian_downloader import DownloadConfig, read_config
from gbuild.formats.report import read_report, write_report
from gbuild.get.offered import Offer
from gbuild.get.run import Result, get
from gbuild.host.foreign import Refused
from gbuild.host.zipped import opened as open_zip

from .project import FILES, QUICK, START, Project, Signer
from .test_get import SCHEMA

NAME = "hello-1.0-linux-gitian.zip"


def pack(
    project: Project,
    *,
    release: str = "1.0",
    files: Mapping[str, bytes] = FILES,
    keys: Sequence[str] = ("alice", "bob"),
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """Make a package as release notes of the time said: files, assertions and keys in one ZIP."""
    members = dict(files)
    for folder in sorted((project.sigs / release).iterdir()):
        for suffix in ("", ".sig"):
            data = (folder / f"hello-build.assert{suffix}").read_bytes()
            members[f"gitian/{folder.name}-build.assert{suffix}"] = data
    for key in keys:
        members[f"gitian/{key}-key.pgp"] = project.signers[key].armored
    return zipped({**members, **(more or {})})


def zipped(members: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def config(project: Project, *urls: str, minimum: int = 80, more: str = "") -> Path:
    """Write a download config of three signers with 40 each."""
    lines = ["---", "name: hello", *(["urls:"] if urls else []), *(f"- {url}" for url in urls)]
    lines.append("signers:")
    for name in ("alice", "bob", "carol"):
        lines += [f"  {project.signers[name].key}:", "    weight: 40", f"    name: {name}"]
        lines.append(f"    key: {name}")
    path = project.root / "linux-download-config"
    path.write_text("\n".join([*lines, f"minimum_weight: {minimum}", more, ""]))
    return path


def run(project: Project, *urls: str, release: str = "", **changes: Any) -> Result:
    """Run gget in this process with a config that names packages."""
    made = config(project, *urls, more=changes.pop("more", ""))
    read = read_config(made.read_bytes(), path=str(made))
    order = project.order(release=release, policy=read.policy(), **changes)
    order = replace(order, signatures="", offer=_offer(read), sources=())
    return get(order, settings=QUICK, sink=project.told.append)


def _offer(read: DownloadConfig) -> Offer:
    keys = {each.fingerprint: each.file for each in read.signers if each.file}
    return Offer(addresses=read.addresses, feeds=read.feeds, keys=keys, name="package hello")


def local(project: Project, data: bytes, name: str = NAME) -> str:
    path = project.root / name
    path.write_bytes(data)
    return path.as_uri()


def gget(project: Project, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gbuild.cli.gget", *words],
        cwd=project.root,
        env={"PATH": os.environ["PATH"], "HOME": str(project.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_package_is_fetched_judged_and_put_in_place(project: Project, site: Site) -> None:
    """As a person does it, from the config alone: release, keys and files are in the package."""
    project.release()
    made = pack(project, more={"README.unsigned": b"nobody signed this"})
    made_config = config(project, site.serve(f"/{NAME}", made))
    done = gget(project, "-c", made_config, "-d", "got", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert (answer["state"], Path(answer["destination"]).name) == ("fetched", "1.0")
    assert project.got() == FILES
    assert "1 files that nobody signed are left out" in done.stderr
    assert project.left_over() == []
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in project.destination.rglob("*.gz")}
    assert set(modes.values()) == {0o644}
    again = gget(project, "-c", made_config, "-d", "got")
    assert (again.returncode, "already" in again.stdout) == (0, True)


def test_a_package_in_a_file_of_this_host(project: Project) -> None:
    project.release()
    local(project, pack(project))
    done = gget(project, "-c", config(project, "https://example.org/x.zip"), NAME, "-d", "got")
    assert (done.returncode, project.got()) == (0, FILES), done.stderr
    assert gget(project, "-c", "linux-download-config", "none.zip", "-d", "got").returncode == 2
    assert gget(project, NAME, "-d", "got").returncode == 2
    assert gget(project, "-s", "sigs", "out", "-d", "got").returncode == 2


def test_too_little_weight(project: Project) -> None:
    project.release(by=("alice",))
    result = run(project, local(project, pack(project, keys=("alice",))))
    assert (result.state, project.left_over()) == ("refused", [])


def test_a_key_of_another_person_in_a_signers_file_counts_nothing(project: Project) -> None:
    """Who makes the package may put any key under bob's name; the config has bob's fingerprint."""
    project.release(by=("alice", "carol"))
    forged = {"gitian/bob-key.pgp": project.signers["carol"].armored}
    result = run(project, local(project, pack(project, keys=("alice",), more=forged)))
    assert result.state == "refused"
    assert {each.person for v in result.agreement.verdicts for each in v.signers} >= {"alice"}


def test_a_file_that_is_not_what_was_signed(project: Project) -> None:
    project.release()
    files = {**FILES, "hello.tar.gz": b"another"}
    with pytest.raises(WrongHash, match="not the file that was signed"):
        run(project, local(project, pack(project, files=files)))
    assert (project.got(), project.left_over()) == ({}, [".gget-1.0"])  # what was right is kept


def test_a_file_that_is_missing(project: Project) -> None:
    project.release()
    files = {path: data for path, data in FILES.items() if path != "hello.tar.gz"}
    with pytest.raises(Unavailable, match=r"hello\.tar\.gz could not be fetched"):
        run(project, local(project, pack(project, files=files)))
    assert project.got() == {}


def test_an_optional_file_may_be_missing(project: Project) -> None:
    """Only when every assertion says so."""
    project.release()
    files = {path: data for path, data in FILES.items() if path != "hello.tar.gz"}
    for signer, optional in (("alice", ("hello.tar.gz",)), ("bob", ())):
        _say_optional(project, signer, optional)
    with pytest.raises(Unavailable):
        run(project, local(project, pack(project, files=files)))
    _say_optional(project, "bob", ("hello.tar.gz", "another"))
    other = project.root / "of another person"
    assert run(project, local(project, pack(project, files=files)), state=other).state == "fetched"
    assert project.got() == files


def _say_optional(project: Project, signer: str, optional: tuple[str, ...]) -> None:
    path = project.sigs / "1.0" / signer / "hello-build.assert"
    report = replace(read_report(path.read_bytes()), optionals=optional)
    project.sign("1.0", signer, write_report(report))


def test_a_release_under_another_name_is_none(project: Project) -> None:
    project.release("1.0")
    url = local(project, pack(project))
    result = run(project, url, release="1.1")
    assert result.state == "refused"
    assert {s.claim.status for v in result.agreement.verdicts for s in v.signers} == {"wrong-name"}


def test_assertions_of_several_releases(project: Project) -> None:
    project.release("1.0")
    project.release("1.1", by=("carol",))
    assertion = project.sigs / "1.1/carol/hello-build.assert"
    more = {"gitian/carol-build.assert": assertion.read_bytes()}
    url = local(project, pack(project, more=more))
    with pytest.raises(UsageFailure, match=r"several releases: 1\.0, 1\.1"):
        run(project, url)


def test_a_package_without_assertions(project: Project) -> None:
    with pytest.raises(Untrusted, match="holds no assertion"):
        run(project, local(project, zipped(FILES)))


def test_a_downgrade_and_an_old_package_are_refused(project: Project) -> None:
    project.release("1.0")
    old = pack(project)
    project.release("1.1")
    assert run(project, local(project, pack(project, release="1.1"))).state == "fetched"
    with pytest.raises(Untrusted, match=r"1\.0 is older than 1\.1"):
        run(project, local(project, old))
    assert run(project, local(project, old), allow_older=True).state == "fetched"


def test_a_waiting_period_of_the_config(project: Project) -> None:
    project.release()
    url = local(project, pack(project))
    with pytest.raises(Untrusted, match="not known for long enough"):
        run(project, url, more="waiting_period: 24")
    assert (project.got(), project.left_over()) == ({}, [])
    later = run(project, url, more="waiting_period: 24", now=START + 90_000)
    assert later.state == "fetched"


def test_what_feeds_and_version_files_say(project: Project, site: Site) -> None:
    """A feed goes before addresses; what is there already is not fetched again."""
    project.release()
    site.serve(f"/{NAME}", pack(project))
    link = f"<rss><item><link>{site.base}/{NAME}</link></item></rss>"
    feed = site.serve("/rss", link.encode())
    rss = (
        f"rss:\n- url: {feed}\n  xpath: //item/link/text()\n"
        r"  pattern: hello-(\d+.\d+)-linux-gitian.zip"
    )
    assert run(project, f"{site.base}/none.zip", more=rss).state == "fetched"
    assert project.got() == FILES
    before = len(site.asked)
    assert run(project, f"{site.base}/none.zip", more=rss).state == "present"
    assert [path for path, _ in site.asked[before:]] == ["/rss"]
    version = site.serve("/hello.ver", b"1.0\n")
    named = f"url: {site.base}/{NAME}\n  version_url: {version}"
    assert run(project, named).state == "present"
    with pytest.raises(Unavailable, match=r"no package of release 2\.0"):
        run(project, named, release="2.0")


@pytest.mark.parametrize("link", ["file:///etc/passwd", "https://example.org/hello-1.0.zip", ""])
def test_a_feed_that_leads_elsewhere(project: Project, site: Site, link: str) -> None:
    feed = site.serve("/rss", f"<item><link>{link}</link></item>".encode())
    more = f"rss:\n- url: {feed}\n  xpath: //item/link/text()\n  pattern: .+"
    with pytest.raises(GbuildError):
        run(project, more=more)
    assert not project.destination.exists() or project.left_over() == []
    assert any("feed" in e.text or "link" in e.text for e in project.told if e.kind == "warning")


def test_an_interrupted_package_goes_on(project: Project, site: Site) -> None:
    project.release()
    data = pack(project)

    def cut(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[: len(data) // 2])

    url = site.base + f"/{NAME}"
    site.routes[f"/{NAME}"] = cut
    with pytest.raises(Unavailable, match="could not be fetched"):
        run(project, url)
    (left,) = project.left_over()
    assert project.got() == {}
    site.serve(f"/{NAME}", data)
    assert run(project, url).state == "fetched"
    assert site.headers_of(f"/{NAME}")[-1]["Range"] == f"bytes={len(data) // 2}-"
    assert (project.got(), project.left_over()) == (FILES, []), left


def test_halves_of_two_packages_are_fetched_anew(project: Project, site: Site) -> None:
    """The address of the newest package has another one in the next run."""
    project.release("1.0")
    old = pack(project, more={"padding": os.urandom(5000)})
    url = site.base + f"/{NAME}"

    def cut(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(old)))
        request.end_headers()
        request.wfile.write(old[: len(old) // 2])

    site.routes[f"/{NAME}"] = cut
    with pytest.raises(Unavailable):
        run(project, url)
    project.release("1.1")
    new = pack(project, release="1.1", more={"padding": os.urandom(9000)})
    site.serve(f"/{NAME}", new)
    assert run(project, url).state == "fetched"
    assert (project.got("1.1"), project.left_over()) == (FILES, [])


def test_a_dry_run_changes_nothing(project: Project) -> None:
    project.release()
    assert run(project, local(project, pack(project)), dry_run=True).state == "dry-run"
    assert not project.destination.exists()
    assert not project.state.exists()


def test_all_of_a_package_is_bounded(project: Project, site: Site) -> None:
    project.release()
    url = site.serve(f"/{NAME}", pack(project))
    with pytest.raises(Unavailable, match="larger than the 1000 bytes allowed") as caught:
        run(project, url, largest=1000)
    assert caught.value.hint == "--max-size SIZE"
    assert (project.got(), project.left_over()) == ({}, [])


def test_a_bomb_that_was_signed_is_stopped_where_it_is_too_much(project: Project) -> None:
    files = {"hello.tar.gz": bytes(9 << 20)}
    project.release(files=files)
    data = pack(project, files=files)
    assert len(data) < 1 << 20
    with pytest.raises(Unavailable, match="larger than the 8388608 bytes"):
        run(project, local(project, data), largest=8 << 20)
    assert (project.got(), project.left_over()) == ({}, [])


def _with_flag(data: bytes, *, where: int, value: bytes) -> bytes:
    """Change a field of the first entry of the directory."""
    start = data.index(b"PK\x01\x02") + where
    return data[:start] + value + data[start + len(value) :]


HOSTILE: Mapping[str, Mapping[str, bytes]] = {
    "climbs": {"../../evil": b"x"},
    "climbs from within": {"a/../../evil": b"x"},
    "is absolute": {"/tmp/evil": b"x"},
    "has backslashes": {"..\\evil": b"x"},
    "is a device": {"con\x01": b"x"},
    "hides in git": {".git/config": b"x"},
    "differs in case": {"A": b"x", "a": b"y"},
    "differs in form": {"gitian/ﬁ-build.assert": b"x", "gitian/fi-build.assert": b"y"},
    "hides the rest of its name": {"a\u202egz": b"x"},
    "two assertions of one": {"gitian/alice.assert": b"x"},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_names_that_are_not_taken(project: Project, kind: str) -> None:
    project.release()
    with pytest.raises(Refused, match=r"name|two assertions"):
        run(project, local(project, pack(project, more=HOSTILE[kind])))
    assert (project.got(), project.left_over()) == ({}, [])
    assert not (project.root / "evil").exists()


def test_a_name_twice(project: Project) -> None:
    project.release()
    data = io.BytesIO(pack(project))
    with warnings.catch_warnings(), zipfile.ZipFile(data, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("hello.tar.gz", b"another")
    with pytest.raises(Refused, match="a name twice"):
        run(project, local(project, data.getvalue()))


def test_a_link_is_no_file(project: Project) -> None:
    project.release()
    data = io.BytesIO(pack(project, files={"src/hello.tar.gz": FILES["src/hello.tar.gz"]}))
    with zipfile.ZipFile(data, "a") as archive:
        link = zipfile.ZipInfo("hello.tar.gz")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(Unavailable, match=r"hello\.tar\.gz could not be fetched"):
        run(project, local(project, data.getvalue()))


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [(8, b"\x01\x00", "encrypted"), (10, b"\x0e\x00", "unusual way"), (10, b"\x0c\x00", "unusual")],
)
def test_packed_in_a_way_that_is_not_read(
    project: Project, where: int, value: bytes, words: str
) -> None:
    project.release()
    with pytest.raises(Unavailable) as caught:
        run(project, local(project, _with_flag(pack(project), where=where, value=value)))
    assert words in "".join(caught.value.details)


@pytest.mark.parametrize("cut", [0, 10, 0.5, 0.99])
def test_a_damaged_package(project: Project, cut: float) -> None:
    project.release()
    data = pack(project)
    end = int(cut if cut > 1 else cut * len(data))
    with pytest.raises(Refused, match="no ZIP that can be read"):
        run(project, local(project, data[:end]))
    assert (project.got(), project.left_over()) == ({}, [])


def test_changed_bytes_are_found(project: Project) -> None:
    project.release()
    data = pack(project)
    place = data.index(b"hello.tar.gz") + len("hello.tar.gz") + 4
    with pytest.raises(Unavailable):
        run(project, local(project, data[:place] + bytes(4) + data[place + 4 :]))
    assert project.got() == {}


def test_a_directory_of_a_gigabyte_is_not_read(project: Project) -> None:
    """The end of the file says how much of it to read at once."""
    path = project.root / NAME
    size = 1 << 30
    with path.open("wb") as made:
        made.truncate(size)
        made.seek(size)
        made.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, size, 0, 0))
    with (
        path.open("rb") as stream,
        pytest.raises(Refused, match="directory of more than"),
        open_zip(stream, what="it"),
    ):
        pytest.fail("it was opened")


def test_a_disk_without_room(project: Project, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    project.release()
    monkeypatch.setattr("gbuild.get.transfer.free", lambda _: 1000)
    with pytest.raises(HostFailure, match="only 1000 are free"):
        run(project, site.serve(f"/{NAME}", pack(project)))
    assert (project.got(), project.left_over()) == ({}, [])


def test_keys_beside_the_config_go_first(project: Project, signers: Mapping[str, Signer]) -> None:
    """A package without keys is judged by those of the person."""
    project.release()
    url = local(project, pack(project, keys=()))
    assert run(project, url).state == "refused"
    for name in ("alice", "bob"):
        (project.root / f"{name}-key.pgp").write_bytes(signers[name].armored)
    done = gget(project, "-c", config(project, url), "-d", "got")
    assert (done.returncode, project.got()) == (0, FILES), done.stderr
