"""What every image has besides the packages that its descriptor asks for."""

from __future__ import annotations

import hashlib
import json

RECIPE = 1
"""Number of the procedure that makes an image; a change of the bytes it gives raises it."""

_BASE = {
    "full": (
        "build-essential",
        "ca-certificates",
        "git",
        "locales",
        "lsb-release",
        "openssh-server",
        "sudo",
        "wget",
    ),
    "minimal": ("openssh-server",),
}

LOCALES = {"full": ("en_US.UTF-8",), "minimal": ()}
"""Locales generated in an image, by base."""


def base_packages(base: str) -> tuple[str, ...]:
    """Return the packages of a base (``full`` or ``minimal``), sorted."""
    return _BASE[base]


def image_key(environment_digest: str, *, base: str, date: int) -> str:
    """Name an image by what goes into it: 64 lower-case hex."""
    parts = {
        "base": list(base_packages(base)),
        "environment": environment_digest,
        "locales": list(LOCALES[base]),
        "recipe": RECIPE,
        "source_date_epoch": date,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
