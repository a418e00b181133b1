"""Images on the server: imported once, known by fingerprint, marked with their stores."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from gbuild.backends.lxd.daemon import Daemon, NotThere
from gbuild.backends.lxd.inside import FOLDERS_LEFT_OUT
from gbuild.errors import BackendFailure
from gbuild.host.files import write_atomically
from gbuild.host.store import Store
from gbuild.image import unified
from gbuild.image.unified import Unified
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target.backend import Prepared

_MARK = "gbuild.store."
_KEY = "gbuild.key"


def store_id(store: Store) -> str:
    """Return the id that labels carry: chosen by chance when the store first needs one."""
    path = store.root / "run" / "lxd" / "store-id"
    with store.lock("lxd-store-id"):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(path, uuid.uuid4().hex.encode())
        return path.read_text().strip()


def shape(image: Image, store: Store) -> Unified:
    """Return what the image is as a unified tar."""
    store.present(image.sha256)
    return unified.describe(image, store, without=FOLDERS_LEFT_OUT)


def ensure(daemon: Daemon, image: Image, store: Store, sink: Sink) -> Unified:
    """Import the image unless the server has it; mark it as used by this store.

    Raises:
        BackendFailure: the server refused it.
    """
    with store.lock(f"lxd-{image.key}"):
        wanted = shape(image, store)
        doing = f"import the image of {image.environment.label}"
        found = _found(daemon, wanted, doing)
        if found is None:
            sink(Event("step", f"importing the image of {image.environment.label}"))
            _upload(daemon, image, wanted, doing)
            found = daemon.get("images", wanted.fingerprint, doing=doing)
        _mark(daemon, found, store_id(store))
        return wanted


def _found(daemon: Daemon, wanted: Unified, doing: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = daemon.get("images", wanted.fingerprint, doing=doing)
    except NotThere:
        return None
    return found


def _upload(daemon: Daemon, image: Image, wanted: Unified, doing: str) -> None:
    flavour = "Incus" if daemon.flavour == "incus" else "LXD"
    left = daemon.ask(
        "post",
        ("images",),
        doing=doing,
        data=unified.pieces(image),
        headers={
            f"X-{flavour}-fingerprint": wanted.fingerprint,
            "Content-Type": "application/octet-stream",
        },
    )
    got = left.get("fingerprint", "")
    if got != wanted.fingerprint:
        raise BackendFailure(
            f"{daemon.label} took another image than was sent",
            details=(f"sent {wanted.fingerprint}", f"took {got}"),
        )


def _mark(daemon: Daemon, found: dict[str, Any], store: str) -> None:
    properties = dict(found.get("properties") or {})
    if _MARK + store not in properties:
        _properties(daemon, found, {**properties, _MARK + store: "1"})


def _properties(daemon: Daemon, found: dict[str, Any], properties: dict[str, str]) -> None:
    body = {name: found.get(name) for name in ("auto_update", "public", "expires_at", "profiles")}
    path = ("images", str(found["fingerprint"]))
    daemon.ask("put", path, doing="label an image", json={**body, "properties": properties})


def ours(daemon: Daemon, store: str) -> tuple[dict[str, Any], ...]:
    """Return the images that carry this store's mark."""
    every = daemon.get("images", recursion=1, doing="list images")
    return tuple(one for one in every if _MARK + store in (one.get("properties") or {}))


def listed(daemon: Daemon, store: str) -> tuple[Prepared, ...]:
    """Return them as a person may know them."""
    return tuple(
        Prepared(
            key=one["properties"].get(_KEY, ""),
            label=f"{one['properties'].get('release')}-{_debian(one.get('architecture', ''))}",
            place=f"{daemon.label} {one['fingerprint'][:12]}",
            used=max(_epoch(one.get("last_used_at")), _epoch(one.get("uploaded_at"))),
        )
        for one in ours(daemon, store)
    )


def discard(daemon: Daemon, key: str, store: str) -> bool:
    """Take this store's mark from an image, and remove it when no mark is left."""
    found = [one for one in ours(daemon, store) if one["properties"].get(_KEY) == key]
    for one in found:
        left = {k: v for k, v in one["properties"].items() if k != _MARK + store}
        if any(name.startswith(_MARK) for name in left):
            _properties(daemon, one, left)
        else:
            daemon.ask("delete", ("images", one["fingerprint"]), doing="remove an image")
    return bool(found)


def _debian(architecture: str) -> str:
    names = {kernel: debian for debian, kernel in unified.ARCHITECTURES.items()}
    return names.get(architecture, architecture)


def _epoch(text: str | None) -> float:
    try:
        return max(0.0, datetime.fromisoformat(str(text)[:19] + "+00:00").timestamp())
    except ValueError:
        return 0.0
