"""Same inputs, same packages? Which differ, and with whom: what explains a difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gbuild.model.deb_file import read_file_name
from gbuild.model.verdict import Claim, Comparison, Difference

SHOWN = 20
"""So many differences are kept; of the rest only the number."""

_ABSENT = "(absent)"

Said = Sequence[tuple[str, Mapping[str, str]]]
"""Signers, and what each of them says: a value for every thing."""

_Found = tuple[str, str, Said]
"""A thing that differs: how it is shown, its own name, and who says what of it."""


def compare_inputs(claims: Sequence[Claim]) -> Comparison:
    """Compare what the documents say they were built from."""
    return _compare([(claim.signer, claim.inputs) for claim in claims if claim.inputs])


def compare_packages(claims: Sequence[Claim]) -> Comparison:
    """Compare the packages of every environment that more than one document names."""
    said = [claim for claim in claims if claim.packages]
    found: list[_Found] = []
    for environment in sorted({each for claim in said for each in claim.packages}):
        own = [(c.signer, c.packages[environment]) for c in said if environment in c.packages]
        found += _environment(environment, own)
    return _comparison(len(said), found)


def _environment(environment: str, texts: Sequence[tuple[str, str]]) -> Iterator[_Found]:
    """Parse only the lines that are not everybody's: most sets have hundreds in common."""
    if len({text for _, text in texts}) < 2:
        return
    lines = [(signer, frozenset(text.split("\n"))) for signer, text in texts]
    common = frozenset.intersection(*(each for _, each in lines))
    known = {line: _package(line) for line in frozenset().union(*(e for _, e in lines)) - common}
    said = [(signer, _packages(each - common, known)) for signer, each in lines]
    for what in _differing(said):
        yield f"{environment}: {what}", what, said


def _package(line: str) -> tuple[str, str] | None:
    """Read a line of a base manifest: package and architecture, version and the hash's start."""
    digest, _, file = line.partition("  ")
    if not file:
        return None
    if deb := read_file_name(file):
        return f"{deb.name} {deb.arch}", f"{deb.version} sha256:{digest[:12]}"
    name, _, rest = file.partition("_")  # no honest name; two of them are still two versions of one
    return name, f"{rest} sha256:{digest[:12]}".lstrip()


def _packages(
    lines: Iterable[str], known: Mapping[str, tuple[str, str] | None]
) -> Mapping[str, str]:
    """Return versions by package; of two lines for one package the last counts."""
    return dict(pair for line in sorted(lines) if (pair := known[line]))


def _compare(said: Said) -> Comparison:
    return _comparison(len(said), [(what, what, said) for what in _differing(said)])


def _comparison(compared: int, found: Sequence[_Found]) -> Comparison:
    """Tell the first differences in full, and of all together how many there are."""
    shown = tuple(_difference(*each) for each in found[:SHOWN])
    return Comparison(compared=compared, number=len(found), differ=shown)


def _differing(said: Said) -> list[str]:
    """Return everything for which not all have one value, in order."""
    maps = [own for _, own in said]
    every = {what for own in maps for what in own}
    return sorted(w for w in every if len({own.get(w, _ABSENT) for own in maps}) > 1)


def _difference(label: str, what: str, said: Said) -> Difference:
    values: dict[str, list[str]] = defaultdict(list)
    for signer, own in said:
        values[own.get(what, _ABSENT)].append(signer)
    ordered = {value: tuple(sorted(values[value])) for value in sorted(values)}
    return Difference(what=label, values=ordered)
