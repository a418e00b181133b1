"""Code-signed files: put detached code signatures on, and hold signed files against unsigned ones.

Nobody who builds has the key of a code signature. Its owner signs once and publishes the detached
signatures; everybody else puts them on what they built themselves, and whatever is published as
signed must be, with its signature taken off, what was built.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gbuild.errors import AnswerIsNo, GbuildError, UsageFailure
from gbuild.formats import authenticode, macho
from gbuild.host.files import sha256_of, write_atomically
from gbuild.model.manifest import Entry

_UNSIGNED = "-unsigned"
_LARGEST = 2 << 30
_PEM = re.compile(rb"-----BEGIN PKCS7-----\s*([A-Za-z0-9+/=\s]+?)-----END PKCS7-----\s*")
_WINDOWS = (".p7", ".der", ".pem")
_MACOS = re.compile(r"(?P<path>.+)\.(?P<arch>[a-z0-9_]+)sign")
"""A detached signature's name: the signed file's, a dot, the architecture, ``sign``."""


def attach_all(built: Path, signatures: Path, dest: Path) -> tuple[str, ...]:
    """Write every file that has a detached signature, signed, into ``dest``; return their names.

    ``signatures`` holds ``<name>.p7`` (PKCS #7; also ``.der``, ``.pem``) for a Windows program
    and ``<name>.<arch>sign`` for every architecture of a macOS program, where ``<name>`` is the
    signed file's.

    Raises:
        UsageFailure: a signature is of no known kind, or belongs to no file that was built.
        AnswerIsNo: a signature was made for other bytes.
    """
    wanted: dict[str, dict[str, Path]] = {}
    for path in _files(signatures):
        name, arch = _signed_name(path)
        wanted.setdefault(name, {})[arch] = signatures / path
    if not wanted:
        raise UsageFailure(f"there is no code signature in {signatures}")
    sources = _counterparts(wanted, built)
    for name, parts in wanted.items():
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        signed = _attached(name, _read(built / sources[name]), parts)
        write_atomically(dest / name, signed)
    return tuple(sorted(wanted))


def compare_all(built: Path, signed: Path) -> tuple[Entry, ...]:
    """Hold every file of ``signed``, its code signature taken off, against the one built here.

    Returns:
        The signed files with their sha256.

    Raises:
        AnswerIsNo: one differs in more than its signature, or carries none; lists them all.
        UsageFailure: one has no counterpart among the files that were built.
    """
    names = tuple(_files(signed))
    if not names:
        raise UsageFailure(f"there is no file in {signed}")
    sources = _counterparts(dict.fromkeys(names), built)
    pairs = [(name, sources[name]) for name in names]
    wrong = [
        f"{name}: {problem}"
        for name, source in pairs
        if (problem := _difference(_read(signed / name), _read(built / source)))
    ]
    if wrong:
        raise AnswerIsNo("signed files are not what was built here", details=tuple(wrong))
    return tuple(Entry(path=name, digest=sha256_of(signed / name)) for name in names)


def _difference(signed: bytes, built: bytes) -> str | None:
    """Say how a signed file differs from the built one, apart from its code signature."""
    kind = next((each for each in (authenticode, macho) if each.is_program(signed)), None)
    if kind is None:
        return "no kind of file whose code signature can be taken off"
    try:
        if not kind.is_signed(signed):
            return "carries no code signature"
        same = kind.unsigned_form(signed) == kind.unsigned_form(built)
    except UsageFailure as error:
        return error.brief
    return None if same else "differs in more than its code signature"


def _attached(name: str, program: bytes, parts: Mapping[str, Path]) -> bytes:
    try:
        if set(parts) == {""}:
            return authenticode.attach(program, _pkcs7(_read(parts[""])))
        return macho.attach(program, {arch: _read(path) for arch, path in parts.items()})
    except GbuildError as error:
        raise error.retold(f"{name}: {error.brief}", details=error.details) from error


def _pkcs7(data: bytes) -> bytes:
    match = _PEM.fullmatch(data.strip() + b"\n")
    if match is None:
        return data
    try:
        return base64.b64decode(b"".join(match[1].split()), validate=True)
    except binascii.Error as error:
        raise UsageFailure("the code signature's PEM is damaged") from error


def _signed_name(path: str) -> tuple[str, str]:
    """Split a detached signature's name into the signed file's and the architecture, if any."""
    for suffix in _WINDOWS:
        if path.endswith(suffix):
            return path.removesuffix(suffix), ""
    if match := _MACOS.fullmatch(path):
        return match["path"], match["arch"]
    raise UsageFailure(
        f"{path} is no code signature that gsign knows",
        hint="<file>.p7 for a Windows program, <file>.<arch>sign for a macOS program",
    )


def _counterparts(names: Mapping[str, object], built: Path) -> dict[str, str]:
    """Return for each signed file's name the built one's, which says ``-unsigned``.

    Raises:
        UsageFailure: there is none, or more than one.
    """
    plain: dict[str, list[str]] = {}
    for path in _files(built):
        folder, _, name = path.rpartition("/")
        if _UNSIGNED in name:
            signed = f"{folder}/" * bool(folder) + name.replace(_UNSIGNED, "", 1)
            plain.setdefault(signed, []).append(path)
    problems = [
        f"{name}: {len(plain.get(name, ()))} built files have this name with {_UNSIGNED}"
        for name in sorted(names)
        if len(plain.get(name, ())) != 1
    ]
    if problems:
        raise UsageFailure(
            "cannot tell which built file a signed one comes from",
            details=tuple(problems),
            hint=f"call what is built NAME{_UNSIGNED}.EXT and what is signed NAME.EXT",
        )
    return {name: plain[name][0] for name in names}


def _files(folder: Path) -> Iterator[str]:
    """Yield the relative paths of the regular files, sorted."""
    if not folder.is_dir():
        raise UsageFailure(f"there is no folder {folder}")
    found = (Path(here, name) for here, _, names in os.walk(folder) for name in names)
    regular = (path for path in found if path.is_file() and not path.is_symlink())
    yield from sorted(path.relative_to(folder).as_posix() for path in regular)


def _read(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise UsageFailure(f"{path} is larger than any program")
    return path.read_bytes()
