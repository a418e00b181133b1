"""Descriptors: every key of Gitian's and ours, and what a person sees when one is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import DescriptorInvalid
from gbuild.formats.descriptor import BOUNDS, KEYS, parse_descriptor
from gbuild.model.descriptor import Descriptor, Remote, Repository, machine_architecture

GOLDEN = Path(__file__).parents[2] / "golden" / "descriptors"
GOOD = ("quoted-linux64", "two-suites-cache", "repositories", "files-only", "ours")

MINIMAL = """\
name: hello
suites: [bookworm]
architectures: [amd64]
reference_datetime: "2024-01-01 00:00:00"
script: |
  true
"""


def parse(text: str) -> Descriptor:
    return parse_descriptor(text.encode(), path="dir/hello.yml")


def refusal(text: str) -> str:
    with pytest.raises(DescriptorInvalid) as caught:
        parse(text)
    return "\n".join((caught.value.brief, *caught.value.details))


def compare(path: Path, text: str) -> None:
    """Compare with a golden file; UPDATE_GOLDEN=1 writes it anew."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("stem", GOOD)
def test_a_descriptor_of_a_known_shape_is_read_whole(stem: str) -> None:
    data = (GOLDEN / f"{stem}.yml").read_bytes()
    descriptor = parse_descriptor(data, path=f"{stem}.yml")
    values: dict[str, Any] = dataclasses.asdict(descriptor)
    assert values.pop("source") == data
    assert values.pop("stem") == stem
    values["is_gitian_pure"] = descriptor.is_gitian_pure
    compare(GOLDEN / f"{stem}.json", json.dumps(values, indent=2) + "\n")


def test_every_problem_of_a_broken_descriptor_is_shown_with_its_place() -> None:
    data = (GOLDEN / "broken.yml").read_bytes()
    with pytest.raises(DescriptorInvalid) as caught:
        parse_descriptor(data, path="broken.yml")
    shown = "\n".join((caught.value.brief, *caught.value.details)) + "\n"
    compare(GOLDEN / "broken.txt", shown)


def test_the_golden_descriptors_use_every_key() -> None:
    used = {
        line.partition(":")[0]
        for stem in GOOD
        for line in (GOLDEN / f"{stem}.yml").read_text().splitlines()
    }
    assert set(KEYS) - used == {"source_date_epoch"}


def test_what_a_descriptor_leaves_out_gets_gitians_default() -> None:
    descriptor = parse(MINIMAL)
    assert descriptor.stem == "hello"
    assert descriptor.distro == "ubuntu"
    assert descriptor.user == "ubuntu"
    assert descriptor.base == "full"
    assert descriptor.network is None
    assert not descriptor.source_date_epoch
    assert [descriptor.packages, descriptor.remotes, descriptor.files] == [(), (), ()]
    assert descriptor.warnings == ()
    assert descriptor.is_gitian_pure


@pytest.mark.parametrize("empty", ["", " []", " ~", " null"])
@pytest.mark.parametrize(
    "key", ["packages", "remotes", "files", "multiarch", "repositories", "alternatives"]
)
def test_an_empty_list_may_be_written_in_every_way(key: str, empty: str) -> None:
    assert getattr(parse(f"{MINIMAL}{key}:{empty}\n"), key) == ()


@pytest.mark.parametrize(
    ("network", "epoch", "expected"),
    [
        ("", "", False),
        ("network: none\n", "", True),
        ("network: full\n", "", True),
        ("network: none\n", "source_date_epoch: false\n", False),
        ("", "source_date_epoch: true\n", True),
    ],
)
def test_a_network_key_implies_source_date_epoch(network: str, epoch: str, expected: bool) -> None:
    assert parse(MINIMAL + network + epoch).source_date_epoch is expected


@pytest.mark.parametrize(
    "ours",
    [
        "network: full",
        "base: minimal",
        "source_date_epoch: true",
        "normalise: true",
        "files: [{name: a, hint: ask}]",
        "files: [{name: a, sha256: " + "a" * 64 + "}]",
        "repositories: [{distribution: x, source: 'http://h/x', key: " + "A" * 40 + "}]",
    ],
)
def test_a_descriptor_with_a_key_of_ours_is_not_pure_gitian(ours: str) -> None:
    assert not parse(f"{MINIMAL}{ours}\n").is_gitian_pure


def test_the_script_keeps_its_bytes() -> None:
    text = MINIMAL.replace("  true\n", "\n  if true; then\n    echo '#: {}'\n  fi\n\n")
    assert parse(text).script == "\nif true; then\n  echo '#: {}'\nfi\n"


def test_times_and_words_of_yaml_stay_text() -> None:
    text = MINIMAL.replace("name: hello", "name: 0.10").replace("[bookworm]", "[on]")
    descriptor = parse(text)
    assert descriptor.name == "0.10"
    assert descriptor.suites == ("on",)


@pytest.mark.parametrize(
    ("source", "url", "suite", "components"),
    [
        ("https://h/debian", "https://h/debian", "sid", ("main",)),
        ("deb https://h/debian sid main", "https://h/debian", "sid", ("main",)),
        ("deb  http://h/d/  tools-8  a b", "http://h/d/", "tools-8", ("a", "b")),
        ("deb [arch=amd64] file:///srv/d x/updates main", "file:///srv/d", "x/updates", ("main",)),
    ],
)
def test_a_source_line_is_taken_apart(
    source: str, url: str, suite: str, components: tuple[str, ...]
) -> None:
    text = f"{MINIMAL}repositories:\n- distribution: sid\n  source: '{source}'\n  packages: [x1]\n"
    (repository,) = parse(text).repositories
    assert isinstance(repository, Repository)
    assert (repository.source, repository.suite, repository.components) == (url, suite, components)
    assert repository.distribution == "sid"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("name: ../x", "not a valid build name"),
        ("name: Common", "common is the name of the cache"),
        ("name: -x", "not a valid build name"),
        ("name:", "the descriptor has no name"),
        ("suites: []", "the descriptor has no suites"),
        ("suites: [a/b]", "not a valid suite name"),
        ("architectures: [amd64, linux64]", "architecture 'linux64' stands on line 3 already"),
        ("architectures: [amd46]", "unknown architecture amd46, did you mean amd64?"),
        ("script: ''", "the script is empty"),
        ("script: [a]", "script is a list or a mapping"),
        ("distro: Debain", "unknown distro 'Debain', did you mean debian?"),
        ("packages: [git, '-y']", "not a valid package name: '-y'"),
        ("packages: [a=1]", "not a valid package name"),
        ("packages: [[git]]", "an item of packages is not text"),
        ("packages: {git: 1}", "packages is not a list"),
        ("packages: [~]", "an item of packages is not text"),
        ("remotes: [{url: 'https://h/x', dir: .git}]", "not a valid directory name"),
        ("remotes: [{url: 'https://h/x', dir: x, commit: a..b}]", "not a valid revision"),
        ("remotes: [{url: 'https://u:p@h/x', dir: x}]", "the address holds a password"),
        ("remotes: [{url: 'file:///srv/x', dir: x}]", "is given by --url"),
        ("remotes: [{dir: x}]", "a remote has no url"),
        ("remotes: [{url: 'https://h/x'}]", "a remote has no dir"),
        ("files: [a/b]", "not a valid file name"),
        ("files: [.., a]", "not a valid file name"),
        ("files: [a, A]", "the input 'A' stands on line 7 already (there 'a')"),
        ("files: [{name: a, urls: ['https://h/a']}]", "a file with urls has no sha256"),
        ("files: [{name: a, sha256: abc}]", "not a sha256"),
        ("files: [{name: a, urls: ['mirror:/x']}]", "not a path in an archive"),
        ("files: [{name: a, urls: ['mirror:a/../b']}]", "not a path in an archive"),
        ("files: [{name: a, urls: ['file:///etc/x']}]", "not an address of a file"),
        ("reference_datetime: 2024-01-01", "not a time"),
        ("reference_datetime: '2024-13-01 00:00:00'", "not a time"),
        ('reference_datetime: "2024-01-01 00:00:00\'; id"', "not a time"),
        ("alternatives: [{package: a, path: bin/a}]", "not a valid path of an alternative"),
        ("alternatives: [{package: -a, path: /bin/a}]", "not a valid alternative's name"),
        ("multiarch: [linux64]", "unknown architecture linux64"),
        (
            "repositories: [{distribution: x, source: 'ftp://h'}]",
            "not an address of an apt archive",
        ),
        ("repositories: [{distribution: x, source: 'deb http://h ./'}]", "a flat one"),
        ("docker_image_digests: [x]", "not an image digest"),
        (f"docker_image_digests: [{'a' * 64}, {'b' * 64}]", "2 docker_image_digests for 1 suites"),
        ("sudo: perhaps", "sudo is neither true nor false"),
        ("base: tiny", "unknown base 'tiny'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(line: str, reason: str) -> None:
    key = line.partition(":")[0]
    old = re.search(rf"^{key}:.*\n(  .*\n)*", MINIMAL, re.MULTILINE)
    text = MINIMAL.replace(old[0], f"{line}\n") if old else f"{MINIMAL}{line}\n"
    assert reason in refusal(text)


def test_neither_remotes_nor_a_time_is_an_error() -> None:
    text = MINIMAL.replace('reference_datetime: "2024-01-01 00:00:00"\n', "")
    assert "neither remotes nor a reference_datetime" in refusal(text)
    with_remote = f"{text}remotes: [{{url: 'https://h/x', dir: x}}]\n"
    assert parse(with_remote).remotes == (Remote(url="https://h/x", dir="x"),)


def test_unknown_keys_warn_and_name_the_nearest_known_one() -> None:
    descriptor = parse(f"{MINIMAL}x-owner: me\nenable_cahce: true\n")
    unknown = "in the descriptor"
    assert descriptor.warnings == (
        f"dir/hello.yml:7:1: unknown key 'x-owner' {unknown}",
        f"dir/hello.yml:8:1: unknown key 'enable_cahce' {unknown}, did you mean enable_cache?",
    )


def test_a_repository_that_switches_signatures_off_is_refused() -> None:
    source = "deb [trusted=yes] https://h/debian sid main"
    text = f"{MINIMAL}repositories:\n- {{distribution: sid, source: '{source}', packages: [x1]}}\n"
    assert "'trusted=yes' switches signatures off" in refusal(text)


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words\n", "- a\n- b\n"])
def test_what_is_not_a_mapping_is_not_a_descriptor(text: str) -> None:
    assert "hello.yml:1:1: not a descriptor" in refusal(text)


def test_a_single_problem_is_named_in_the_first_line() -> None:
    text = MINIMAL.replace("[bookworm]", "[Bookworm]")
    first, _, rest = refusal(text).partition("\n")
    assert first == "dir/hello.yml:2:10: not a valid suite name: 'Bookworm'"
    assert rest.splitlines()[:2] == [
        "    2 | suites: [Bookworm]",
        "      |          ^",
    ]


def test_linux64_is_amd64_for_machines() -> None:
    assert machine_architecture("linux64") == "amd64"
    assert machine_architecture("i386") == "i386"


def test_environments_come_in_gitians_order() -> None:
    text = MINIMAL.replace("[bookworm]", "[b, a]").replace("[amd64]", "[i386, amd64]")
    expected = (("b", "i386"), ("b", "amd64"), ("a", "i386"), ("a", "amd64"))
    assert parse(text).environments == expected


def test_text_in_utf7_is_named_as_such() -> None:
    text = MINIMAL.replace("name: hello", "name: +ACI-hello+ACI-")
    assert "hello.yml:1:1: the text looks like UTF-7" in refusal(text)


def test_the_manual_names_every_key_and_its_example_is_one() -> None:
    manual = (GOLDEN.parents[2] / "docs" / "reference" / "descriptor.md").read_text()
    assert [key for key in KEYS if f"| `{key}`" not in manual] == []
    example = manual.partition("```yaml\n")[2].partition("```")[0]
    assert parse(example).network == "none"
    assert f"{BOUNDS.nodes:,} values and {BOUNDS.depth} levels" in manual
    wrong = MINIMAL.replace("[amd64]", "\n- amd46")
    shown = refusal(wrong).partition("\n")[2].replace("dir/hello.yml", "hello.yml")
    assert shown in manual
