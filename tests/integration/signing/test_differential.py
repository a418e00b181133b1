"""Our readers beside those of others: what both take, both understand alike."""

from __future__ import annotations

import hashlib
import json
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbuild.errors import GbuildError
from gbuild.formats.artifacts import artifacts
from gbuild.formats.gpgstatus import speaks_for_all
from gbuild.formats.manifest import MalformedManifest
from gbuild.formats.report import read_report
from gbuild.formats.sums import read_sums
from gbuild.host.keyring import Keyring
from gbuild.model.verdict import Status
from gbuild.verify.checker import Checker

from .forge import BEGAN, YEAR, Forger, subpacket

ODD = Path(__file__).with_name("odd.rb")
EMPTY = hashlib.sha256(b"").hexdigest()
BRIEFLY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = st.lists(
    st.text("ab \\\n\r\t*()=#-é\u2028'", min_size=1, max_size=5).filter(
        lambda name: not name.startswith("-")
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


def sha256sum(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sha256sum", *words],
        cwd=folder,
        input=stdin,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
    )


@BRIEFLY
@given(NAMES, st.sampled_from([(), ("--binary",), ("--tag",)]))
def test_what_sha256sum_writes_is_read_or_refused(
    tmp_path: Path, names: list[str], words: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    written = sha256sum(tmp_path, *words, "--", *names).stdout
    plain = all(name.isprintable() or name.isascii() for name in names)
    special = any(c in name for name in names for c in "\\\n\r\t")
    try:
        found = {entry.path: entry.digest for entry in read_sums(written)}
    except MalformedManifest:
        assert special or not plain
        return
    assert found == dict.fromkeys(names, EMPTY)


LINES = st.text("ab *()=#\\\r\n\t", max_size=6)
FORMS = ("{0}  {1}", "{0} *{1}", "{0} {1}", "SHA256 ({1}) = {0}", "\\{0}  {1}", " {0}  {1}", "{1}")


@BRIEFLY
@given(st.lists(st.tuples(st.sampled_from(FORMS), LINES), min_size=1, max_size=3))
def test_what_is_read_sha256sum_reads_alike(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    """Every file that we list is there for sha256sum, and it checks no others."""
    written = "".join(form.format(EMPTY, name) + "\n" for form, name in lines).encode()
    try:
        listed = artifacts(read_sums(written))
    except GbuildError:
        return
    for path in listed:
        (tmp_path / path).write_bytes(b"")
    done = sha256sum(tmp_path, "--check", "--strict", "-", stdin=written.replace(b"\r\n", b"\n"))
    assert done.returncode == 0, done.stderr
    checked = [line.removesuffix(b": OK") for line in done.stdout.split(b"\n") if line]
    assert sorted(checked) == sorted(path.encode() for path in listed)


MANIFEST = f"{EMPTY}  a"
STYLES = (
    "{0}",
    "'{0}'",
    '"{0}"',
    "! '{0}'",
    "!str '{0}'",
    "!!str '{0}'",
    "|\n    {0}\n",
    "|-\n    {0}\n",
    "|+\n    {0}\n\n",
    ">\n    {0}\n\n    {0}\n",
    ">-\n    {0}\n    more\n",
    "|2\n      {0}\n",
    "'{0}\n\n    {0}'",
    '"{0}\\n\\\n    {0}"',
    "'it''s {0}'",
    '"\\x41\\u00e9 {0}"',
    "&a {0}",
    "",
    "~",
    "!!null ''",
    "'{0} '",
    "|\n    {0}\n  # c\n",
)
HEADS = (
    "--- !!omap\n",
    "--- !omap\n",
    "---\n",
    "",
    "--- !!omap # c\n",
    "%YAML 1.1\n--- !omap\n",
)
WORDS = (
    "1.0",
    "1e3",
    "010",
    "yes",
    "null",
    "2024-05-01",
    "v1.0-linux",
    "'1.0'",
    '"1.0"',
    "! '1.0'",
)


def documents() -> list[str]:
    styled = [
        f"{head}- out_manifest: {style.format(MANIFEST)}\n- release: v1.0\n"
        for head, style in product(HEADS, STYLES)
    ]
    worded = [f"--- !omap\n- out_manifest: x\n- release: {word}\n" for word in WORDS]
    maps = [f"out_manifest: {style.format(MANIFEST)}\nrelease: x\n" for style in STYLES]
    odd = [
        "--- !omap\n- out_manifest: a\n  release: b\n- name: c\n",
        "--- !omap\r\n- out_manifest: a\r\n- release: b\r\n",
        "- {out_manifest: a, release: b}\n",
        "--- !omap\n- ? out_manifest\n  : a\n- release: b\n",
        "--- !omap\n- out_manifest: a\n...\n--- !omap\n- out_manifest: b\n",
        "--- !omap\n- out_manifest: a\n- out_manifest: b\n",
        "--- !omap\n- out_manifest: a\t\n- release: b # c\n",
        "--- !omap\n- 'out_manifest': a#b\n- release: \"b\\/\"\n",
        "--- !omap\n- out_manifest: a\n- <<: {release: b}\n",
        "\ufeff--- !omap\n- out_manifest: a\n",
    ]
    return [*styled, *worded, *maps, *odd]


def test_ruby_reads_odd_documents_alike() -> None:
    """Values that Ruby takes for text are the same text to us, whatever we refuse besides."""
    written = documents()
    done = subprocess.run(
        ["ruby", ODD], input=json.dumps(written).encode(), capture_output=True, check=True
    )
    both = 0
    for document, ruby in zip(written, json.loads(done.stdout), strict=True):
        try:
            ours = read_report(document.encode())
        except GbuildError:
            continue
        if ruby is None:
            continue
        both += 1
        for key in ("out_manifest", "release", "name"):
            if ruby.get(key) is not None:
                assert getattr(ours, key) == ruby[key], document
    assert both > len(written) // 2


@pytest.mark.parametrize(
    ("who", "words", "status"),
    [
        ("good", "GOODSIG", Status.GOOD),
        ("bad", "BADSIG", Status.BAD),
        ("expired", "EXPKEYSIG", Status.EXPIRED_KEY),
        ("revoked", "REVKEYSIG", Status.REVOKED_KEY),
        ("unknown", "NO_PUBKEY", Status.UNKNOWN_KEY),
        ("ended", "EXPSIG", Status.EXPIRED_SIGNATURE),
        ("future", "GOODSIG", Status.GOOD),
        ("early", "ERRSIG", Status.UNREADABLE),
    ],
)
def test_gpg_by_hand_says_the_same(tmp_path: Path, who: str, words: str, status: Status) -> None:
    """Once gpg as anybody would call it, in a home of its own, and once ours."""
    lasts = YEAR if who == "expired" else None
    revoked = BEGAN + 9 if who == "revoked" else None
    signer = Forger()
    certificate = signer.certificate(b"S <s@x>", lasts=lasts, revoked=revoked)
    dates = {"future": BEGAN + 60 * YEAR, "early": BEGAN - 5}
    ended = [subpacket(3, (9).to_bytes(4, "big"))] if who == "ended" else []
    signature = signer.signature(
        b"other" if who == "bad" else b"document", created=dates.get(who), hashed=ended
    )
    known = Forger().certificate(b"K <k@x>") if who == "unknown" else certificate
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name, data in (("key", known), ("sig", signature), ("doc", b"document")):
        (tmp_path / name).write_bytes(data)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--no-autostart")
    imported = subprocess.run(
        [*gpg, "--import", tmp_path / "key"], capture_output=True, check=False
    )
    assert imported.returncode == 0
    said = subprocess.run(
        [*gpg, "--status-fd=1", "--verify", tmp_path / "sig", tmp_path / "doc"],
        capture_output=True,
        check=False,
    ).stdout.decode()
    assert f"[GNUPG:] {words} " in said
    with Keyring() as keyring:
        assert keyring.add([known]) == ()
        checker = Checker.of(keyring)
        with checker.batches() as queue:
            ours = speaks_for_all(queue.add(signature, b"document").signatures())
        assert ours.status is status
        assert checker(signature, b"document") == ours
