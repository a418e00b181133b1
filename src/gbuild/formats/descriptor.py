"""The descriptor's schema: located YAML to :class:`~gbuild.model.descriptor.Descriptor`.

Every key of Gitian's descriptors is read with Gitian's meaning; ours are ``network``, ``base``,
``source_date_epoch``, ``normalise``, entries of ``files`` that are mappings, and ``components``,
``key`` and ``key_file`` of a repository. docs/reference/descriptor.md is the manual.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePath
from typing import cast

from gbuild.formats import located_yaml
from gbuild.formats.fields import Fields, Findings, checked, distinct
from gbuild.formats.problems import InvalidText, Problem, nearest, refuse
from gbuild.formats.repositories import read_repository
from gbuild.formats.urls import file_url_refusal
from gbuild.model import names
from gbuild.model.descriptor import (
    Alternative,
    Base,
    Descriptor,
    InputFile,
    Network,
    Remote,
    Repository,
    machine_architecture,
)

KEYS = (
    "name",
    "distro",
    "suites",
    "architectures",
    "packages",
    "remotes",
    "files",
    "script",
    "reference_datetime",
    "enable_cache",
    "multiarch",
    "repositories",
    "alternatives",
    "sudo",
    "optionals",
    "docker_image_digests",
    "network",
    "base",
    "source_date_epoch",
    "normalise",
)
"""Every key of a descriptor, in the order of the manual; the last four are ours."""

BOUNDS = located_yaml.Bounds(size=1 << 20, nodes=10_000, depth=8)
"""The largest real descriptor is far below 100 kB."""

DISTROS = ("ubuntu", "debian")
ARCHITECTURES = (*names.ARCHITECTURES, "linux64")

_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_DIGEST = re.compile(r"(?:[A-Za-z0-9._/-]+@)?(?:sha256:)?[0-9a-f]{64}", re.ASCII)
_ALTERNATIVE = names.Grammar(
    "alternative's name",
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII),
    "a name such as cc or x86_64-w64-mingw32-gcc",
)
_ALTERNATIVE_PATH = names.Grammar(
    "path of an alternative",
    re.compile(r"(?!.*/\.\.?(?:/|\Z))(?:/[A-Za-z0-9_.+@-]+)+", re.ASCII),
    "an absolute path such as /usr/bin/gcc-12",
    512,
)
_OPTIONAL = names.Grammar(
    "optional's name",
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+~@-]*", re.ASCII),
    "a word of A-Z a-z 0-9 _ . / + ~ @ -",
)


def parse_descriptor(data: bytes, *, path: str) -> Descriptor:
    """Read a descriptor; ``path`` names it in errors and gives its stem.

    Raises:
        DescriptorInvalid: with every problem of the file, each with its place.
    """
    findings = Findings()
    try:
        node = located_yaml.parse(data, bounds=BOUNDS)
    except InvalidText as error:
        raise refuse(path, data, _with_encoding_hint(data, error.problems)) from None
    if not isinstance(node, located_yaml.Mapping):
        line, column = (node.place.line, node.place.column) if node else (1, 1)
        problem = Problem("not a descriptor", line, column, "keys such as name: and script:")
        raise refuse(path, data, (problem,))
    descriptor = _descriptor(node, data, path, findings)
    if findings.problems:
        problems = _with_encoding_hint(data, tuple(findings.problems))
        raise refuse(path, data, problems, warnings=findings.warnings)
    return descriptor


def _with_encoding_hint(data: bytes, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    if b"+ACI-" not in data and b"+AC0-" not in data:
        return problems
    return (*problems, Problem("the text looks like UTF-7", 1, 1, "UTF-8"))


def _descriptor(
    node: located_yaml.Mapping, data: bytes, path: str, findings: Findings
) -> Descriptor:
    fields = Fields(node, KEYS, findings, "the descriptor")
    suites = fields.names("suites", names.SUITE)
    network = cast("Network | None", fields.choice("network", ("none", "full")))
    epoch = fields.flag("source_date_epoch")
    remotes, files = _inputs(fields)
    return Descriptor(
        source=data,
        stem=PurePath(path).stem,
        name=_name(fields),
        distro=fields.choice("distro", DISTROS) or "ubuntu",
        suites=_suites(fields, suites),
        architectures=_architectures(fields),
        packages=_packages(fields),
        remotes=remotes,
        files=files,
        script=_script(fields),
        reference_datetime=_reference_datetime(fields),
        enable_cache=fields.flag("enable_cache") or False,
        multiarch=_multiarch(fields),
        repositories=_repositories(fields),
        alternatives=_alternatives(fields),
        sudo=fields.flag("sudo") or False,
        optionals=_values(fields.names("optionals", _OPTIONAL)),
        docker_image_digests=_digests(fields, len(suites)),
        network=network,
        base=cast("Base", fields.choice("base", ("full", "minimal")) or "full"),
        source_date_epoch=network is not None if epoch is None else epoch,
        normalise=fields.flag("normalise") or False,
        warnings=_warnings(findings, path),
    )


def _warnings(findings: Findings, path: str) -> tuple[str, ...]:
    ordered = sorted(findings.warnings, key=lambda w: (w.line, w.column))
    return tuple(f"{path}:{w.line}:{w.column}: {w.reason}" for w in ordered)


def _values(nodes: tuple[located_yaml.Text, ...]) -> tuple[str, ...]:
    return tuple(node.value for node in nodes)


def _name(fields: Fields) -> str:
    name = fields.required_name("name", names.BUILD)
    if name.casefold() == "common":
        reason = "common is the name of the cache that all builds share"
        fields.findings.refuse(fields.node_of("name") or fields.node, reason, "another name")
    return name


def _needs(fields: Fields, key: str, expected: str) -> None:
    node = fields.node_of(key)
    if node is None or (isinstance(node, located_yaml.Sequence) and not node.items):
        place = fields.node.get(key) or fields.node
        fields.findings.refuse(place, f"the descriptor has no {key}", expected)


def _suites(fields: Fields, suites: tuple[located_yaml.Text, ...]) -> tuple[str, ...]:
    _needs(fields, "suites", "suites: a list such as - bookworm")
    distinct(((node.value, node) for node in suites), "suite", fields.findings)
    return _values(suites)


def _architectures(fields: Fields) -> tuple[str, ...]:
    _needs(fields, "architectures", "architectures: a list such as - amd64")
    nodes = fields.names("architectures", names.ARCHITECTURE)
    _known_architectures(nodes, ARCHITECTURES, fields.findings)
    pairs = ((node.value, node) for node in nodes)
    distinct(pairs, "architecture", fields.findings, same=machine_architecture)
    return _values(nodes)


def _multiarch(fields: Fields) -> tuple[str, ...]:
    nodes = fields.names("multiarch", names.ARCHITECTURE)
    _known_architectures(nodes, names.ARCHITECTURES, fields.findings)
    distinct(((node.value, node) for node in nodes), "architecture", fields.findings)
    return _values(nodes)


def _known_architectures(
    nodes: tuple[located_yaml.Text, ...], known: tuple[str, ...], findings: Findings
) -> None:
    for node in nodes:
        if node.value not in known:
            reason = f"unknown architecture {node.value}{nearest(node.value, known)}"
            findings.refuse(node, reason, f"one of {', '.join(known)}")


def _packages(fields: Fields) -> tuple[str, ...]:
    """Return the packages, each once: apt does not mind the second mention, neither do we."""
    return tuple(dict.fromkeys(_values(fields.names("packages", names.PACKAGE))))


def _script(fields: Fields) -> str:
    node = fields.required("script", expected="| and the lines of a bash script below it")
    if node is not None and not node.value.strip():
        fields.findings.refuse(node, "the script is empty", "the lines of a bash script")
    return node.value if node else ""


def _reference_datetime(fields: Fields) -> str | None:
    expected = 'a time in UTC such as "2024-05-01 00:00:00"'
    node = fields.text("reference_datetime", expected=expected)
    if node is None:
        if not fields.items("remotes"):
            reason = "the descriptor has neither remotes nor a reference_datetime"
            wanted = f"reference_datetime: {expected}"
            fields.findings.refuse(fields.node, reason, wanted)
        return None
    if not _is_time(node.value):
        fields.findings.refuse(node, f"not a time: {names.shown(node.value)}", expected)
    return node.value


def _is_time(text: str) -> bool:
    if not _DATETIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _inputs(fields: Fields) -> tuple[tuple[Remote, ...], tuple[InputFile, ...]]:
    """Read remotes and files: together, because both lie side by side in ~/build."""
    remotes = [(_remote(node, fields.findings), node) for node in _remote_nodes(fields)]
    wanted = "a file's name, or a mapping of name, urls, sha256 and hint"
    items = fields.items("files", expected=f"a list, each item {wanted}")
    files = [(_file(node, fields.findings, wanted), node) for node in items]
    taken = [(remote.dir, _named(node, "dir")) for remote, node in remotes]
    taken += [(file.name, _named(node, "name")) for file, node in files]
    distinct((pair for pair in taken if pair[0]), "the input", fields.findings)
    return tuple(remote for remote, _ in remotes), tuple(file for file, _ in files)


def _named(node: located_yaml.Node, key: str) -> located_yaml.Node:
    """Return the node that holds an item's name: the item itself when it is only a name."""
    return node.get(key) or node if isinstance(node, located_yaml.Mapping) else node


def _remote_nodes(fields: Fields) -> tuple[located_yaml.Mapping, ...]:
    return fields.mappings("remotes", "mappings of url, dir and perhaps commit")


def _remote(node: located_yaml.Mapping, findings: Findings) -> Remote:
    fields = Fields(node, ("url", "dir", "commit"), findings, "a remote")
    url = fields.required("url", expected=names.REMOTE_EXPECTED)
    if url is not None and (reason := names.remote_refusal(url.value)):
        findings.refuse(url, reason, names.REMOTE_EXPECTED)
    return Remote(
        url=url.value if url else "",
        dir=fields.required_name("dir", names.DIRECTORY),
        commit=fields.name("commit", names.REVISION),
    )


def _file(node: located_yaml.Node, findings: Findings, expected: str) -> InputFile:
    if isinstance(node, located_yaml.Mapping):
        return _described_file(node, findings)
    if isinstance(node, located_yaml.Text) and not node.is_null:
        return InputFile(name=checked(node, names.FILE, findings) or "")
    findings.refuse(node, "an item of files is neither a name nor a mapping", expected)
    return InputFile(name="")


def _described_file(node: located_yaml.Mapping, findings: Findings) -> InputFile:
    fields = Fields(node, ("name", "urls", "sha256", "hint"), findings, "a file")
    urls = fields.texts("urls", expected="https://host/path or mirror:pool/...")
    for url in urls:
        if reason := file_url_refusal(url.value):
            findings.refuse(url, reason, "https://host/path, http://host/path or mirror:pool/...")
    sha256 = fields.text("sha256", expected="64 hex digits")
    if sha256 is not None and not _SHA256.fullmatch(sha256.value):
        findings.refuse(sha256, "not a sha256", "64 hex digits")
    if urls and sha256 is None:
        findings.refuse(node, "a file with urls has no sha256", "sha256: 64 hex digits")
    hint = fields.text("hint")
    return InputFile(
        name=fields.required_name("name", names.FILE),
        urls=_values(urls),
        sha256=sha256.value.lower() if sha256 else None,
        hint=hint.value if hint else None,
    )


def _repositories(fields: Fields) -> tuple[Repository, ...]:
    nodes = fields.mappings("repositories", "mappings of distribution, source and packages")
    return tuple(read_repository(node, fields.findings) for node in nodes)


def _alternatives(fields: Fields) -> tuple[Alternative, ...]:
    nodes = fields.mappings("alternatives", "mappings of package and path")
    return tuple(_alternative(node, fields.findings) for node in nodes)


def _alternative(node: located_yaml.Mapping, findings: Findings) -> Alternative:
    fields = Fields(node, ("package", "path"), findings, "an alternative")
    return Alternative(
        package=fields.required_name("package", _ALTERNATIVE),
        path=fields.required_name("path", _ALTERNATIVE_PATH),
    )


def _digests(fields: Fields, suites: int) -> tuple[str, ...]:
    nodes = fields.texts("docker_image_digests", expected="sha256:<64 hex digits>")
    for node in nodes:
        if not _DIGEST.fullmatch(node.value):
            fields.findings.refuse(node, "not an image digest", "sha256:<64 hex digits>")
    if nodes and len(nodes) != suites:
        reason = f"{len(nodes)} docker_image_digests for {suites} suites"
        fields.findings.refuse(nodes[0], reason, "one digest for each suite, in the same order")
    elif nodes:
        reason = "docker_image_digests is not used by default: the lock pins the packages"
        fields.findings.warn(nodes[0], reason)
    return _values(nodes)
