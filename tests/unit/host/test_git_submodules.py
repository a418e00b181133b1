"""Where a submodule is fetched from."""

from __future__ import annotations

import pytest

from gbuild.errors import Unavailable, UsageFailure
from gbuild.host.git.submodules import Submodule, address


def resolve(url: str, parent: str, *, local: bool = False) -> str:
    one = Submodule(path="lib", commit="1" * 40, url=url)
    return address(one, parent, parent_local=local, where="hello/lib")


@pytest.mark.parametrize(
    ("url", "parent", "expected"),
    [
        ("https://x.example/lib", "https://y.example/a/b", "https://x.example/lib"),
        ("../lib", "https://y.example/a/b", "https://y.example/a/lib"),
        ("../lib", "https://y.example/a/b/", "https://y.example/a/lib"),
        ("../../c/lib.git", "https://y.example/a/b", "https://y.example/c/lib.git"),
        ("./lib", "https://y.example/a/b", "https://y.example/a/b/lib"),
        ("./../lib", "https://y.example/a/b", "https://y.example/a/lib"),
        ("../lib", "https://y.example/a", "https://y.example/lib"),
        ("../lib", "git@y.example:a/b", "git@y.example:a/lib"),
    ],
)
def test_relative_addresses_start_at_the_parents(url: str, parent: str, expected: str) -> None:
    assert resolve(url, parent) == expected


@pytest.mark.parametrize(
    "url",
    [
        "../../../../lib",
        "../../../etc",
        "ext::x",
        "/etc",
        "file:///etc",
        "-x",
        "lib",
        "",
        "../../lib",
        ".lib",
    ],
)
def test_addresses_that_leave_the_host_or_are_none(url: str) -> None:
    with pytest.raises(UsageFailure) as caught:
        resolve(url, "https://y.example/a")
    assert "hello/lib" in caught.value.brief
    assert caught.value.hint == "give an address of your own with --url hello/lib=URL"


def test_a_folder_of_this_host_is_never_a_base() -> None:
    with pytest.raises(Unavailable, match="relative to a folder of this host"):
        resolve("../lib", "/home/me/hello", local=True)
