"""The ``repositories`` of a descriptor: Gitian's source lines and our keys."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gbuild.formats.fields import Fields, Findings, checked
from gbuild.formats.located_yaml import Mapping, Text
from gbuild.formats.urls import archive_url_refusal
from gbuild.model import names
from gbuild.model.descriptor import Repository

KEYS = ("distribution", "source", "packages", "components", "key", "key_file", "name")

_SOURCE = "https://host/path, or Gitian's whole line: deb https://host/path suite main"
_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<url>\S+)\s+(?P<rest>\S.*)")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?")
_KEY = "the fingerprint of the signing key: 40 hex digits"


@dataclass(frozen=True, slots=True)
class _Source:
    url: str = ""
    suite: str | None = None
    components: tuple[str, ...] = ()


def read_repository(node: Mapping, findings: Findings) -> Repository:
    """Read one item of ``repositories``."""
    fields = Fields(node, KEYS, findings, "a repository")
    source = _source(fields.required("source", expected=_SOURCE), findings)
    own = tuple(component.value for component in fields.names("components", names.COMPONENT))
    distribution = fields.required_name("distribution", names.DISTRIBUTION)
    packages = tuple(package.value for package in fields.names("packages", names.PACKAGE))
    return Repository(
        distribution=distribution,
        source=source.url,
        packages=tuple(dict.fromkeys(packages)),
        components=own or source.components or ("main",),
        key=_key(fields.text("key", expected=_KEY), findings),
        key_file=fields.name("key_file", names.FILE),
        name=fields.name("name", names.FILE),
        line_suite=source.suite if source.suite != distribution else None,
    )


def _source(node: Text | None, findings: Findings) -> _Source:
    if node is None:
        return _Source()
    line = _LINE.fullmatch(node.value.strip())
    url = line["url"] if line else node.value.strip()
    if reason := archive_url_refusal(url):
        findings.refuse(node, reason, _SOURCE)
    if line is None:
        return _Source(url)
    if line["options"]:
        _options(line["options"], node, findings)
    suite, *components = line["rest"].split()
    if suite.endswith("/") or not components:
        reason = "an archive without suites and components (a flat one) cannot be locked"
        findings.refuse(node, reason, _SOURCE)
    words = [(suite, names.DISTRIBUTION), *((word, names.COMPONENT) for word in components)]
    for word, grammar in words:
        checked(Text(word, node.place), grammar, findings)
    return _Source(url, suite, tuple(components))


def _options(options: str, node: Text, findings: Findings) -> None:
    for option in options.split():
        name = option.partition("=")[0].lower()
        if name in {"trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"}:
            reason = f"the option {names.shown(option)} switches signatures off"
            findings.refuse(node, reason, "key: and key_file: of the repository")
        else:
            findings.warn(node, f"the option {names.shown(option)} of the source line is ignored")


def _key(node: Text | None, findings: Findings) -> str | None:
    if node is None:
        return None
    if re.match(r"https?://", node.value):
        reason = "a key behind an address is not used: nobody vouches for what is there"
        findings.warn(node, reason, f"{_KEY}, with key_file:")
        return None
    fingerprint = re.sub(r"\s", "", node.value).removeprefix("0x").upper()
    if _FINGERPRINT.fullmatch(fingerprint):
        return fingerprint
    findings.refuse(node, "not a fingerprint", _KEY)
    return None
