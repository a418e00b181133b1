"""Every reader of foreign bytes, as a function that a fuzzer calls with any bytes.

A reader may answer or refuse with an error of ours; anything else escapes and is a finding, and so
is an answer that contradicts itself.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from unittest.mock import patch

from gbuild.errors import GbuildError
from gbuild.formats import (
    authenticode,
    dsse,
    gitian_downloader,
    gpgstatus,
    macho,
    openpgp,
    report_quick,
)
from gbuild.formats import feed as rss
from gbuild.formats.artifacts import artifacts
from gbuild.formats.descriptor import parse_descriptor
from gbuild.formats.lockfile import read_lock, write_lock
from gbuild.formats.manifest import read_in_manifest, read_manifest
from gbuild.formats.openpgp_keys import read_keys
from gbuild.formats.policy import read_policy
from gbuild.formats.problems import InvalidText
from gbuild.formats.report import read_report, write_report
from gbuild.formats.signers import read_signers
from gbuild.formats.sums import read_sums
from gbuild.host import zipped
from gbuild.model.manifest import Report
from gbuild.verify import stated

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
LINK = re.compile("h.*")
KEYS = gpgstatus.read_keys(f"pub:u:255:22:K:1:::u:::sc::::::\nfpr:::::::::{FINGERPRINT}:\n")


def report(data: bytes) -> None:
    """Both readers of reports must agree wherever the quick one answers."""
    whole = _whole(data)
    try:
        found = read_report(data)
    except GbuildError:
        assert whole is None, "the quick reader refuses what the whole one reads"
        return
    assert found == whole, "the quick reader sees another report"
    if not _written_otherwise(found):
        assert read_report(write_report(found)) == found


def _whole(data: bytes) -> Report | None:
    with patch.object(report_quick, "read", return_value=None), suppress(GbuildError):
        return read_report(data)
    return None


def _written_otherwise(found: Report) -> bool:
    """Say whether a report holds what is written differently: half-absent last keys, oddities."""
    absent = (found.release, found.name, found.type)
    keys = (*found.extra, *found.base_manifests)
    return None in absent or found.optionals is not None or not all(keys)


def manifest(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in (read_manifest, read_in_manifest):
        with suppress(GbuildError):
            entries = read(text)
            assert all(entry.path for entry in entries)
            _listed(artifacts(entries))


def sums(data: bytes) -> None:
    entries = read_sums(data)
    assert entries
    assert len({entry.path for entry in entries}) == len(entries)
    _listed(artifacts(entries))
    stated.wrong_release("1.0", [entry.path for entry in entries])


def _listed(found: Mapping[str, str]) -> None:
    for path in found:
        assert path.isprintable()
        assert not path.startswith("/")
        assert ".." not in path.split("/")


def signature(data: bytes) -> None:
    openpgp.is_signed_message(data)
    packets = openpgp.detached_signature(data)
    assert packets[0] & 0x80
    each = openpgp.each_signature(packets)
    assert 0 < len(each) <= openpgp.MAX_SIGNATURES
    assert openpgp.each_signature(b"".join(each)) == each
    assert openpgp.detached_signature(openpgp.armor(packets)) == packets
    openpgp.is_batchable(packets)
    message = openpgp.signed_literal(packets, b"document")
    assert message.data == b"document"


def key(data: bytes) -> None:
    found = read_keys(data)
    assert found
    for each in found:
        (again,) = read_keys(each.packets)
        assert again.fingerprint == each.fingerprint
        assert again.packets == each.packets
        assert len(each.fingerprint) == 40
        assert all(isinstance(address, str) for address in each.addresses)


def status(data: bytes) -> None:
    lines = tuple(data.decode("utf-8", "replace").split("\n"))
    known = {each.fingerprint: each for each in KEYS}
    gpgstatus.speaks_for_all(gpgstatus.read_signatures(lines, known))
    gpgstatus.is_one_message(lines)
    for own in gpgstatus.by_file(lines).values():
        if own is not None and gpgstatus.is_settled(own):
            assert len(gpgstatus.read_signatures(own, known)) == 1


def listing(data: bytes) -> None:
    gpgstatus.read_keys(data.decode("utf-8", "replace"))


def policy(data: bytes) -> None:
    read_policy(data, path="x")


def signers(data: bytes) -> None:
    with suppress(InvalidText):
        found = read_signers(data)
        assert all(each.keys and each.folders for each in found)


def descriptor(data: bytes) -> None:
    parse_descriptor(data, path="x")


def lock(data: bytes) -> None:
    found = read_lock(data, path="x")
    assert read_lock(write_lock(found), path="x") == found


def envelope(data: bytes) -> None:
    dsse.read_envelope(data)


def program(data: bytes) -> None:
    for form in (authenticode, macho):
        if form.is_program(data):
            form.is_signed(data)
            with suppress(GbuildError):
                bare = form.unsigned_form(data)
                assert not form.is_signed(bare)
            with suppress(GbuildError):
                form.detach(data)


def download(data: bytes) -> None:
    found = gitian_downloader.read_config(data, path="x")
    assert all(len(each.fingerprint) == 40 for each in found.signers)
    with suppress(GbuildError):
        found.policy(None if found.minimum else 1)


def feed(data: bytes) -> None:
    match = rss.first_match(data, xpath="//item/link/text()", pattern=LINK)
    assert match is None or match.string == match.string.strip()


def package(data: bytes) -> None:
    with zipped.opened(io.BytesIO(data), what="x") as archive:
        for name in archive.names():
            assert name.isprintable()
            assert not name.startswith("/")
            assert ".." not in name.split("/")
            with suppress(GbuildError):
                assert len(archive.read(name, limit=1 << 16)) <= 1 << 16


READERS: Mapping[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        report, manifest, sums, signature, key, status, listing, policy, signers, descriptor, lock,
        envelope, program, download, feed, package,
    )
}  # fmt: skip


def read(name: str, data: bytes) -> None:
    """Call a reader; an error of ours is an answer."""
    refusal = None
    try:
        READERS[name](data)
    except GbuildError as error:
        refusal = error
    if refusal is not None:
        assert refusal.brief.isprintable(), "an error that a terminal would not show as it is"
        assert refusal.exit_code == 2
