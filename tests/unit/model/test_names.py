"""The grammar of names: what passes, and that nothing dangerous does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from gbuild.errors import NameInvalid
from gbuild.model import names


def checks(grammar: names.Grammar) -> Callable[[str], str]:
    return partial(grammar.check, where="")


GOOD: tuple[tuple[Callable[[str], str], tuple[str, ...]], ...] = (
    (checks(names.PACKAGE), ("git", "g++", "0ad", "libc6-dev:i386", "gcc-4.4", "libstdc++6:amd64")),
    (checks(names.SUITE), ("bookworm", "bookworm-backports", "lucid", "v2.1")),
    (checks(names.ARCHITECTURE), ("amd64", "linux64", "kfreebsd-amd64")),
    (names.directory_name, ("src", "tor-browser", "_x", "a.b", "libstdc++")),
    (
        checks(names.FILE),
        (
            "hello_2.10.orig.tar.xz",
            "a~rc1+dfsg.tar",
            "MacOSX10.11.sdk.tar.gz",
            "noscript@noscript.net.xpi",
        ),
    ),
    (names.release_name, ("0.18.5.1-linux", "v6.12.0_bookworm", "1.0~rc1", "a" * 40)),
    (
        names.signer_name,
        ("hyc", "oharareid.ryan@gmail.com", "0x1234ABCD", "A" * 40, "me+builds@example.org"),
    ),
    (checks(names.BUILD), ("monero-linux-0.18", "hello", "a_b")),
    (names.target_name, ("bookworm-amd64-1", "a.b_c")),
    (names.revision, ("v1.0", "master", "feature/x", "f" * 40, "HEAD~2", "a^1", "v1.0-rc.1")),
    (
        names.remote_url,
        (
            "https://example.org/a/b.git",
            "http://example.org:8080/~me/b",
            "git://example.org/b",
            "ssh://git@example.org:22/b",
            "git@example.org:a/b.git",
            "example.org:b",
            "git@example.org:/srv/b",
        ),
    ),
)

TRICKS = (
    "",
    " ",
    "-x",
    "--upload-pack=touch /tmp/x",
    ".",
    "..",
    "../x",
    "a/../b",
    "a b",
    "a;b",
    "a$b",
    "a`b`",
    "a\nb",
    "a\n",
    "a\x00",
    "a\x1b[31m",
    "a'b",
    'a"b',
    "a\\b",
    "a|b",
    "a*",
    "ä",
    "a\u202eb",
    "\uff41",
    "a" * 5000,
)

BAD: tuple[tuple[Callable[[str], str], tuple[str, ...]], ...] = (
    (checks(names.PACKAGE), ("a", "Git", "foo-", "foo/sid", "foo=1", "foo:", "foo:_", "+x")),
    (checks(names.SUITE), ("Bookworm", "a/b", "a--b", "-a", "a_b")),
    (names.directory_name, (".git", "a/b", "~")),
    (checks(names.FILE), (".bashrc", "a/b", "/etc/passwd", "~x")),
    (names.release_name, ("1.0/2", ".1")),
    (names.signer_name, ("@x", "a/b", "<a@b>")),
    (checks(names.BUILD), ("a+b", "a@b", ".a")),
    (names.revision, ("a..b", "a@{1}", "/a", "a/", "a.", "a.lock", "a.lock/b", "a//b", "a:b")),
    (
        names.remote_url,
        (
            "ext::sh -c id",
            "fd::3",
            "a::b",
            "foo://example.org/x",
            "ftp://example.org/x",
            "ssh://-oProxyCommand=id/x",
            "https://-x/y",
            "-x:y",
            "git@example.org:-x",
            "https://user:secret@example.org/x",
            "/srv/x",
            "file:///srv/x",
            "./x",
            "C:\\x",
            "https://example.org",
        ),
    ),
)


@pytest.mark.parametrize(
    ("check", "name"), [(check, name) for check, good in GOOD for name in good]
)
def test_a_good_name_comes_back_unchanged(check: Callable[[str], str], name: str) -> None:
    assert check(name) == name


@pytest.mark.parametrize("check", [check for check, _ in GOOD])
def test_no_grammar_lets_a_trick_pass(check: Callable[[str], str]) -> None:
    for trick in TRICKS:
        with pytest.raises(NameInvalid) as caught:
            check(trick)
        shown = "".join((caught.value.brief, *caught.value.details))
        assert shown.isascii(), trick
        assert shown.isprintable(), trick
        assert len(shown) < 400


@pytest.mark.parametrize(("check", "name"), [(check, name) for check, bad in BAD for name in bad])
def test_a_bad_name_is_refused(check: Callable[[str], str], name: str) -> None:
    with pytest.raises(NameInvalid):
        check(name)


def test_the_error_says_where_and_what_was_expected() -> None:
    with pytest.raises(NameInvalid) as caught:
        names.SUITE.check("Sid", "--suite")
    assert caught.value.brief == "--suite: not a valid suite name: 'Sid'"
    assert caught.value.details[0].startswith("expected a suite such as bookworm")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("url", ["/srv/my repo", "file:///srv/x", "/srv/ä"])
def test_a_local_folder_is_good_only_when_the_person_typed_it(url: str) -> None:
    assert names.remote_url(url, local=True) == url
    with pytest.raises(NameInvalid, match="given by --url"):
        names.remote_url(url, where="remotes")


@pytest.mark.parametrize("url", ["relative/x", "/srv/a\nb", "--x", "ext::/x", "//host/x\x00"])
def test_local_does_not_open_other_doors(url: str) -> None:
    with pytest.raises(NameInvalid):
        names.remote_url(url, local=True)
