"""The lock file: one spelling for one lock, and no way to smuggle something in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gbuild.errors import DescriptorInvalid
from gbuild.formats.lockfile import (
    canonical,
    environment_digest,
    lock_digest,
    read_lock,
    write_lock,
)
from gbuild.model.lock import UNVOUCHED, Archive, Asserted, Environment, Lock, Package

GOLDEN = Path(__file__).parents[2] / "golden" / "hello.lock"
SCHEMAS = Path(__file__).parents[3] / "docs" / "reference" / "schemas"


def package(name: str, arch: str = "amd64", **changes: Any) -> Package:
    values = {
        "version": "1:2.0~rc1+dfsg-3",
        "sha256": "a" * 64,
        "size": 1234,
        "archive": "debian",
        "path": f"pool/main/h/hello/{name}_2.0~rc1+dfsg-3_{arch}.deb",
    }
    return Package(name=name, arch=arch, **{**values, **changes})


ENVIRONMENT = Environment(
    suite="bookworm",
    arch="amd64",
    distro="debian",
    request=("hello", "g++"),
    archives=(
        Archive(
            name="debian-security",
            suite="bookworm-security",
            sha256="e" * 64,
            date=1_700_000_001,
            signed_by=("B" * 40, "A" * 40),
        ),
        Archive(
            name="debian",
            suite="bookworm",
            sha256="d" * 64,
            date=1_700_000_000,
            signed_by=("A" * 40,),
            components=("main", "contrib"),
        ),
    ),
    packages=(
        package("hello"),
        package("libc6", "i386"),
        package("libc6", archive="debian-security"),
        package("base-files", "all", essential=True),
    ),
    foreign=("i386",),
    boot=(package("linux-image-amd64"),),
)
LOCK = Lock(environments=(ENVIRONMENT,), images={"bookworm-amd64": {"2": "c" * 64, "1": "b" * 64}})


ASSERTED = {"sha256": "f" * 64, "date": 1}


def problems(data: bytes) -> str:
    with pytest.raises(DescriptorInvalid) as caught:
        read_lock(data, path="hello.lock")
    return "\n".join((caught.value.brief, *caught.value.details))


def changed(change: Callable[[Any], None]) -> bytes:
    """Return the golden lock after a change of its JSON."""
    document = json.loads(GOLDEN.read_bytes())
    change(document)
    return json.dumps(document).encode()


def test_a_lock_has_one_spelling() -> None:
    assert write_lock(LOCK) == GOLDEN.read_bytes()


def test_every_package_has_a_line_of_its_own() -> None:
    lines = [line for line in GOLDEN.read_text().splitlines() if '"version"' in line]
    names = [json.loads(line.strip().rstrip(","))["name"] for line in lines]
    assert names == ["base-files", "hello", "libc6", "libc6", "linux-image-amd64"]
    assert GOLDEN.read_bytes().endswith(b"}\n")


def test_reading_restores_the_canonical_order() -> None:
    lock = read_lock(GOLDEN.read_bytes(), path="hello.lock")
    assert lock == Lock(environments=(canonical(ENVIRONMENT),), images=LOCK.images)

    def shuffle(document: Any) -> None:
        for key in ("packages", "archives", "request"):
            document["environments"][0][key].reverse()

    assert write_lock(read_lock(changed(shuffle), path="x")) == GOLDEN.read_bytes()


def test_the_digest_ignores_images_and_order_and_nothing_else() -> None:
    digest = lock_digest(LOCK)
    assert digest == lock_digest(replace(LOCK, images={}))
    turned = replace(ENVIRONMENT, packages=ENVIRONMENT.packages[::-1])
    assert digest == lock_digest(Lock(environments=(turned,)))
    assert environment_digest(turned) == environment_digest(ENVIRONMENT)
    for other in (
        replace(ENVIRONMENT, packages=(package("hello", sha256="b" * 64),)),
        replace(ENVIRONMENT, foreign=()),
        replace(ENVIRONMENT, base="minimal"),
    ):
        assert lock_digest(Lock(environments=(other,))) != digest
        assert environment_digest(other) != environment_digest(ENVIRONMENT)


def test_the_golden_lock_follows_the_published_schema() -> None:
    schema = json.loads((SCHEMAS / "lock.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(json.loads(GOLDEN.read_bytes()))
    bad = json.loads(GOLDEN.read_bytes())
    bad["environments"][0]["packages"][0]["mirror"] = "http://example.org/"
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(bad)


def _package(document: Any) -> Any:
    return document["environments"][0]["packages"][0]


def _set(key: str, value: object) -> Callable[[Any], None]:
    return lambda document: _package(document).__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("sha256", "A" * 64), "packages[0].sha256: not a valid sha256"),
        (_set("sha256", None), "packages[0].sha256: not text"),
        (_set("path", "/etc/passwd"), "packages[0].path: not a valid path"),
        (_set("path", "pool/../../x"), "packages[0].path: not a valid path"),
        (_set("path", "pool/./x"), "packages[0].path: not a valid path"),
        (_set("path", "http://example.org/x?y"), "packages[0].path: not a valid path"),
        (_set("name", "../x"), "packages[0].name: not a valid package name"),
        (_set("name", "libc6:i386"), "packages[0].name: not a valid package name"),
        (_set("version", "1 2"), "packages[0].version: not a valid version"),
        (_set("arch", "arm64"), "architecture 'arm64' is neither own nor foreign"),
        (_set("size", -1), "packages[0].size: not a whole number"),
        (_set("size", True), "packages[0].size: not a whole number"),
        (_set("size", "12"), "packages[0].size: not a whole number"),
        (_set("essential", 1), "packages[0].essential: neither true nor false"),
        (_set("archive", "elsewhere"), "its archive 'elsewhere' is not in archives"),
        (_set("archive", "http://h"), "not a valid archive name"),
        (_set("url", "http://h/x"), "packages[0].url: unknown key"),
        (lambda d: _package(d).pop("size"), "packages[0]: the key 'size' is missing"),
        (
            lambda d: d["environments"][0]["packages"].append(dict(_package(d))),
            "packages[4]: the package 'base-files:all' stands there twice",
        ),
        (
            lambda d: d["environments"].append(d["environments"][0]),
            "environments[1]: the environment 'bookworm-amd64' stands there twice",
        ),
        (
            lambda d: d["environments"][0]["archives"][0].update(signed_by=[]),
            "archives[0].signed_by: nobody signed it",
        ),
        (lambda d: d["environments"][0].update(archives=[]), "archives: no archive"),
        (
            lambda d: d["environments"][0].update(archives=[], asserted=ASSERTED),
            "its archive 'debian' is not in archives",
        ),
        (
            lambda d: (
                _set("archive", "unvouched")(d),
                d["environments"][0].update(asserted=ASSERTED),
            ),
            "its archive 'unvouched' is not in archives",
        ),
        (lambda d: d["environments"][0].update(asserted={}), "the key 'date' is missing"),
        (lambda d: d["environments"][0].update(asserted=None), "asserted: not an object"),
        (lambda d: d["environments"][0].update(family="rpm"), "unknown value 'rpm'"),
        (lambda d: d["environments"][0].update(suite="../x"), "suite: not a valid suite name"),
        (lambda d: d["environments"][0].update(request=["-y"]), "not a valid package name"),
        (lambda d: d["environments"].append([]), "environments[1]: not an object"),
        (lambda d: d.update(environments={}), "environments: not a list"),
        (lambda d: d.update(images={"x/y": {}}), "not a valid environment's label"),
        (lambda d: d["images"]["bookworm-amd64"].update(x="b" * 64), "not a valid recipe number"),
        (lambda d: d.update(images=[]), "images: not an object"),
        (lambda d: d.update(extra=1), "extra: unknown key"),
        (lambda d: d.update(format=2, new="x"), "format: this is lock format 2"),
        (lambda d: d.update(format="1"), "format: not a whole number"),
        (lambda d: d.pop("format"), "the key 'format' is missing"),
        (lambda d: d.pop("images"), "the key 'images' is missing"),
    ],
)
def test_a_changed_lock_is_refused(change: Callable[[Any], None], reason: str) -> None:
    assert reason in problems(changed(change))


def test_a_lock_from_an_assertion_names_all_its_archives_or_none() -> None:
    proved = replace(ENVIRONMENT, boot=(), asserted=Asserted(sha256="f" * 64, date=5))
    packages = tuple(replace(p, archive=UNVOUCHED) for p in proved.packages[::3])
    unproved = replace(proved, suite="trixie", archives=(), packages=packages)
    lock = Lock(environments=(proved, unproved))
    data = write_lock(lock)
    found = read_lock(data, path="x")
    assert found.environments == (canonical(proved), canonical(unproved))
    assert [e.vouched for e in found.environments] == [True, False]
    assert [e.date for e in found.environments] == [1_700_000_001, 5]
    jsonschema.validate(json.loads(data), json.loads((SCHEMAS / "lock.schema.json").read_bytes()))
    plain = environment_digest(replace(proved, asserted=None))
    assert plain != environment_digest(proved)


def test_all_problems_come_together_with_their_lines() -> None:
    data = GOLDEN.read_bytes().replace(b'"size": 1234', b'"size": 12.5', 1)
    assert "'12.5' is not a whole number" in problems(data)
    data = GOLDEN.read_bytes().replace(b"pool/main", b"../main").replace(b"a" * 64, b"a" * 63)
    shown = problems(data)
    assert shown.startswith("hello.lock: 10 problems, the first on line 17: environments[0].")
    assert "hello.lock:17:88: environments[0].packages[0].sha256: not a valid sha256" in shown
    assert "      |       " in shown


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "hello.lock:1:1: not JSON"),
        (b"[]", "the key 'format' is missing"),
        (b'{"format": 1,\n "x": }', "hello.lock:2:7: not JSON"),
        (b'{"format": 1, "format": 1}', "names the key 'format' twice"),
        (b'{"format": NaN}', "NaN is not a number here"),
        (b'{"format": 1e0}', "'1e0' is not a whole number"),
        (b"\xff", "byte 0xff is not UTF-8"),
        (b'{"a": "\x00"}', "control character U+0000"),
        ('{"a": "\u2028"}'.encode(), "a line break that is not a newline"),
        (b"[" * 100_000, "too many levels of nesting"),
        (b'{"format": ' + b"9" * 5000 + b"}", "hello.lock:1:1"),
    ],
)
def test_what_is_no_lock_is_refused(data: bytes, reason: str) -> None:
    assert reason in problems(data)


def test_what_a_machine_boots_from_is_no_part_of_the_environments_digest() -> None:
    environment = Environment(
        suite="bookworm",
        arch="i386",
        distro="debian",
        request=(),
        archives=(
            Archive(
                name="debian", suite="bookworm", sha256="0" * 64, date=1, signed_by=("A" * 40,)
            ),
        ),
        packages=(),
    )
    kernel = Package(
        name="linux-image-6.1.0-1-cloud-amd64", arch="amd64", version="6.1.1-1",
        sha256="1" * 64, size=1, archive="debian", path="pool/l.deb",
    )  # fmt: skip
    booted = replace(environment, boot=(kernel,))
    assert environment_digest(booted) == environment_digest(environment)
    assert lock_digest(Lock(environments=(booted,))) != lock_digest(
        Lock(environments=(environment,))
    )
    lock = Lock(environments=(booted,))
    assert read_lock(write_lock(lock), path="x") == lock
    foreign = Lock(environments=(replace(environment, boot=(replace(kernel, arch="i386"),)),))
    with pytest.raises(DescriptorInvalid, match="neither own nor foreign"):
        read_lock(write_lock(foreign), path="x")
