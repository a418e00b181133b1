"""What the person asks for on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scratch = Literal["tmpfs", "disk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of one gbuild run; Gitian's under Gitian's names, ours after them.

    ``memory`` is in MiB, ``timeout`` in seconds, ``commits`` and ``urls`` map a remote's dir to
    a revision or an address.
    """

    num_procs: int = 2
    memory: int = 2000
    commits: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    skip_fetch: bool = False
    fetch_tags: bool = False
    fetch_branches: bool = False
    skip_cleanup: bool = False
    upgrade: bool = False
    cache_read_only: bool = False
    use_cache: bool = True
    allow_sudo: bool = False
    backend: str = "userns"
    parallel: int = 1
    offline: bool = False
    keep: bool = False
    resume: bool = False
    wait: bool = False
    timeout: float | None = None
    accept_drift: bool = False
    unproven_lock: bool = False
    scratch: Scratch = "tmpfs"
    disk: int | None = None
