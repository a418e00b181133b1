"""What a run leaves in ``result/``: Gitian's report, and a statement of how it was made.

The report depends on the descriptor, the inputs, the lock and the bytes of the artefacts, and
on nothing else: no clock, no host, no path (and, on a machine that a person made, on the packages
that it has). What else may matter (backend, limits, network, what was in the caches before) is in
the in-toto statement beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from gbuild.engine.collect import manifest_of
from gbuild.errors import UsageFailure
from gbuild.formats.manifest import base_manifest, write_in_manifest
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.lock import Lock
from gbuild.model.manifest import Report
from gbuild.model.outcome import Artifact
from gbuild.model.plan import Inputs


def make_report(
    descriptor: Descriptor,
    inputs: Inputs,
    lock: Lock,
    artifacts: Sequence[Artifact],
    *,
    common: str = "",
    package: str = "",
    bases: Mapping[str, str] | None = None,
) -> Report:
    """Compose the report.

    ``common`` and ``package`` are the caches' manifests after the run, ``bases`` the base manifests
    of jobs whose system a person made, by label: of all others it is the lock's.
    """
    return Report(
        out_manifest=manifest_of(artifacts),
        in_manifest=write_in_manifest(
            descriptor.name, hashlib.sha256(descriptor.source).hexdigest(), inputs
        ),
        base_manifests={**_base_manifests(descriptor, lock), **(bases or {})},
        cache_common_manifest=common,
        cache_package_manifest=package,
    )


def _base_manifests(descriptor: Descriptor, lock: Lock) -> dict[str, str]:
    texts = {}
    for suite, arch in descriptor.environments:
        environment = lock.environment(f"{suite}-{machine_architecture(arch)}")
        if environment is None:
            raise UsageFailure(f"the lock has no environment {suite}-{arch}")
        texts[f"{suite}-{arch}"] = base_manifest(environment)
    return texts
