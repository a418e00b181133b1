"""Two stages for files with code signatures, lists signed elsewhere, and in-toto attestations."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gbuild.formats import macho
from gbuild.formats.dsse import read_envelope, to_be_signed

from .people import Person, Ran, Workspace

PROGRAMS = Path(__file__).parents[2] / "golden" / "programs"
WINDOWS = (PROGRAMS / "windows-x86_64.exe").read_bytes()
SIGNED_BY_LINKER = (PROGRAMS / "macos-x86_64").read_bytes()
MACOS = macho.unsigned_form(SIGNED_BY_LINKER)
FOLDER = Path("hello/1.0/alice@example.org")


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    made = person()
    made.make("Alice <alice@example.org>")
    return made


@pytest.fixture
def built(workspace: Workspace) -> Workspace:
    workspace.build(
        {"setup-unsigned.exe": WINDOWS, "bin/app-unsigned": MACOS, "hello.tar.gz": b"one"}
    )
    return workspace


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sign the Windows program with osslsigncode, and take the signature off."""
    folder = tmp_path_factory.mktemp("vendor")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem"]
    words += ["-out", "cert.pem", "-subj", "/CN=Vendor", "-addext", "extendedKeyUsage=codeSigning"]
    (folder / "plain.exe").write_bytes(WINDOWS)
    sign = ["osslsigncode", "sign", "-certs", "cert.pem", "-key", "key.pem"]
    for argv in (
        words,
        [*sign, "-in", "plain.exe", "-out", "setup.exe"],
        ["osslsigncode", "extract-signature", "-pem", "-in", "setup.exe", "-out", "setup.pem"],
    ):
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def detached(vendor: Path, tmp_path: Path) -> Path:
    """What a vendor publishes: detached signatures under the names of the signed files."""
    folder = tmp_path / "detached"
    (folder / "bin").mkdir(parents=True)
    (folder / "setup.exe.pem").write_bytes((vendor / "setup.pem").read_bytes())
    signature = macho.detach(SIGNED_BY_LINKER)["x86_64"]
    (folder / "bin" / "app.x86_64sign").write_bytes(signature)
    return folder


def sums(data: dict[str, bytes]) -> bytes:
    lines = [f"{hashlib.sha256(data[path]).hexdigest()}  {path}\n" for path in sorted(data)]
    return "".join(lines).encode()


def sign(workspace: Workspace, person: Person, *words: str | Path) -> Ran:
    done = workspace.sign(person, "--signer", "alice@example.org", *words)
    assert done.code == 0, done.err
    return done


def test_what_a_vendor_signed_is_attested_by_everybody(
    built: Workspace, alice: Person, vendor: Path, detached: Path, tmp_path: Path
) -> None:
    sign(built, alice, "--stage", "noncodesigned")
    signed = tmp_path / "signed"
    sign(built, alice, "--stage", "all", "--code-signatures", detached, "--signed", signed)
    assert (signed / "setup.exe").read_bytes() == (vendor / "setup.exe").read_bytes()
    assert (signed / "bin" / "app").read_bytes() == SIGNED_BY_LINKER
    unsigned = {"setup-unsigned.exe": WINDOWS, "bin/app-unsigned": MACOS, "hello.tar.gz": b"one"}
    files = built.files()
    assert files[str(FOLDER / "noncodesigned.SHA256SUMS")] == sums(unsigned)
    everything = {
        **unsigned,
        "setup.exe": (vendor / "setup.exe").read_bytes(),
        "bin/app": SIGNED_BY_LINKER,
    }
    assert files[str(FOLDER / "all.SHA256SUMS")] == sums(everything)
    for stage in ("noncodesigned", "all"):
        manifest = built.sigs / FOLDER / f"{stage}.SHA256SUMS"
        alice.gpg("--verify", f"{manifest}.asc", manifest)


def test_lists_are_what_sha256sum_checks(built: Workspace, alice: Person) -> None:
    sign(built, alice, "--stage", "noncodesigned")
    manifest = built.sigs / FOLDER / "noncodesigned.SHA256SUMS"
    subprocess.run(
        ["sha256sum", "--strict", "-c", manifest],
        cwd=built.root / "build" / "out",
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: d[:-1500] + bytes([d[-1500] ^ 1]) + d[-1499:], "differs in more than its code"),
        (lambda _: WINDOWS, "carries no code signature"),
        (lambda _: b"PK\3\4", "no kind of file"),
        (lambda d: d + b"payload.", "does not lie at its end"),
    ],
)
def test_a_signed_file_that_is_not_what_was_built(
    built: Workspace,
    alice: Person,
    vendor: Path,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    words: str,
) -> None:
    sign(built, alice, "--stage", "noncodesigned")
    (tmp_path / "signed").mkdir()
    data = (vendor / "setup.exe").read_bytes()
    (tmp_path / "signed" / "setup.exe").write_bytes(damage(data))
    before = built.files()
    done = built.sign(
        alice, "-s", "alice@example.org", "--stage", "all", "--signed", tmp_path / "signed"
    )
    assert done.code == 1
    assert f"setup.exe: {words}" in done.err or words in done.err
    assert built.files() == before


def test_a_code_signature_for_other_bytes(
    built: Workspace, alice: Person, detached: Path, tmp_path: Path
) -> None:
    changed = bytearray(MACOS)
    changed[0x2000] ^= 1
    built.build({"setup-unsigned.exe": WINDOWS, "bin/app-unsigned": bytes(changed)})
    sign(built, alice, "--stage", "noncodesigned")
    words = ("--stage", "all", "--code-signatures", detached, "--signed", tmp_path / "signed")
    done = built.sign(alice, "-s", "alice@example.org", *words)
    assert (done.code, "bin/app: the code signature was made for other bytes" in done.err) == (
        1,
        True,
    )


def test_a_signed_file_that_nobody_built(built: Workspace, alice: Person, tmp_path: Path) -> None:
    sign(built, alice, "--stage", "noncodesigned")
    (tmp_path / "signed").mkdir()
    (tmp_path / "signed" / "other.exe").write_bytes(WINDOWS)
    words = ("--stage", "all", "--signed", tmp_path / "signed")
    done = built.sign(alice, "-s", "alice@example.org", *words)
    assert done.code == 2
    assert "other.exe: 0 built files have this name with -unsigned" in done.err


def test_a_list_made_elsewhere(built: Workspace, alice: Person, tmp_path: Path) -> None:
    made = tmp_path / "SHA256SUMS"
    made.write_bytes(sums({"b": b"2", "a": b"1"}).replace(b"  ", b" *"))
    (built.root / "result" / "hello-res.yml").unlink()
    sign(built, alice, "--attest-only", made)
    files = built.files()
    assert files[str(FOLDER / "noncodesigned.SHA256SUMS")] == sums({"a": b"1", "b": b"2"})
    made.write_bytes(sums({"a": b"1", "b": b"other", "c": b"3"}))
    words = ("--attest-only", made, "--stage", "all")
    done = built.sign(alice, "-s", "alice@example.org", *words)
    assert (
        done.code,
        "noncodesigned.SHA256SUMS of the same signer says something else" in done.err,
    ) == (1, True)
    made.write_bytes(sums({"a": b"1", "b": b"2", "c": b"3"}))
    sign(built, alice, "--attest-only", made, "--stage", "all")


@pytest.mark.parametrize(
    "text",
    [b"", b"hello\n", b"00  a\n", sums({"a": b""}) * 2, b"\xff" * 70, b"0" * 64 + b"  \x1b[m\n"],
)
def test_a_list_that_is_none(built: Workspace, alice: Person, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(text)
    words = ("--attest-only", tmp_path / "SHA256SUMS")
    done = built.sign(alice, "-s", "alice@example.org", *words)
    assert (done.code, built.files()) == (2, {})
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("--stage", "all"),
        ("--signed", "x"),
        ("--stage", "noncodesigned", "--signed", "x"),
        ("--stage", "all", "--code-signatures", "x"),
        ("--stage", "noncodesigned", "--dsse"),
    ],
)
def test_options_that_do_not_go_together(
    built: Workspace, alice: Person, words: tuple[str, ...]
) -> None:
    (built.root / "x").mkdir()
    done = built.sign(alice, "-s", "alice@example.org", *words)
    assert (done.code, built.files()) == (2, {})


def statement(workspace: Workspace, files: dict[str, bytes], **options: bool) -> bytes:
    subjects = [
        {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
        for name, data in files.items()
    ]
    about = {"buildDefinition": {"externalParameters": {"options": options}}}
    parts = {"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicate": about}
    data = json.dumps(parts).encode()
    (workspace.root / "result" / "hello-res.intoto.json").write_bytes(data)
    return data


BUILT = {"hello.tar.gz": b"one", "src/hello.tar.gz": b"two"}


def test_what_was_waived_in_the_build_is_said_to_its_signer(
    workspace: Workspace, alice: Person
) -> None:
    statement(workspace, BUILT, **{"unproven-lock": True, "accept-drift": False})
    assert (
        "warning: the packages of this build are listed by no signed archive"
        in sign(workspace, alice).err
    )


def test_a_statement_of_another_build_says_nothing(workspace: Workspace, alice: Person) -> None:
    statement(workspace, {"hello.tar.gz": b"another"}, **{"unproven-lock": True})
    assert "warning" not in sign(workspace, alice).err


def test_an_attestation_by_two_keys(workspace: Workspace, alice: Person, tmp_path: Path) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # not in its __all__

    payload = statement(workspace, BUILT)
    key = tmp_path / "key.pem"
    make: list[str | Path] = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", key]
    subprocess.run(make, check=True, capture_output=True)
    sign(workspace, alice, "--dsse-key", key)
    path = workspace.sigs / FOLDER / "hello-build.intoto.dsse.json"
    envelope = read_envelope(path.read_bytes())
    assert envelope.payload == payload
    (fingerprint,) = alice.fingerprints()
    by_gpg, by_key = envelope.signatures
    assert by_gpg.keyid == fingerprint
    signed = tmp_path / "signed"
    signed.write_bytes(to_be_signed(envelope.payload_type, payload))
    (tmp_path / "signed.sig").write_bytes(by_gpg.signature)
    alice.gpg("--verify", tmp_path / "signed.sig", signed)
    public = subprocess.run(
        ["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"],
        check=True,
        capture_output=True,
    ).stdout[-32:]
    known = SSlibKey(by_key.keyid, "ed25519", "ed25519", {"public": public.hex()})
    Envelope.from_dict(json.loads(path.read_bytes())).verify([known], threshold=1)


def test_a_statement_of_another_build(workspace: Workspace, alice: Person) -> None:
    statement(workspace, {"hello.tar.gz": b"another"})
    done = workspace.sign(alice, "-s", "alice@example.org", "--dsse")
    assert (done.code, workspace.files()) == (2, {})
    assert "states other files than the report lists" in done.err


def test_a_key_that_is_none(workspace: Workspace, alice: Person, tmp_path: Path) -> None:
    statement(workspace, {"hello.tar.gz": b"one", "src/hello.tar.gz": b"two"})
    (tmp_path / "key.pem").write_text("no key")
    done = workspace.sign(alice, "-s", "alice@example.org", "--dsse-key", tmp_path / "key.pem")
    assert (done.code, workspace.files()) == (2, {})
    assert "openssl genpkey" in done.err
