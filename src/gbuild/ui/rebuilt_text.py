"""What rebuilds proved, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from gbuild.model.rebuilt import Rebuild, Rebuilt, Side


def lines(rebuilt: Rebuilt) -> Iterator[str]:
    """Yield a line for each build and one for what they prove."""
    for one in rebuilt.builds:
        yield f"rebuilt with {_with(one, rebuilt)}: {_result(one, rebuilt)}"
    yield _proved(rebuilt)


def markdown(rebuilt: Rebuilt) -> str:
    """Return the lines as a list in Markdown."""
    from gbuild.ui.escape import markdown as escaped

    return "\n".join(f"- {escaped(line)}" for line in lines(rebuilt))


def _name(side: Side, rebuilt: Rebuilt) -> str:
    return rebuilt.a if side == "A" else rebuilt.b


def _with(one: Rebuild, rebuilt: Rebuilt) -> str:
    packages, inputs = (_name(side, rebuilt) for side in (one.packages, one.inputs))
    what = "packages and inputs" if rebuilt.inputs_differ else "packages"
    said = (
        f"{packages}'s {what}"
        if packages == inputs
        else f"{packages}'s packages and {inputs}'s inputs"
    )
    return said if one.vouched else f"{said} (no archive vouches for them)"


def _result(one: Rebuild, rebuilt: Rebuilt) -> str:
    if one.failure:
        return f"no artefacts: {one.failure}"
    if one.same:
        return " and ".join(f"same bytes as {_name(side, rebuilt)}" for side in one.same)
    counts = ((rebuilt.a, one.a), (rebuilt.b, one.b))
    told = ", ".join(f"{count} as {name} has them" for name, count in counts)
    return f"neither: of {one.total} artefacts {told}"


def _proved(rebuilt: Rebuilt) -> str:
    match rebuilt.explained:
        case "packages":
            return "proved: the packages explain the difference"
        case "inputs":
            return "proved: the inputs (descriptor, files, commits) explain the difference"
        case "both":
            return "proved: packages and inputs explain the difference only together"
        case _:
            return "nothing is proved: not everything that was signed came out again"


def document(rebuilt: Rebuilt) -> Mapping[str, object]:
    """Return the key ``rebuilt`` of gdiff's JSON answer."""
    return {
        "explained": rebuilt.explained or None,
        "packages_differ": rebuilt.packages_differ,
        "inputs_differ": rebuilt.inputs_differ,
        "builds": [{**asdict(one), "failure": one.failure or None} for one in rebuilt.builds],
        "said": list(lines(rebuilt)),
    }
