"""What a document says of its build beside the artefacts: explanation, never a reason to fail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from gbuild.formats.manifest import MalformedManifest, read_in_manifest
from gbuild.model.manifest import Report


def inputs(report: Report) -> Mapping[str, str]:
    """Return what was built from: sha256 or ``git:<commit>`` by file or folder.

    An in_manifest that cannot be read explains nothing; it is no fault of what was built.
    """
    try:
        return {entry.path: entry.digest for entry in read_in_manifest(report.in_manifest)}
    except MalformedManifest:
        return {}


def record(report: Report) -> str | None:
    """Return a digest over everything that a copied document has in common with its original.

    None when the document names no packages: sums alone are the same for everybody who agrees.
    """
    if not any(report.base_manifests.values()):
        return None
    said = hashlib.blake2b(digest_size=32)  # half the time of sha256, of megabytes in a tree
    texts = [
        report.out_manifest,
        report.in_manifest,
        report.cache_common_manifest,
        report.cache_package_manifest,
        *(part for pair in sorted(report.base_manifests.items()) for part in pair),
    ]
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        said.update(len(data).to_bytes(8, "big"))
        said.update(data)
    return said.hexdigest()
