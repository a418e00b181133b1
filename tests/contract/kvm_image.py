"""The contract's small image with what a virtual machine of it boots from."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.conftest import DESCRIPTORS, RELEASES_ONLY, Commands

from gbuild.host.store import Store
from gbuild.image import lockfiles, provide
from gbuild.model.event import discard
from gbuild.target.contract import small_image

if TYPE_CHECKING:
    from tests.conftest import Common

    from gbuild.model.image import Image


def bootable(common: Common, store: Store) -> Image:
    """Put image, kernel and busybox into the store."""
    shared = Store(Path(os.environ.get("GBUILD_TEST_STORE", common.root / "store")))
    commands = Commands(shared.root, common.once("home", lambda _: None))

    def lock(folder: Path) -> None:
        (folder / "hello.yml").write_bytes((DESCRIPTORS / "hello.yml").read_bytes())
        commands.run("glock", "--boot", "hello.yml", *RELEASES_ONLY, cwd=folder)

    locked = common.once("hello", lock)  # as tests.e2e does
    environment = lockfiles.read_lock_file(locked / "hello.lock").environments[0]
    provide.download_boot(environment, store=shared, sink=discard, os_environment=os.environ)
    for package in environment.boot:
        store.add(shared.verified(package.sha256).read_bytes())
    image = small_image(store)
    own = replace(image.environment, archives=environment.archives, boot=environment.boot)
    return replace(image, environment=own)
