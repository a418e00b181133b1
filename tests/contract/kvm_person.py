"""One machine of an ordinary user, on a daemon that libvirt starts for them: ``STORE IMAGE``."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

from gbuild.backends.kvm import KvmBackend
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.target.backend import TargetSpec
from gbuild.target.shell import Target

_READY = 600


def main() -> None:
    """Start it, run a command, end it; say in JSON what was seen."""
    store, image = Store(Path(sys.argv[1])), pickle.loads(Path(sys.argv[2]).read_bytes())  # noqa: S301
    options = {"saved-state": "no", "memory": "512"}
    backend = KvmBackend(store=store, environment=os.environ, sink=discard, options=options)
    spec = TargetSpec(name="session", image=image, user="builder", network=True)
    with backend.start(spec) as machine, Target(machine, ready=_READY) as target:
        said = target.run(["id", "-un"], user="builder").stdout.decode()
        facts = dict(machine.facts)
    left = [one.name for one in backend.targets()]
    json.dump({"said": said, "facts": facts, "left": left}, sys.stdout)


if __name__ == "__main__":
    main()
