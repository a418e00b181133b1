"""The lock file: canonical JSON, one package a line, meant to be committed and reviewed.

Canonical means: one spelling for one lock. Environments are sorted by label, archives by name
and suite, packages by name and architecture, the request by its words; keys stand in the order
of the manual, docs/reference/lock.md. The reader accepts any order and any white space, since
:func:`write_lock` restores the canonical form and the digests are computed from that; everything
else is strict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gbuild.formats import located_json
from gbuild.formats.lock_schema import read_environment, read_images
from gbuild.formats.problems import InvalidText, refuse
from gbuild.model.lock import FORMAT, Archive, Asserted, Environment, Lock, Package

LARGEST = 64 << 20
"""Bytes; a lock of four environments with 300 packages each has 0.3 MB."""

Json = str | int | bool | Sequence["Json"] | Mapping[str, "Json"]


def write_lock(lock: Lock) -> bytes:
    """Write the lock in its canonical form, with a newline at its end."""
    environments = sorted(lock.environments, key=lambda e: e.label)
    text = _object(
        {
            "format": str(lock.format),
            "environments": _list([_environment_text(e, 4) for e in environments], 2),
            "images": _images(lock.images),
        },
        0,
    )
    return f"{text}\n".encode()


def environment_digest(environment: Environment) -> str:
    """Return the sha256 (hex) of one environment's canonical form with an empty ``boot``.

    What a virtual machine boots from does not change the image.
    """
    bare = replace(environment, boot=())
    return hashlib.sha256(_environment_text(bare, 0).encode()).hexdigest()


def lock_digest(lock: Lock) -> str:
    """Return the sha256 (hex) of the lock without its images.

    The images are what a recipe made of the lock; a new recipe does not change what is locked.
    """
    bare = Lock(environments=lock.environments, format=lock.format)
    return hashlib.sha256(write_lock(bare)).hexdigest()


def read_lock(data: bytes, *, path: str) -> Lock:
    """Read a lock; ``path`` names it in errors.

    Raises:
        DescriptorInvalid: with every problem and its line.
    """
    try:
        return _lock(located_json.parse(data, limit=LARGEST))
    except InvalidText as error:
        raise refuse(path, data, error.problems) from None


def _lock(document: located_json.Document) -> Lock:
    number = document.root.required("format")
    if number.integer() != FORMAT:
        number.refuse(f"this is lock format {number.value}", f"format {FORMAT}")
        raise InvalidText(tuple(document.problems))
    top = document.root.object("format", "environments", "images")
    items = top["environments"].list()
    environments = [read_environment(item) for item in items]
    labels = (environment.label for environment in environments)
    located_json.distinct(zip(labels, items, strict=True), "environment")
    images = read_images(top["images"])
    if document.problems:
        raise InvalidText(tuple(document.problems))
    ordered = sorted(map(canonical, environments), key=lambda e: e.label)
    return Lock(environments=tuple(ordered), images=images)


def canonical(environment: Environment) -> Environment:
    """Return the environment with every list in canonical order."""
    archives = sorted(
        map(_canonical_archive, environment.archives), key=lambda a: (a.name, a.suite)
    )
    return replace(
        environment,
        request=tuple(sorted(set(environment.request))),
        archives=tuple(archives),
        packages=_sorted(environment.packages),
        foreign=tuple(sorted(set(environment.foreign))),
        boot=_sorted(environment.boot),
    )


def _canonical_archive(archive: Archive) -> Archive:
    return replace(
        archive,
        signed_by=tuple(sorted(set(archive.signed_by))),
        components=tuple(sorted(set(archive.components))),
    )


def _sorted(packages: Iterable[Package]) -> tuple[Package, ...]:
    return tuple(sorted(packages, key=lambda p: (p.name, p.arch)))


def _environment_text(environment: Environment, indent: int) -> str:
    e = canonical(environment)
    inner = indent + 2
    fields = {
        "suite": _compact(e.suite),
        "arch": _compact(e.arch),
        "distro": _compact(e.distro),
        "family": _compact(e.family),
        "base": _compact(e.base),
        "foreign": _compact(e.foreign),
        "request": _compact(e.request),
        **({"asserted": _compact(_asserted(e.asserted))} if e.asserted else {}),
        "archives": _list([_compact(_archive(a)) for a in e.archives], inner),
        "packages": _list([_compact(_package(p)) for p in e.packages], inner),
        "boot": _list([_compact(_package(p)) for p in e.boot], inner),
    }
    return _object(fields, indent)


def _asserted(asserted: Asserted) -> Json:
    return {"sha256": asserted.sha256, "date": asserted.date}


def _archive(archive: Archive) -> Json:
    return {
        "name": archive.name,
        "suite": archive.suite,
        "components": archive.components,
        "date": archive.date,
        "sha256": archive.sha256,
        "signed_by": archive.signed_by,
    }


def _package(package: Package) -> Json:
    fields: dict[str, Json] = {
        "name": package.name,
        "version": package.version,
        "arch": package.arch,
        "sha256": package.sha256,
        "size": package.size,
        "archive": package.archive,
        "path": package.path,
    }
    return {**fields, "essential": True} if package.essential else fields


def _images(images: Mapping[str, Mapping[str, str]]) -> str:
    rows = {
        label: _compact(dict(sorted(recipes.items()))) for label, recipes in sorted(images.items())
    }
    return _object(rows, 2)


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "))


def _object(fields: Mapping[str, str], indent: int) -> str:
    rows = [f"{_compact(key)}: {text}" for key, text in fields.items()]
    return _block("{", rows, "}", indent)


def _list(rows: list[str], indent: int) -> str:
    return _block("[", rows, "]", indent)


def _block(start: str, rows: list[str], end: str, indent: int) -> str:
    if not rows:
        return start + end
    margin = "\n" + " " * (indent + 2)
    return f"{start}{margin}{f',{margin}'.join(rows)}\n{' ' * indent}{end}"
