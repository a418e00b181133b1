"""The two manifests of a release whose files get code signatures, as Bitcoin's guix-attest has.

``noncodesigned`` lists what everybody can build; ``all`` lists that and the same files with their
code signatures put on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gbuild.errors import AnswerIsNo, UsageFailure
from gbuild.formats.manifest import read_manifest, write_manifest
from gbuild.host.files import read_small
from gbuild.model.manifest import LARGEST, Entry, Report
from gbuild.sign.tree import Place

_BINARY = re.compile(r"^([0-9A-Fa-f]{64}) \*", re.MULTILINE)


def read_sums(path: Path) -> tuple[Entry, ...]:
    """Read a file that sha256sum wrote, in its text or its binary form.

    Raises:
        UsageFailure: it is empty, too large, or holds anything else.
    """
    try:
        text = read_small(path, limit=LARGEST).decode()
    except UnicodeDecodeError as error:
        raise UsageFailure(f"{path} is not UTF-8 text") from error
    entries = read_manifest(_BINARY.sub(r"\1  ", text))
    if not entries:
        raise UsageFailure(f"{path} lists no file")
    return entries


def manifest(
    stage: str, entries: Iterable[Entry], *, place: Place, signed: Iterable[Entry] = ()
) -> bytes:
    """Return the manifest of one stage.

    Args:
        stage: ``noncodesigned`` or ``all``.
        entries: what was built.
        place: where the manifest will lie; the earlier stage beside it is compared.
        signed: for ``all``: the files with code signatures.

    Raises:
        UsageFailure: a signed file has the name of an unsigned one.
        AnswerIsNo: what this signer attested as noncodesigned is not part of it.
    """
    together = {entry.path: entry.digest for entry in entries}
    for entry in signed:
        if together.setdefault(entry.path, entry.digest) != entry.digest:
            raise UsageFailure(
                f"{entry.path} is the name of a signed and of an unsigned file",
                hint="a manifest lists a name once: call the unsigned one NAME-unsigned.EXT",
            )
    if stage == "all":
        _contains_earlier(together, place)
    return write_manifest(Entry(path=p, digest=d) for p, d in together.items()).encode()


def built_entries(report: Report) -> tuple[Entry, ...]:
    """Return what a report lists as built."""
    return read_manifest(report.out_manifest)


def _contains_earlier(together: dict[str, str], place: Place) -> None:
    earlier = Place(
        root=place.root,
        release=place.release,
        signer=place.signer,
        name=place.name,
        stage="noncodesigned",
    ).assertion
    if not earlier.is_file():
        raise UsageFailure(
            f"there is no {earlier}",
            hint="attest what everybody can build first: gsign ... --stage noncodesigned",
        )
    before = read_sums(earlier)
    wrong = [entry.path for entry in before if together.get(entry.path) != entry.digest]
    if wrong:
        raise AnswerIsNo(
            f"{earlier.name} of the same signer says something else", details=tuple(wrong)
        )
