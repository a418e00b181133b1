"""The in-toto statement of a build, with the SLSA provenance predicate.

Sources: in-toto Attestation Framework, Statement v1; SLSA v1 build provenance
(``https://slsa.dev/provenance/v1``). The statement holds times and names of this run, so it is
not the same bytes on two machines: the report is, and is what signers sign.
docs/reference/statement.md tells every field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from gbuild.model.plan import Inputs, ResolvedRemote
from gbuild.model.provenance import Parameter, Provenance, ProvenImage, ProvenJob

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:gbuild:build-type:descriptor:1"
"""Names the meaning of our parameters; another meaning gets another number."""

BUILDER = "urn:gbuild:builder:"
"""Prefix of the builder's id; the backend's name follows."""

_SCP = re.compile(r"((?:[^@/:]+@)?[^@/:]+):(?!//)/?(.+)")

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def provenance(facts: Provenance) -> bytes:
    """Write the statement as canonical JSON: sorted keys, no white space, UTF-8, no newline."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": artifact.path, "digest": {"sha256": artifact.sha256}}
                for artifact in sorted(facts.artifacts, key=lambda a: a.path.encode())
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": _external(facts),
                    "internalParameters": _internal(facts),
                    "resolvedDependencies": list(_dependencies(facts)),
                },
                "runDetails": _run(facts),
            },
        }
    )


def canonical_json(value: Json) -> bytes:
    """Write JSON with one spelling for one value (RFC 8785 for text, integers and booleans)."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def _external(facts: Provenance) -> Json:
    return {
        "descriptor": {"name": facts.descriptor, "digest": {"sha256": facts.descriptor_sha256}},
        "name": facts.name,
        "options": {name: _parameter(name, value) for name, value in facts.options.items()},
    }


def _parameter(name: str, value: Parameter) -> Json:
    if value is None or isinstance(value, str | int):
        return value
    if not isinstance(value, Mapping):
        return list(value)
    if name == "url":
        return {key: git_uri(url) or "local folder" for key, url in value.items()}
    return dict(value)


def _internal(facts: Provenance) -> Json:
    return {
        "backend": facts.backend,
        "jobs": {job.label: _job(job) for job in facts.jobs},
    }


def _job(job: ProvenJob) -> Json:
    return {
        "facts": dict(job.facts),
        "network": "full" if job.network else "none",
        "reused": job.reused,
        "sudo": job.sudo,
    }


def _dependencies(facts: Provenance) -> Iterator[Json]:
    yield _resource(f"{facts.name}-desc.yml", facts.descriptor_sha256)
    yield from _inputs(facts.inputs)
    yield _resource("lock", facts.lock_digest)
    for image in facts.images:
        yield _image(image)


def _inputs(inputs: Inputs) -> Iterator[Json]:
    for file in inputs.files:
        yield _resource(f"inputs/{file.name}", file.sha256)
    for tool in inputs.tools:
        yield _resource(f"normalise/{tool.name}", tool.sha256)
    for remote in inputs.remotes:
        yield _remote(remote)
    for cache in inputs.caches:
        yield _resource(f"cache/{cache.folder}", cache.digest, {"content": "manifest before run"})


def _remote(remote: ResolvedRemote) -> Json:
    fields: dict[str, Json] = {
        "name": f"inputs/{remote.dir}",
        "digest": {"gitCommit": remote.commit},
        "annotations": {"treeSha256": remote.tree_sha256},
    }
    uri = git_uri(remote.url)
    return {**fields, "uri": uri} if uri else fields


def git_uri(url: str) -> str | None:
    """Turn a remote's address into a URI; None for a folder of this machine, which is private."""
    if url.startswith(("/", "file:")):
        return None
    if "://" in url:
        return url if url.startswith("git:") else f"git+{url}"
    scp = _SCP.fullmatch(url)
    return f"git+ssh://{scp[1]}/{scp[2]}" if scp else None


def _image(image: ProvenImage) -> Json:
    notes: dict[str, Json] = {
        "environmentSha256": image.environment_digest,
        "recipe": image.recipe,
    }
    return _resource(f"image/{image.label}", image.sha256, notes)


def _resource(name: str, sha256: str, annotations: Mapping[str, Json] | None = None) -> Json:
    fields: dict[str, Json] = {"name": name, "digest": {"sha256": sha256}}
    return {**fields, "annotations": annotations} if annotations else fields


def _run(facts: Provenance) -> Json:
    return {
        "builder": {"id": BUILDER + facts.backend, "version": {"gbuild": facts.version}},
        "metadata": {
            "invocationId": facts.invocation_id,
            "startedOn": _time(facts.started),
            "finishedOn": _time(facts.finished),
        },
        "byproducts": [_resource(f"{facts.name}-res.yml", facts.report_sha256)],
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
