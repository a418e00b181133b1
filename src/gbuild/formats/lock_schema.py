"""What may stand in a lock file: the shape and the grammar of every value."""

from __future__ import annotations

import re

from gbuild.formats.located_json import Value, distinct
from gbuild.model import names
from gbuild.model.lock import UNVOUCHED, Archive, Asserted, Environment, Package
from gbuild.model.names import Grammar

SHA256 = Grammar("sha256", re.compile(r"[0-9a-f]{64}", re.ASCII), "64 lower-case hex digits")
FINGERPRINT = Grammar(
    "fingerprint",
    re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?", re.ASCII),
    "40 upper-case hex digits",
)
ARCHIVE = Grammar(
    "archive name",
    re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII),
    "a symbolic name such as debian-security, never an address",
)
VERSION = Grammar(
    "version",
    re.compile(r"(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*", re.ASCII),
    "a version by Debian Policy 5.6.12",
    200,
)
PATH = Grammar(
    "path",
    re.compile(r"(?!.*(?:\A|/)\.\.?(?:/|\Z))[A-Za-z0-9_.+~%:@=,-]+(?:/[A-Za-z0-9_.+~%:@=,-]+)*"),
    "a path below the archive's root, without a leading slash and without ..",
    500,
)
RECIPE = Grammar("recipe number", re.compile(r"[1-9][0-9]*", re.ASCII), "a number from 1", 9)
LABEL = Grammar(
    "environment's label",
    re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", re.ASCII),
    "<suite>-<architecture>",
)
NAME = Grammar(
    "package name",
    re.compile(r"[a-z0-9][a-z0-9+.-]+", re.ASCII),
    "a package name by Debian Policy 5.6.1",
)

_PACKAGE_KEYS = ("name", "version", "arch", "sha256", "size", "archive", "path")


def read_environment(value: Value) -> Environment:
    """Read one environment, checking that it agrees with itself."""
    fields = value.object(
        "arch",
        "archives",
        "base",
        "boot",
        "distro",
        "family",
        "foreign",
        "packages",
        "request",
        "suite",
        optional=("asserted",),
    )
    environment = Environment(
        suite=fields["suite"].text(names.SUITE),
        arch=fields["arch"].text(names.ARCHITECTURE),
        distro=fields["distro"].text(ARCHIVE),
        request=tuple(item.text(names.PACKAGE) for item in fields["request"].list()),
        archives=tuple(_archive(item) for item in fields["archives"].list()),
        packages=tuple(_package(item) for item in fields["packages"].list()),
        family=fields["family"].choice("deb"),
        base=fields["base"].choice("full", "minimal"),
        foreign=tuple(item.text(names.ARCHITECTURE) for item in fields["foreign"].list()),
        boot=tuple(_package(item) for item in fields["boot"].list()),
        asserted=_asserted(fields["asserted"]) if "asserted" in fields else None,
    )
    _check(environment, fields)
    return environment


def read_images(value: Value) -> dict[str, dict[str, str]]:
    """Read ``images``: label, recipe number, sha256 of the image's tar."""
    images: dict[str, dict[str, str]] = {}
    for label, recipes in value.members().items():
        if reason := LABEL.refusal(label):
            recipes.refuse(reason, LABEL.expected)
        images[label] = {}
        for recipe, digest in recipes.members().items():
            if reason := RECIPE.refusal(recipe):
                digest.refuse(reason, RECIPE.expected)
            images[label][recipe] = digest.text(SHA256)
    return images


def _asserted(value: Value) -> Asserted:
    fields = value.object("date", "sha256")
    return Asserted(sha256=fields["sha256"].text(SHA256), date=fields["date"].integer())


def _archive(value: Value) -> Archive:
    fields = value.object("components", "date", "name", "sha256", "signed_by", "suite")
    signers = tuple(item.text(FINGERPRINT) for item in fields["signed_by"].list())
    if not signers:
        fields["signed_by"].refuse("nobody signed it", "the fingerprint of a good signature's key")
    return Archive(
        name=fields["name"].text(ARCHIVE),
        suite=fields["suite"].text(names.DISTRIBUTION),
        sha256=fields["sha256"].text(SHA256),
        date=fields["date"].integer(),
        signed_by=signers,
        components=tuple(item.text(names.COMPONENT) for item in fields["components"].list()),
    )


def _package(value: Value) -> Package:
    fields = value.object(*_PACKAGE_KEYS, optional=("essential",))
    return Package(
        name=fields["name"].text(NAME),
        arch=fields["arch"].text(names.ARCHITECTURE),
        version=fields["version"].text(VERSION),
        sha256=fields["sha256"].text(SHA256),
        size=fields["size"].integer(),
        archive=fields["archive"].text(ARCHIVE),
        path=fields["path"].text(PATH),
        essential=fields["essential"].flag() if "essential" in fields else False,
    )


def _check(environment: Environment, fields: dict[str, Value]) -> None:
    """Record what no single value shows: doubles, and names that point nowhere."""
    archives = fields["archives"].list()
    if not archives and environment.asserted is None:
        fields["archives"].refuse("no archive", "the archives that vouch for the packages")
    keys = (f"{archive.name} {archive.suite}" for archive in environment.archives)
    distinct(zip(keys, archives, strict=True), "archive")
    known = {archive.name for archive in environment.archives} or {UNVOUCHED}
    arches = {environment.arch, "all", *environment.foreign}
    machine = {environment.boot_architecture or environment.arch, "all"}
    parts = (("packages", environment.packages, arches), ("boot", environment.boot, machine))
    for part, packages, allowed in parts:
        items = fields[part].list()
        keys = (f"{package.name}:{package.arch}" for package in packages)
        distinct(zip(keys, items, strict=True), "package")
        for package, item in zip(packages, items, strict=True):
            if package.archive not in known:
                item.refuse(f"its archive {names.shown(package.archive)} is not in archives")
            if package.arch not in allowed:
                item.refuse(f"architecture {names.shown(package.arch)} is neither own nor foreign")
