"""Same inputs, same packages? Which differ, and with whom: what explains a difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gbuild.model.verdict import Claim, Comparison, Difference

SHOWN = 20
"""So many differences are kept; of the rest only the number."""

_ABSENT = "(absent)"


def compare_inputs(claims: Sequence[Claim]) -> Comparison:
    """Compare what the documents say they were built from."""
    return _compare([(claim.signer, claim.inputs) for claim in claims if claim.inputs])


def compare_packages(claims: Sequence[Claim]) -> Comparison:
    """Compare the packages of every environment that more than one document names."""
    said = [claim for claim in claims if claim.packages]
    found: list[Difference] = []
    for environment in sorted({each for claim in said for each in claim.packages}):
        own = [(c.signer, c.packages[environment]) for c in said if environment in c.packages]
        found += _environment(environment, own)
    return Comparison(compared=len(said), number=len(found), differ=tuple(found[:SHOWN]))


def _environment(environment: str, texts: Sequence[tuple[str, str]]) -> Iterable[Difference]:
    """Parse only the lines that are not everybody's: most sets have hundreds in common."""
    if len({text for _, text in texts}) < 2:
        return ()
    lines = [(signer, frozenset(text.split("\n"))) for signer, text in texts]
    common = frozenset.intersection(*(each for _, each in lines))
    own = [(signer, _packages(each - common)) for signer, each in lines]
    return (
        Difference(what=f"{environment}: {each.what}", values=each.values)
        for each in _differences(own)
    )


def _packages(lines: Iterable[str]) -> Mapping[str, str]:
    """Read ``name_version_arch.deb``: package and architecture -> version and the hash's start."""
    found = {}
    for line in sorted(lines):
        digest, _, file = line.partition("  ")
        name, _, rest = file.partition("_")
        version, _, architecture = rest.removesuffix(".deb").rpartition("_")
        if file:
            found[f"{name} {architecture}".rstrip()] = f"{version} sha256:{digest[:12]}".lstrip()
    return found


def _compare(said: Sequence[tuple[str, Mapping[str, str]]]) -> Comparison:
    found = _differences(said)
    return Comparison(compared=len(said), number=len(found), differ=tuple(found[:SHOWN]))


def _differences(said: Sequence[tuple[str, Mapping[str, str]]]) -> list[Difference]:
    """Return everything for which not all have one value, in order."""
    found = []
    for what in sorted({each for _, own in said for each in own}):
        values: dict[str, list[str]] = defaultdict(list)
        for signer, own in said:
            values[own.get(what, _ABSENT)].append(signer)
        if len(values) > 1:
            ordered = {value: tuple(sorted(values[value])) for value in sorted(values)}
            found.append(Difference(what=what, values=ordered))
    return found
