"""Everything a build reads, from a descriptor and the options of a run."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gbuild.engine.inputs import check_inputs, resolve_inputs
from gbuild.errors import Unavailable, UsageFailure, WrongHash
from gbuild.host.store import Store
from gbuild.host.tree_digest import tree_sha256
from gbuild.model.descriptor import Descriptor, InputFile, Remote
from gbuild.model.event import Event
from gbuild.model.options import BuildOptions
from gbuild.model.plan import Inputs

from .author import WHEN, Author
from .conftest import Site

pytestmark = pytest.mark.integration

DATA = b"the tarball\n" * 100
SHA = hashlib.sha256(DATA).hexdigest()


@dataclass
class Run:
    """A workspace, a store and what the last run told."""

    workspace: Path
    store: Store
    environment: dict[str, str]
    events: list[Event] = field(default_factory=list)

    def descriptor(self, **fields: Any) -> Descriptor:
        plain: dict[str, Any] = {
            "source": b"",
            "stem": "hello",
            "name": "hello",
            "suites": ("bookworm",),
            "architectures": ("amd64",),
            "script": "",
            "distro": "debian",
        }
        return Descriptor(**{**plain, **fields})

    def resolve(self, descriptor: Descriptor, **options: Any) -> Inputs:
        return resolve_inputs(
            descriptor,
            BuildOptions(**options),
            workspace=self.workspace,
            store=self.store,
            environment=self.environment,
            sink=self.events.append,
        )

    def place(self, name: str, data: bytes = DATA) -> Path:
        path = self.workspace / "inputs" / name
        path.write_bytes(data)
        return path


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Run:
    (tmp_path / "workspace/inputs").mkdir(parents=True)
    nowhere = {"HOME": str(tmp_path / "home"), "GBUILD_APT_ROOT": str(tmp_path / "no-apt")}
    return Run(tmp_path / "workspace", store, nowhere)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_plain_name_is_the_file_in_inputs(run: Run) -> None:
    path = run.place("sdk.tar.xz")
    (found,) = run.resolve(run.descriptor(files=(InputFile(name="sdk.tar.xz"),))).files
    assert (found.name, found.sha256, found.path) == ("sdk.tar.xz", SHA, path)


def test_a_file_with_a_hash_comes_from_inputs_the_store_or_the_net(run: Run, site: Site) -> None:
    url = site.serve("/x.tar", DATA)
    descriptor = run.descriptor(files=(InputFile(name="x.tar", urls=(url,), sha256=SHA),))
    (fetched,) = run.resolve(descriptor).files
    assert fetched.path == run.store.blob(SHA)
    assert len(site.asked) == 1
    (kept,) = run.resolve(descriptor, offline=True).files
    assert kept == fetched
    path = run.place("x.tar")
    (placed,) = run.resolve(descriptor).files
    assert (placed.path, placed.sha256) == (path, SHA)
    assert len(site.asked) == 1


def test_a_damaged_blob_is_fetched_again(run: Run, site: Site) -> None:
    url = site.serve("/x.tar", DATA)
    descriptor = run.descriptor(files=(InputFile(name="x.tar", urls=(url,), sha256=SHA),))
    run.resolve(descriptor)
    blob = run.store.blob(SHA)
    blob.chmod(0o644)
    blob.write_bytes(b"rot")
    (again,) = run.resolve(descriptor).files
    assert again.path.read_bytes() == DATA


def test_mirror_addresses_are_tried_on_every_mirror_before_upstream(run: Run, site: Site) -> None:
    site.serve("/debian/pool/main/h/hello/hello_2.10.orig.tar.gz", DATA)
    run.environment["GBUILD_MIRROR_DEBIAN"] = f"{site.base}/old {site.base}/debian"
    urls = ("mirror:pool/main/h/hello/hello_2.10.orig.tar.gz", f"{site.base}/upstream")
    run.resolve(run.descriptor(files=(InputFile(name="h", urls=urls, sha256=SHA),)))
    assert [path.split("/")[1] for path, _ in site.asked] == ["old", "debian"]


def test_without_a_mirror_the_error_says_how_to_name_one(run: Run) -> None:
    wanted = InputFile(name="h", urls=("mirror:pool/h",), sha256=SHA)
    with pytest.raises(Unavailable) as caught:
        run.resolve(run.descriptor(files=(wanted,)))
    assert "GBUILD_MIRROR_DEBIAN" in (caught.value.hint or "")


def test_a_descriptor_cannot_read_files_of_this_host(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    wanted = InputFile(name="h", urls=(f"file://{secret}",), sha256=SHA)
    with pytest.raises(Unavailable):
        run.resolve(run.descriptor(files=(wanted,)))
    assert not run.store.has(SHA)


def test_all_that_is_missing_is_told_at_once_with_its_hints(run: Run, site: Site) -> None:
    url = site.serve("/ok", DATA)
    run.place("wrong.tar", b"other")
    files = (
        InputFile(name="sdk.tar.xz", hint="extract it from Xcode 12"),
        InputFile(name="ok.tar", urls=(url,), sha256=SHA),
        InputFile(name="hash-only.tar", sha256="1" * 64, hint="ask the vendor"),
        InputFile(name="wrong.tar", urls=(url,), sha256=SHA),
    )
    with pytest.raises(WrongHash) as caught:
        run.resolve(run.descriptor(files=files))
    assert caught.value.exit_code == 4
    text = "\n".join(caught.value.details)
    for part in ("sdk.tar.xz is missing", "Xcode 12", "hash-only.tar is missing", "ask the vendor"):
        assert part in text
    assert f"expected sha256 {SHA}" in text
    assert f"got      sha256 {hashlib.sha256(b'other').hexdigest()}" in text
    assert site.asked == []  # nothing starts before everything is known to be possible
    assert (run.workspace / "inputs/wrong.tar").read_bytes() == b"other"


def test_offline_lists_files_and_remotes_that_are_not_at_hand(run: Run) -> None:
    files = (InputFile(name="a.tar", urls=("https://x.example/a",), sha256=SHA),)
    remotes = (Remote(url="https://x.example/a.git", dir="a", commit="v1"),)
    with pytest.raises(Unavailable) as caught:
        run.resolve(run.descriptor(files=files, remotes=remotes), offline=True)
    text = "\n".join(caught.value.details)
    assert "inputs/a.tar is missing" in text
    assert "this run is offline" in text
    assert "a: nothing of https://x.example/a.git is in the store" in text


@pytest.mark.parametrize("kind", ["out", "loop", "folder", "fifo", "unreadable link"])
def test_odd_things_in_inputs_are_refused(run: Run, tmp_path: Path, kind: str) -> None:
    path = run.workspace / "inputs/x"
    if kind == "out":
        (tmp_path / "outside").write_bytes(DATA)
        path.symlink_to(tmp_path / "outside")
    elif kind == "loop":
        path.symlink_to("x")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nothing")
    with pytest.raises(Unavailable) as caught:
        run.resolve(run.descriptor(files=(InputFile(name="x"),)))
    assert str(path) in caught.value.brief


def test_a_link_within_the_workspace_is_fine(run: Run) -> None:
    run.place("real.tar")
    (run.workspace / "inputs/x").symlink_to("real.tar")
    (found,) = run.resolve(run.descriptor(files=(InputFile(name="x"),))).files
    assert found.sha256 == SHA


# remotes


@pytest.fixture
def hello(remotes: Path) -> Author:
    return Author.begin(remotes / "hello")


def with_remotes(run: Run, base: str, *dirs: str, **commit: str) -> Descriptor:
    return run.descriptor(
        remotes=tuple(Remote(url=f"{base}/hello", dir=d, commit=commit.get(d)) for d in dirs)
    )


def test_remotes_come_in_order_with_commit_time_and_tree(
    run: Run, git_url: str, hello: Author
) -> None:
    first = hello.head
    hello.commit({"two.c": ""})
    descriptor = with_remotes(run, git_url, "zeta", "alpha", zeta="main")
    found = run.resolve(descriptor, commits={"alpha": "v1.0"})
    assert [one.dir for one in found.remotes] == ["zeta", "alpha"]
    assert [one.commit for one in found.remotes] == [hello.head, first]
    assert [one.author_time for one in found.remotes] == [WHEN + 7200, WHEN + 3600]
    for one in found.remotes:
        assert one.checkout == run.workspace / "inputs" / one.dir
        assert one.tree_sha256 == tree_sha256(one.checkout)
        assert one.url == f"{git_url}/hello"
    again = run.resolve(descriptor, commits={"alpha": "v1.0"}, offline=True)
    assert again == found


def test_a_folder_given_by_url_is_not_in_the_records(run: Run, hello: Author) -> None:
    descriptor = with_remotes(run, "https://x.example", "hello", hello="v1.0")
    (found,) = run.resolve(descriptor, urls={"hello": str(hello.folder)}).remotes
    assert found.url == "https://x.example/hello"
    assert found.commit == hello.head


def test_another_address_on_the_net_is_in_the_records(
    run: Run, git_url: str, hello: Author
) -> None:
    descriptor = with_remotes(run, "https://x.example", "hello", hello="v1.0")
    (found,) = run.resolve(descriptor, urls={"hello": f"{git_url}/hello"}).remotes
    assert found.url == f"{git_url}/hello"


def test_options_that_do_not_fit_are_told_together(run: Run) -> None:
    descriptor = with_remotes(run, "https://x.example", "a", "b", "c", b="v1", c="v1")
    options = {"commits": {"b": "v2", "c": "v1", "d": "v1"}, "urls": {"e": "https://x.example/"}}
    with pytest.raises(UsageFailure) as caught:
        run.resolve(descriptor, **options)
    assert caught.value.details == (
        "--commit names d; the descriptor's remotes are: a, b, c",
        "--url names e; the descriptor's remotes are: a, b, c",
        "a has no commit: give --commit a=REV",
        "b: the descriptor says commit v1, --commit says v2",
    )


@pytest.mark.parametrize("revision", ["--all", "-x", "a b", "x..y", "@{u}", "v1:path"])
def test_revisions_that_git_could_misread_are_refused(run: Run, revision: str) -> None:
    descriptor = with_remotes(run, "https://x.example", "a")
    with pytest.raises(UsageFailure):
        run.resolve(descriptor, commits={"a": revision})


def test_every_remote_that_cannot_be_had_is_told(run: Run, git_url: str, hello: Author) -> None:
    descriptor = run.descriptor(
        remotes=(
            Remote(url=f"{git_url}/hello", dir="a", commit="v9"),
            Remote(url=f"{git_url}/hello", dir="b", commit="v1.0"),
            Remote(url=f"{git_url}/hello", dir="c", commit="2" * 40),
        )
    )
    with pytest.raises(Unavailable) as caught:
        run.resolve(descriptor)
    text = "\n".join(caught.value.details)
    assert "a: the remote has no v9" in text
    assert "c: the remote does not give 2222" in text
    assert not (run.workspace / "inputs/b").exists()


def test_a_look_ahead_changes_nothing(run: Run, site: Site, git_url: str, hello: Author) -> None:
    run.place("here.tar")
    descriptor = run.descriptor(
        files=(
            InputFile(name="here.tar"),
            InputFile(name="there.tar", urls=(site.serve("/x", DATA),), sha256=SHA),
        ),
        remotes=(Remote(url=f"{git_url}/hello", dir="hello", commit="v1.0"),),
    )
    before = everything(run.workspace.parent)
    found = check_inputs(descriptor, BuildOptions(), workspace=run.workspace, store=run.store)
    assert [(one.wanted.name, one.source) for one in found.files] == [
        ("here.tar", "inputs"),
        ("there.tar", "download"),
    ]
    assert [one.revision for one in found.remotes] == ["v1.0"]
    assert everything(run.workspace.parent) == before
    assert site.asked == []


def test_somebodys_work_stops_before_anything_is_fetched(run: Run, site: Site) -> None:
    (run.workspace / "inputs/hello").mkdir()
    url = site.serve("/x", DATA)
    descriptor = run.descriptor(
        files=(InputFile(name="x", urls=(url,), sha256=SHA),),
        remotes=(Remote(url="https://x.example/hello", dir="hello", commit="v1"),),
    )
    with pytest.raises(UsageFailure) as caught:
        run.resolve(descriptor)
    assert "left alone" in caught.value.brief
    assert site.asked == []


def test_a_mirror_damaged_on_the_disk_is_fetched_anew(
    run: Run, git_url: str, hello: Author
) -> None:
    descriptor = with_remotes(run, git_url, "hello", hello="v1.0")
    run.resolve(descriptor)
    (mirror,) = (run.store.root / "git").iterdir()
    for pack in (mirror / "objects/pack").glob("*.pack"):
        pack.chmod(0o644)
        data = bytearray(pack.read_bytes())
        data[40:-20] = bytes(len(data) - 60)
        pack.write_bytes(data)
    hello.commit({"two.c": ""})
    (found,) = run.resolve(with_remotes(run, git_url, "hello", hello="main")).remotes
    assert found.commit == hello.head


def test_the_documented_commands_compute_the_digest_of_a_tree(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs/how-to/inputs.md"
    block = page.read_text().split("```sh\ncd inputs/hello\n")[1].split("```")[0]
    tree = tmp_path / "tree"
    (tree / "a/b c").mkdir(parents=True)
    (tree / "a/b c/x").write_text("1")
    (tree / "a-").write_text("2")
    (tree / "link").symlink_to("a-")
    (tree / "run.sh").write_text("3")
    (tree / "run.sh").chmod(0o755)
    (tree / ".git").mkdir()
    (tree / ".git/HEAD").write_text("4")
    done = subprocess.run(["bash", "-c", block], cwd=tree, capture_output=True, check=True)
    assert done.stdout.decode().split()[0] == tree_sha256(tree)
