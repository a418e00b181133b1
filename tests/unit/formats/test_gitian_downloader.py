"""Download configs as projects keep them, and as they should not be."""

from __future__ import annotations

import pytest

from gbuild.errors import UsageFailure
from gbuild.formats.gitian_downloader import read_config
from gbuild.verify.policy import describe, enough

ALICE, BOB, CAROL = "A" * 40, "B" * 40, "C" * 40
CONFIG = f"""\
---
name: hello
urls:
- http://example.org/hello/
- url: https://example.org/gitian/hello/
  version_url: https://example.org/hello.ver
rss:
- url: http://example.org/rss
  xpath: //item/link/text()
  pattern: hello-\\d+.\\d+.\\d+-linux.zip
waiting_period: 24
signers:
  {ALICE}:
    weight: 40
    name: "Alice A. Example"
    key: alice
  {BOB}:
    weight: 40
    name: Bob
    key: bob
  {CAROL}:
    weight: 20
    name: carol
    key: carol
minimum_weight: 80
"""


def read(text: str) -> object:
    return read_config(text.encode(), path="config")


def refusal(text: str) -> str:
    with pytest.raises(UsageFailure) as caught:
        read_config(text.encode(), path="config").policy()
    return "\n".join((caught.value.brief, *caught.value.details))


def test_a_config_becomes_a_policy_of_weights() -> None:
    config = read_config(CONFIG.encode(), path="config")
    assert config.urls == ("http://example.org/hello/", "https://example.org/gitian/hello/")
    assert config.addresses[1].version_url == "https://example.org/hello.ver"
    (feed,) = config.feeds
    assert (feed.url, feed.xpath) == ("http://example.org/rss", "//item/link/text()")
    assert feed.pattern.search("http://example.org/hello-1.20.3-linux.zip")
    policy = config.policy()
    assert policy.minimum_age == 86_400
    assert [person.keys for person in policy.persons] == [{ALICE}, {BOB}, {CAROL}]
    assert enough(policy.require, {"Alice A. Example", "Bob"})
    assert not enough(policy.require, {"Alice A. Example", "carol"})
    assert "a weight of 80 from Alice A. Example (40), Bob (40), carol (20)" in describe(policy)


def test_keys_of_one_name_are_one_person() -> None:
    policy = read_config(CONFIG.replace("name: Bob", 'name: "Alice A. Example"').encode(), path="c")
    (alice, carol) = policy.signers[0].name, policy.signers[2].name
    assert (alice, carol) == ("Alice A. Example", "carol")
    with pytest.raises(UsageFailure, match="asks for 80, but all together are 60"):
        policy.policy()


def test_a_config_without_weights_leaves_the_number_to_the_person() -> None:
    lines = [line for line in CONFIG.splitlines() if "weight" not in line]
    config = read_config("\n".join(lines).encode(), path="config")
    with pytest.raises(UsageFailure, match="gives no weights") as caught:
        config.policy()
    assert caught.value.hint == "--persons N"
    assert enough(config.policy(2).require, {"Bob", "carol"})
    with pytest.raises(UsageFailure, match="no place beside it"):
        read_config(CONFIG.encode(), path="config").policy(2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((f"  {ALICE}:", "  989F6B3048A116B5:"), "not a fingerprint"),
        ((f"  {ALICE}:", f"  {BOB}:"), "duplicate key"),
        ((f"  {ALICE}:", f"  0x{BOB.lower()}:"), "stands there twice"),
        (("    weight: 20\n", ""), "some signers have no weight"),
        (("minimum_weight: 80\n", ""), "there are weights and no minimum_weight"),
        (("minimum_weight: 80", "minimum_weight: 0"), "minimum_weight is no number"),
        (("minimum_weight: 80", "minimum_weight: 101"), "all together are 100"),
        (("weight: 20", "weight: -20"), "weight is no number"),
        (("key: bob", "key: ../bob"), "not the name of a key"),
        (("- http://example.org/hello/", "- ssh://example.org/"), "not an address"),
        (("waiting_period: 24", "waiting_period: soon"), "waiting_period is no number"),
        (("version_url: https://", "version_url: javascript://"), "not an address"),
        (("//item/link/text()", "//item[1]/link"), "not a way that is followed"),
        (("hello-\\d+.", "hello-(\\d+."), "not a regular expression"),
        (("hello-\\d+.", "a" * 501), "the pattern is too long"),
        (("- url: http://example.org/rss", "- http://example.org/rss\n- x:"), "not a mapping"),
        (("name: Bob", "name: *bob"), "alias"),
        (("signers:", "signers: !!python/object:os.system"), "tag"),
        (("---", "<html>"), "config:"),
    ],
)
def test_what_is_wrong_is_shown_with_its_place(change: tuple[str, str], words: str) -> None:
    assert words in refusal(CONFIG.replace(*change, 1))


def test_two_weights_for_one_person_are_refused() -> None:
    assert "two weights for" in refusal(CONFIG.replace("name: carol", "name: Bob"))


@pytest.mark.parametrize("text", ["", "[]", "name: hello", "signers: {}", "signers: [a]"])
def test_a_config_without_signers_is_refused(text: str) -> None:
    assert "config:1:1" in refusal(text) or "there are no signers" in refusal(text)
