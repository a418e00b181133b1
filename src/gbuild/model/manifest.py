"""The result of a build as Gitian writes it: manifests and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LARGEST = 32 << 20
"""Bytes of a report or an assertion, to sign or to verify; the largest real one has 0.4 MB."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One line of a manifest: ``<digest>  <path>`` (digest is sha256 hex or ``git:<commit>``)."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``result/<name>-res.yml``, and with ``release`` and ``type`` set, an assertion.

    The manifests are kept as Gitian's text (one entry a line, newline at the end, or empty).
    ``base_manifests`` maps ``<suite>-<arch>`` to text, in plan order.
    """

    out_manifest: str
    in_manifest: str
    base_manifests: Mapping[str, str]
    cache_common_manifest: str = ""
    cache_package_manifest: str = ""
    release: str | None = None
    name: str | None = None
    type: str | None = None
    optionals: tuple[str, ...] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
