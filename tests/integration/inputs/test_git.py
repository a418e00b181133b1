"""Checkouts from real repositories served by a real git server."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import GbuildError, NameInvalid, Unavailable, UsageFailure
from gbuild.host.files import write_atomically
from gbuild.host.git import checkout, place
from gbuild.host.git.mirror import Access
from gbuild.host.git.plan import Module, Planner
from gbuild.host.store import Store
from gbuild.host.tree_digest import seal, tree_sha256
from gbuild.model.event import Event

from .author import WHEN, Author

pytestmark = pytest.mark.integration


@dataclass
class Bench:
    """A store, an ``inputs`` folder, a server, and one repository on it."""

    store: Store
    inputs: Path
    remotes: Path
    base: str
    author: Author
    events: list[Event] = field(default_factory=list)

    def plan(self, revision: str, *, name: str = "hello", **choices: Any) -> Module:
        planner = Planner(
            store=self.store,
            access=Access(sink=self.events.append, delay=0.01),
            **{"fetch": True, **choices},
        )
        return planner.plan(name, f"{self.base}/{name}", revision)

    def checkout(self, revision: str, **choices: Any) -> Path:
        place.place(self.plan(revision, **choices), self.inputs, "hello")
        return self.inputs / "hello"


@pytest.fixture
def bench(tmp_path: Path, store: Store, remotes: Path, git_url: str) -> Bench:
    inputs = tmp_path / "workspace/inputs"
    inputs.mkdir(parents=True)
    return Bench(store, inputs, remotes, git_url, Author.begin(remotes / "hello"))


def git(folder: Path, *words: str) -> str:
    """Run git as a script in the target would."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


def test_a_tag_is_checked_out_with_its_files_modes_and_time(bench: Bench) -> None:
    tagged = bench.author.head
    bench.author.commit({"later.c": ""})
    folder = bench.checkout("v1.0")
    assert files(folder) == {"hello.c": "int main(void) { return 0; }\n", "run.sh": "#!/bin/sh\n"}
    assert (folder / "hello.c").stat().st_mode & 0o777 == 0o644
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    for path in (folder, folder / "hello.c", folder / ".git", folder / ".git/index"):
        assert path.stat().st_mtime == WHEN + 3600
    assert bench.plan("v1.0").author_time == WHEN + 3600
    assert git(folder, "rev-parse", "HEAD") == tagged
    assert git(folder, "describe") == "v1.0"
    assert git(folder, "status", "--porcelain") == ""


def test_what_scripts_ask_git_for_works(bench: Bench) -> None:
    commit = bench.author.commit({"two.c": "2\n"})
    folder = bench.checkout("main")
    assert git(folder, "describe", "--always", "--dirty") == f"v1.0-1-g{commit[:12]}"
    assert git(folder, "rev-parse", "--short", "HEAD") == commit[:12]
    assert git(folder, "log", "--format=%s").split("\n") == ["change", "change"]
    assert git(folder, "ls-files").split() == ["hello.c", "run.sh", "two.c"]
    assert git(folder, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert git(folder, "remote") == ""
    git(folder, "archive", "--output=/dev/null", "HEAD")
    git(folder, "reset", "--quiet", "--hard")
    git(folder, "clean", "-q", "-f", "-d")
    git(folder, "fsck", "--strict")


@pytest.mark.parametrize(
    "write",
    [
        lambda commit: commit,
        lambda commit: commit[:9],
        lambda _: "main",
        lambda _: "origin/main",
        lambda _: "refs/heads/main",
        lambda _: "heads/main",
        lambda _: "v2.0~0",
        lambda _: "side^1",
    ],
    ids=["hash", "short", "branch", "origin", "ref", "heads", "ancestor", "parent"],
)
def test_every_way_to_write_a_revision(bench: Bench, write: Callable[[str], str]) -> None:
    commit = bench.author.commit({"two.c": "2\n"})
    bench.author.git("tag", "v2.0")
    bench.author.git("checkout", "-q", "-b", "side")
    bench.author.commit({"three.c": "3\n"})
    assert bench.plan(write(commit)).commit == commit


def test_an_unknown_revision_names_the_nearest(bench: Bench) -> None:
    with pytest.raises(Unavailable) as caught:
        bench.plan("v1.O")
    assert caught.value.brief == "hello: the remote has no v1.O"
    assert "v1.0" in caught.value.details[0]


def test_a_tag_and_a_branch_of_one_name_are_told_apart(bench: Bench) -> None:
    bench.author.git("branch", "v1.0")
    assert bench.plan("v1.0").commit == bench.author.head  # the same commit: no question
    bench.author.git("checkout", "-q", "v1.0", "--")
    bench.author.git("checkout", "-q", "heads/v1.0")
    moved = bench.author.commit({"x": "x"})
    bench.author.git("branch", "-f", "v1.0", moved)
    with pytest.raises(UsageFailure) as caught:
        bench.plan("v1.0")
    assert "is a tag and a branch" in caught.value.brief
    assert len(caught.value.details) == 2
    assert bench.plan("refs/heads/v1.0").commit == moved


def test_an_ambiguous_abbreviation_lists_the_candidates(bench: Bench) -> None:
    tree = bench.author.git("rev-parse", "HEAD^{tree}")
    one, two = colliding_commits(tree)
    for text, branch in ((one, "one"), (two, "two")):
        (bench.author.folder / "raw").write_bytes(text)
        oid = bench.author.git("hash-object", "-t", "commit", "-w", "raw")
        bench.author.git("branch", branch, oid)
    ids = [bench.author.git("rev-parse", branch) for branch in ("one", "two")]
    assert ids[0][:5] == ids[1][:5]
    with pytest.raises(UsageFailure) as caught:
        bench.plan(ids[0][:5])
    assert caught.value.details == tuple(sorted(ids))


def colliding_commits(tree: str) -> tuple[bytes, bytes]:
    """Make two commit objects whose hashes begin with the same five digits."""
    seen: dict[str, bytes] = {}
    for number in itertools.count():
        who = f"A <a@example.org> {WHEN} +0000"
        text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n{number}\n".encode()
        key = hashlib.sha1(b"commit %d\0" % len(text) + text).hexdigest()[:5]  # noqa: S324
        if key in seen:
            return seen[key], text
        seen[key] = text
    raise AssertionError


def test_a_commit_on_no_branch_is_asked_for_by_its_hash(bench: Bench) -> None:
    hidden = bench.author.git("commit-tree", "-p", "HEAD", "-m", "hidden", "HEAD^{tree}")
    bench.author.git("update-ref", "refs/pull/7/head", hidden)
    assert bench.plan(hidden).commit == hidden
    assert bench.plan("refs/pull/7/head").commit == hidden
    assert bench.plan(hidden, fetch=False).commit == hidden
    with pytest.raises(Unavailable) as caught:
        bench.plan("1" * 40)
    assert caught.value.brief == f"hello: the remote does not give {'1' * 40}"


def test_the_default_checkout_has_only_tags_of_its_history(bench: Bench) -> None:
    bench.author.git("checkout", "-q", "-b", "side")
    bench.author.commit({"side.c": ""})
    bench.author.git("tag", "side-1")
    folder = bench.checkout("v1.0")
    assert git(folder, "for-each-ref", "--format=%(refname)") == "refs/tags/v1.0"
    folder = bench.checkout("v1.0", tags=True)
    assert git(folder, "tag").split() == ["side-1", "v1.0"]
    folder = bench.checkout("v1.0", tags=True, branches=True)
    assert git(folder, "branch", "--format=%(refname:short)", "--list", "[ms]*").split() == [
        "main",
        "side",
    ]


def test_reference_names_need_not_be_utf8(bench: Bench) -> None:
    odd = os.fsdecode(b"odd-\xe9")
    bench.author.git("tag", odd)
    folder = bench.checkout("v1.0")
    assert f"refs/tags/{odd}" in os.fsdecode((folder / ".git/packed-refs").read_bytes())


def test_moved_and_removed_tags_follow_the_remote(bench: Bench) -> None:
    bench.author.git("tag", "gone")
    bench.plan("gone")
    bench.author.git("tag", "-d", "gone")
    new = bench.author.commit({"x": "x"})
    bench.author.git("tag", "-f", "-a", "-m", "again", "v1.0")
    assert bench.plan("v1.0").commit == new
    with pytest.raises(Unavailable):
        bench.plan("gone")


def test_many_runs_at_once_share_one_mirror(bench: Bench, tmp_path: Path) -> None:
    def one(number: int) -> str:
        module = bench.plan("v1.0")
        checkout.build(module, tmp_path / str(number))
        return module.commit

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(8))) == {bench.author.head}
    assert len(list((bench.store.root / "git").iterdir())) == 1
    assert len({seal(tmp_path / str(number)) for number in range(8)}) == 1


def test_skipping_the_fetch_uses_what_is_there(bench: Bench) -> None:
    with pytest.raises(Unavailable) as caught:
        bench.plan("v1.0", fetch=False)
    assert "--skip-fetch" in (caught.value.hint or "")
    old = bench.plan("main").commit
    bench.author.commit({"x": "x"})
    assert bench.plan("main", fetch=False).commit == old


# what another host, another day or another history of fetching must not change


def test_a_checkout_does_not_depend_on_how_the_mirror_grew(bench: Bench, tmp_path: Path) -> None:
    first = bench.author.head
    bench.plan("main")  # an early fetch
    for number in range(5):
        bench.author.commit({"grow.c": "x" * number}, f"number {number}")
        bench.plan("main")
    bench.author.git("tag", "-a", "-m", "two", "v2.0")
    bench.author.git("checkout", "-q", "-b", "noise", first)
    for number in range(30):
        bench.author.commit({f"noise{number}": str(number)})
    one = bench.checkout("v2.0")
    other = tmp_path / "other"
    fresh = Planner(store=Store(tmp_path / "store2"), access=Access(), fetch=True)
    checkout.build(fresh.plan("hello", f"{bench.base}/hello", "v2.0"), other)
    assert tree_sha256(one) == tree_sha256(other)
    assert describe(one) == describe(other)


def describe(folder: Path) -> dict[str, object]:
    """Tell everything about a checkout but the bytes of the pack."""
    found: dict[str, object] = {"count": git(folder, "count-objects", "-v").split("size-pack")[0]}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        if "objects/pack/" in name:
            continue
        content = path.read_bytes() if path.is_file() else None
        found[name] = (status.st_mode, status.st_mtime_ns, content)
    return found


def test_two_checkouts_are_alike_to_the_last_byte(bench: Bench, tmp_path: Path) -> None:
    bench.author.commit({"sub/deep/er.c": "x\n", "sub/link": "y"})
    module = bench.plan("main")
    for name, mask in (("one", 0o077), ("two", 0o000)):
        before = os.umask(mask)
        try:
            checkout.build(module, tmp_path / name)
        finally:
            os.umask(before)
    assert seal(tmp_path / "one") == seal(tmp_path / "two")
    assert describe(tmp_path / "one") == describe(tmp_path / "two")


EVIL_CONFIG = """
[core]
    hooksPath = {hooks}
    fsmonitor = {hooks}/post-checkout
    attributesFile = {attributes}
    autocrlf = true
    abbrev = 40
[filter "evil"]
    smudge = sed s/hello/evil/
    required = true
[url "{elsewhere}"]
    insteadOf = {base}
[fetch]
    prune = false
[remote "origin"]
    uploadpack = touch {canary}; git-upload-pack
[init]
    templateDir = {hooks}
"""


def test_the_persons_git_configuration_changes_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, hooks, canary = tmp_path / "home", tmp_path / "hooks", tmp_path / "canary"
    home.mkdir()
    hooks.mkdir()
    (home / ".config/git").mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {canary}\n")
        (hooks / name).chmod(0o755)
    attributes = home / ".config/git/attributes"
    attributes.write_text("* filter=evil\n*.c eol=crlf\n")
    Author.begin(tmp_path / "elsewhere/hello").commit({"hello.c": "evil\n"})
    text = EVIL_CONFIG.format(
        hooks=hooks,
        attributes=attributes,
        elsewhere=f"file://{tmp_path}/elsewhere",
        base=bench.base,
        canary=canary,
    )
    (home / ".gitconfig").write_text(text)
    (home / ".config/git/config").write_text(text)
    bench.author.commit({".gitattributes": "*.c filter=evil\n", "hello.c": "say hello\n"})
    folder = bench.checkout("main")
    calm = describe(folder)
    for variable, value in {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_SYSTEM": str(home / ".gitconfig"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": f"{hooks}/post-checkout",
        "GIT_DIR": str(tmp_path / "nonsense"),
        "GIT_INDEX_FILE": str(tmp_path / "nonsense"),
        "GIT_TEMPLATE_DIR": str(hooks),
        "GIT_EXEC_PATH": str(hooks),
        "GIT_SSH_COMMAND": f"touch {canary}",
        "GIT_PROXY_COMMAND": str(hooks / "post-checkout"),
    }.items():
        monkeypatch.setenv(variable, value)
    other = tmp_path / "other"
    planner = Planner(store=Store(tmp_path / "store2"), access=Access(), fetch=True)
    checkout.build(planner.plan("hello", f"{bench.base}/hello", "main"), other)
    monkeypatch.undo()
    assert describe(other) == calm
    assert (other / "hello.c").read_text() == "say hello\n"
    assert not canary.exists()


def test_filters_of_the_tree_have_no_drivers(bench: Bench) -> None:
    bench.author.commit({".gitattributes": "* filter=lfs\n*.txt ident\n", "a.txt": "$Id$\n"})
    folder = bench.checkout("main")
    blob = git(folder, "rev-parse", "HEAD:a.txt")
    assert (folder / "a.txt").read_text() == f"$Id: {blob} $\n"  # what git itself does stays


def test_replace_objects_and_grafts_do_not_arrive(bench: Bench) -> None:
    good = bench.author.head
    evil = bench.author.commit({"hello.c": "evil\n"})
    bench.author.git("reset", "-q", "--hard", good)
    bench.author.git("update-ref", f"refs/replace/{good}", evil)
    (bench.author.folder / ".git/info").mkdir(exist_ok=True)
    (bench.author.folder / ".git/info/grafts").write_text(f"{good} {evil}\n")
    module = bench.plan("v1.0")
    assert module.commit == good
    folder = bench.checkout("v1.0")
    assert "evil" not in (folder / "hello.c").read_text()
    with module.mirror.reading() as mirror:
        assert mirror.text("for-each-ref", "refs/replace") == ""
    # not even when they are planted into the mirror itself
    with module.mirror.reading() as mirror:
        mirror.run("fetch", "-q", str(bench.author.folder), "+refs/*:refs/*", check=False)
    planted = module.mirror.path
    (planted / "info").mkdir(exist_ok=True)
    (planted / "info/grafts").write_text(f"{good} {evil}\n")
    again = bench.inputs.parent / "again"
    checkout.build(bench.plan("v1.0", fetch=False), again)
    assert describe(again) == describe(folder)


def test_a_replacement_planted_in_the_mirror_is_not_followed(bench: Bench) -> None:
    good = bench.author.head
    module = bench.plan("v1.0")
    evil = bench.author.commit({"hello.c": "evil\n"})
    bench.plan("main")
    with module.mirror.reading() as mirror:
        mirror.run("update-ref", f"refs/replace/{good}", evil)
    folder = bench.checkout("v1.0", fetch=False)
    assert "evil" not in (folder / "hello.c").read_text()


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch canary",
        "-u",
        "ext::sh -c touch% canary",
        "file:///etc",
        "/etc",
        "git://host:-p/x",
        "ssh://-oProxyCommand=touch/x",
        "-oProxyCommand=touch:x",
        "fd::17",
        "http://host/\nhttp://other/",
    ],
)
def test_addresses_that_are_commands_are_refused(bench: Bench, url: str) -> None:
    planner = Planner(store=bench.store, access=Access(), fetch=True)
    with pytest.raises(NameInvalid):
        planner.plan("hello", url, "v1.0")


def test_a_folder_of_this_host_only_when_the_person_says_so(bench: Bench) -> None:
    path = str(bench.author.folder)
    planner = Planner(store=bench.store, access=Access(), fetch=True)
    with pytest.raises(NameInvalid):
        planner.plan("hello", path, "v1.0")
    module = bench.plan("v1.0", urls={"hello": path})
    assert module.mirror.local
    assert module.identity == bench.plan("v1.0").identity  # wherever it came from
    assert bench.plan("v1.0", urls={"hello": f"file://{path}"}).commit == module.commit


def test_a_remote_that_is_away_is_told_after_some_tries(bench: Bench) -> None:
    with pytest.raises(Unavailable) as caught:
        bench.plan("v1.0", name="nothing-here")
    assert caught.value.brief == f"nothing-here: cannot fetch from {bench.base}/nothing-here"
    assert any("nothing-here" in line or "repository" in line for line in caught.value.details)
    assert [e.text for e in bench.events] == [f"fetching {bench.base}/nothing-here"]


def test_a_killed_fetch_leaves_nothing_that_stops_the_next(bench: Bench) -> None:
    mirror = bench.plan("v1.0").mirror.path
    for name in ("packed-refs.lock", "HEAD.lock", "refs/tags/v1.0.lock", "config.lock"):
        (mirror / name).touch()
    (mirror / "objects/pack/tmp_pack_x").touch()
    bench.author.commit({"x": "x"})
    bench.author.git("tag", "-f", "v1.0")
    assert bench.plan("v1.0").commit == bench.author.head
    assert not list(mirror.rglob("*.lock"))


def test_a_damaged_mirror_is_made_anew(bench: Bench) -> None:
    mirror = bench.plan("v1.0").mirror.path
    for pack in (mirror / "objects/pack").iterdir():
        pack.unlink()
    assert files(bench.checkout("v1.0"))["run.sh"] == "#!/bin/sh\n"
    (mirror / "HEAD").unlink()  # as if it had never been complete
    assert bench.plan("v1.0").commit == bench.author.head


def test_a_broken_object_from_the_server_is_refused(bench: Bench) -> None:
    tree = bench.author.folder / "tree"
    blob = bench.author.git("rev-parse", "HEAD:hello.c")
    tree.write_bytes(b"100644 .git\0" + bytes.fromhex(blob))
    oid = bench.author.git("hash-object", "-t", "tree", "-w", "--literally", "tree")
    commit = bench.author.git("commit-tree", "-m", "evil", oid)
    bench.author.git("branch", "evil", commit)
    with pytest.raises(Unavailable) as caught:
        bench.plan("evil")
    assert any("hasDotgit" in line for line in caught.value.details)


# submodules


def test_submodules_are_checked_out_where_the_tree_pins_them(bench: Bench) -> None:
    inner = Author.begin(bench.remotes / "inner")
    lib = Author.begin(bench.remotes / "lib")
    lib.submodule("deep/inner", "../inner", inner.head)
    pinned = lib.head
    lib.commit({"newer.c": ""})
    bench.author.submodule("vendor/lib", f"{bench.base}/lib", pinned)
    folder = bench.checkout("main")
    assert set(files(folder)) == {
        ".gitmodules",
        "hello.c",
        "run.sh",
        "vendor/lib/.gitmodules",
        "vendor/lib/hello.c",
        "vendor/lib/run.sh",
        "vendor/lib/deep/inner/hello.c",
        "vendor/lib/deep/inner/run.sh",
    }
    assert git(folder, "submodule", "status", "--recursive").split("\n") == [
        f"{pinned} vendor/lib (v1.0-1-g{pinned[:12]})",
        f" {inner.head} vendor/lib/deep/inner (v1.0)",
    ]
    assert git(folder / "vendor/lib", "describe") == f"v1.0-1-g{pinned[:12]}"
    assert git(folder, "status", "--porcelain") == ""
    assert (folder / "vendor/lib").stat().st_mtime == lib.moment - 3600
    assert folder.stat().st_mtime == bench.author.moment


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% canary",
        "file:///etc",
        "/etc",
        "file://../lib",
        "-oProxyCommand=x",
        "--upload-pack=touch",
        "::x",
        "fd::7",
    ],
)
def test_hostile_submodule_addresses_are_refused(bench: Bench, url: str) -> None:
    bench.author.submodule("lib", url, "1" * 40)
    with pytest.raises(GbuildError) as caught:
        bench.plan("main")
    # git's own check of .gitmodules may be faster than ours
    assert isinstance(caught.value, UsageFailure) or any(
        "gitmodules" in line for line in caught.value.details
    )


def test_a_submodule_below_a_local_remote_needs_an_address_of_its_own(bench: Bench) -> None:
    lib = Author.begin(bench.remotes / "lib")
    bench.author.submodule("lib", "../lib", lib.head)
    own = {"hello": str(bench.author.folder)}
    with pytest.raises(Unavailable) as caught:
        bench.plan("main", urls=own)
    assert caught.value.hint == "give an address of your own with --url hello/lib=URL"
    both = {**own, "hello/lib": str(lib.folder)}
    assert bench.plan("main", urls=both).identity == bench.plan("main").identity


def test_commands_and_branches_in_gitmodules_are_ignored(bench: Bench, tmp_path: Path) -> None:
    lib = Author.begin(bench.remotes / "lib")
    pinned = lib.head
    lib.commit({"newer.c": ""})
    bench.author.submodule("lib", f"{bench.base}/lib", pinned)
    canary = tmp_path / "canary"
    with (bench.author.folder / ".gitmodules").open("a") as stream:
        stream.write("\tbranch = main\n\tignore = all\n\tfetchRecurseSubmodules = true\n")
        stream.write(f"[core]\n\tfsmonitor = touch {canary}\n")
    bench.author.commit({})
    folder = bench.checkout("main")
    assert git(folder / "lib", "rev-parse", "HEAD") == pinned
    assert not canary.exists()


def test_a_gitlink_without_address_stays_empty_and_is_told(bench: Bench) -> None:
    bench.author.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},stray")
    bench.author.git("commit", "-q", "-m", "stray")
    folder = bench.checkout("main")
    assert list((folder / "stray").iterdir()) == []
    assert [e.text for e in bench.events if e.kind == "warning"] == [
        "hello: the submodule stray has no address and stays empty"
    ]


def test_submodules_without_end_are_stopped(bench: Bench) -> None:
    first = Author.begin(bench.remotes / "loop")
    pinned = first.head
    for _ in range(18):
        pinned = first.submodule("loop", f"{bench.base}/loop", pinned)
    with pytest.raises(UsageFailure) as caught:
        bench.plan("main", name="loop")
    assert "more than 16 submodules" in caught.value.brief


# nothing of a person's is lost


def test_a_checkout_is_used_again_and_remade_for_another_commit(bench: Bench) -> None:
    folder = bench.checkout("v1.0")
    made = folder.stat().st_ino
    assert bench.checkout("v1.0").stat().st_ino == made
    git(folder, "status")
    git(folder, "log")
    (folder / ".git/FETCH_HEAD").touch()
    os.utime(folder / "hello.c")
    assert bench.checkout("v1.0").stat().st_ino != made  # silently put right
    assert (folder / "hello.c").stat().st_mtime == WHEN + 3600
    bench.author.commit({"two.c": ""})
    assert "two.c" in files(bench.checkout("main"))
    assert [path.name for path in (bench.inputs / ".gbuild").iterdir()] == ["hello.json"]


def _edit(folder: Path) -> None:
    (folder / "hello.c").write_text("my work\n")


def _add(folder: Path) -> None:
    (folder / "notes.txt").write_text("my work\n")


def _commit(folder: Path) -> None:
    _add(folder)
    git(folder, "add", "notes.txt")
    git(folder, "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "-m", "my work")
    git(folder, "checkout", "-q", "--detach", "HEAD~1")


def _branch(folder: Path) -> None:
    git(folder, "branch", "mine")


def _configure(folder: Path) -> None:
    git(folder, "remote", "add", "mine", "https://example.org/x")


@pytest.mark.parametrize("work", [_edit, _add, _commit, _branch, _configure])
def test_work_in_a_checkout_is_not_lost(bench: Bench, work: Callable[[Path], None]) -> None:
    folder = bench.checkout("v1.0")
    work(folder)
    before = seal(folder)
    bench.author.commit({"two.c": ""})
    for revision in ("v1.0", "main"):
        with pytest.raises(UsageFailure) as caught:
            bench.checkout(revision)
        assert f"{folder} was changed since" in caught.value.brief
    assert seal(folder) == before


@pytest.mark.parametrize("kind", ["clone", "folder", "file", "link", "dangling"])
def test_what_is_not_ours_is_left_alone(bench: Bench, tmp_path: Path, kind: str) -> None:
    target = bench.inputs / "hello"
    if kind == "clone":
        git(bench.inputs, "clone", "-q", str(bench.author.folder), "hello")
    elif kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(bench.author.folder if kind == "link" else tmp_path / "nowhere")
    before = target.lstat()
    with pytest.raises(UsageFailure) as caught:
        bench.checkout("v1.0")
    assert "left alone" in caught.value.brief
    assert "--url hello=" in (caught.value.hint or "")
    assert target.lstat().st_ino == before.st_ino


class Killed(BaseException):
    """Stands for a power cut: nothing catches it."""


@pytest.mark.parametrize("step", range(9))
def test_killed_at_any_step_of_a_swap_the_next_run_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    folder = bench.checkout("v1.0")
    bench.author.commit({"two.c": ""})
    module = bench.plan("main")
    steps = itertools.count()

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:
            if next(steps) == step:
                raise Killed
            return real(*words, **options)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(checkout, "build", dying(checkout.build))
        patched.setattr("gbuild.host.git.place.seal", dying(seal))
        patched.setattr("gbuild.host.git.place.write_atomically", dying(write_atomically))
        patched.setattr(Path, "rename", dying(Path.rename))
        patched.setattr(shutil, "rmtree", dying(shutil.rmtree))
        with pytest.raises(Killed):
            place.place(module, bench.inputs, "hello")
    place.place(module, bench.inputs, "hello")
    assert "two.c" in files(folder)
    assert [path.name for path in (bench.inputs / ".gbuild").iterdir()] == ["hello.json"]


def test_killed_between_the_two_renames_the_next_run_goes_on(bench: Bench) -> None:
    folder = bench.checkout("v1.0")
    rest = bench.inputs / ".gbuild/new-killed"
    rest.mkdir()
    folder.rename(rest / "old")
    assert files(bench.checkout("v1.0"))["run.sh"] == "#!/bin/sh\n"
    assert not rest.exists()
