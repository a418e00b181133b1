"""`gtarget exec` as a whole process, Python's start included."""

from __future__ import annotations

import os
from collections.abc import Iterator

from harness import Bench, Row, call, gbuild_command, timed
from parts import backend_of, image_of

from gbuild.target.backend import TargetSpec


def measure(bench: Bench) -> Iterator[Row]:
    """Run `true` in a detached target, again and again."""
    backend = backend_of(bench)
    name = f"bench-{os.getpid()}"
    backend.detach(TargetSpec(name=name, image=image_of(bench), user="builder"))
    try:
        argv = [*gbuild_command("gtarget"), "exec", "--store", str(bench.store), name, "true"]
        call(*argv)
        samples = [timed(lambda: call(*argv)) for _ in range(bench.times(20, 3))]
    finally:
        backend.attach(name).stop()
    yield Row(what="gtarget exec NAME true", unit="s", ours=samples, limit=0.5)
