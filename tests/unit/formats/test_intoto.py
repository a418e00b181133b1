"""The statement: in-toto and SLSA in shape, canonical in bytes, discreet about the host."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gbuild.formats.intoto import BUILD_TYPE, canonical_json, git_uri, provenance
from gbuild.model.outcome import Artifact
from gbuild.model.plan import CacheState, Inputs, ResolvedFile, ResolvedRemote
from gbuild.model.provenance import Provenance, ProvenImage, ProvenJob

GOLDEN = Path(__file__).parents[2] / "golden" / "statement.json"
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "schemas" / "statement.schema.json"


def remote(name: str, url: str) -> ResolvedRemote:
    return ResolvedRemote(
        dir=name,
        url=url,
        commit="1" * 40,
        author_time=5,
        tree_sha256="7" * 64,
        checkout=Path("/home/me/private/inputs") / name,
    )


FACTS = Provenance(
    name="hello",
    descriptor="hello.yml",
    descriptor_sha256="0" * 64,
    artifacts=(
        Artifact(path="b/hello", sha256="b" * 64, size=2),
        Artifact(path="a.tar.gz", sha256="a" * 64, size=1),
    ),
    inputs=Inputs(
        files=(ResolvedFile(name="x.tar", sha256="2" * 64, path=Path("/home/me/x.tar")),),
        remotes=(
            remote("src", "https://example.org/src.git"),
            remote("sig", "git@example.org:team/sig.git"),
            remote("own", "/home/me/private/own"),
        ),
        caches=(CacheState(folder="common", digest="3" * 64, path=Path("/home/me/cache")),),
    ),
    lock_digest="4" * 64,
    images=(
        ProvenImage(label="bookworm-amd64", environment_digest="5" * 64, sha256="6" * 64, recipe=1),
    ),
    jobs=(
        ProvenJob(
            label="bookworm-amd64",
            network=False,
            sudo=False,
            facts={"scratch": "tmpfs", "memory": "2000 MiB"},
        ),
    ),
    backend="userns",
    report_sha256="8" * 64,
    version="1.2.3",
    invocation_id="0c6b3d5e-0000-4000-8000-000000000000",
    started=1_700_000_000,
    finished=1_700_000_060,
    options={"num-procs": 4, "commit": {"src": "v1"}, "no-cache": True, "network": None},
)


def statement(facts: Provenance = FACTS) -> Any:
    return json.loads(provenance(facts))


def test_the_statement_is_canonical_json() -> None:
    data = provenance(FACTS)
    assert data == canonical_json(json.loads(data))
    assert json.loads(data) == json.loads(GOLDEN.read_bytes())
    assert b"\n" not in data


def test_the_statement_follows_the_published_schema() -> None:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(statement())
    validator.validate(statement(replace(FACTS, artifacts=(), inputs=Inputs(), jobs=(), images=())))
    bad = statement()
    bad["predicate"]["buildDefinition"]["externalParameters"]["secret"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(bad)


def test_subjects_are_the_artifacts_sorted_by_path() -> None:
    assert statement()["subject"] == [
        {"name": "a.tar.gz", "digest": {"sha256": "a" * 64}},
        {"name": "b/hello", "digest": {"sha256": "b" * 64}},
    ]


def test_everything_the_build_read_is_a_dependency() -> None:
    definition = statement()["predicate"]["buildDefinition"]
    assert definition["buildType"] == BUILD_TYPE
    assert [resource["name"] for resource in definition["resolvedDependencies"]] == [
        "hello-desc.yml",
        "inputs/x.tar",
        "inputs/src",
        "inputs/sig",
        "inputs/own",
        "cache/common",
        "lock",
        "image/bookworm-amd64",
    ]


def test_no_path_of_the_host_is_told() -> None:
    urls = {"own": "/home/me/private/own", "src": "https://example.org/fork.git"}
    facts = replace(FACTS, options={"url": urls})
    assert b"/home/me" not in provenance(facts)
    parameters = statement(facts)["predicate"]["buildDefinition"]["externalParameters"]
    expected = {"own": "local folder", "src": "git+https://example.org/fork.git"}
    assert parameters["options"]["url"] == expected


def test_the_same_facts_in_another_order_of_keys_give_the_same_bytes() -> None:
    turned = dict(reversed(list(FACTS.options.items())))
    assert provenance(replace(FACTS, options=turned)) == provenance(FACTS)


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("https://example.org/a.git", "git+https://example.org/a.git"),
        ("ssh://git@example.org/a", "git+ssh://git@example.org/a"),
        ("git://example.org/a", "git://example.org/a"),
        ("git@example.org:a/b.git", "git+ssh://git@example.org/a/b.git"),
        ("example.org:/a/b", "git+ssh://example.org/a/b"),
        ("/home/me/a", None),
        ("file:///home/me/a", None),
    ],
)
def test_the_address_of_a_remote_as_a_uri(url: str, uri: str | None) -> None:
    assert git_uri(url) == uri


def test_fractions_and_other_objects_have_no_canonical_spelling() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json([float("nan")])  # type: ignore[list-item] # what a careless caller does
    assert (
        canonical_json({"b": "é", "a": [1, True, None]}) == '{"a":[1,true,null],"b":"é"}'.encode()
    )
