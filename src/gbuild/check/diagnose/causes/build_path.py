"""The folder that was built in."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference
from gbuild.check.diagnose.paths import PATH, common_end, numbered, paths
from gbuild.check.diagnose.phrases import before

_SCRATCH = (
    *("/tmp/", "/var/tmp/", "/build/", "/builds/", "/srv/", "/workspace/", "/mnt/", "/buildd/"),
    *("/usr/src/", "/scratch/", "/ws/", "/private/tmp/", "/var/build/", "/workdir/"),
)

_NAMED = re.compile(
    r"\b(?:cwd|pwd|working dir(?:ectory)?|build ?dir(?:ectory)?|build ?(?:path|root|tree|folder)|"
    r"(?:abs )?(?:top )?(?:src|source|build) ?dir|work ?dir|workspace)\Z"
)
_KEPT = re.compile(
    r"/(?:var/(?:lib|log|cache|run|spool)/(?!jenkins|buildd|sbuild|pbuilder|cache/pbuilder)|"
    r"run/|dev/|proc/|sys/|etc/|api/|v\d/|usr/(?:s?bin|share|lib\w*)/)"
)
"""Where a program finds its files when it runs: no folder of a builder."""
_INSTALLED = re.compile(r"/(?:usr(?!(?:/local)?/src/)|s?bin|lib\d*|etc|opt)/")
"""Where programs are installed; nobody builds there."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change if found := paths(change):
            if numbered(*found) or all(_INSTALLED.match(path) for path in found):
                return None
            ends = common_end(*found)
            scratch = [path.startswith(_SCRATCH) for path in found]
            named = _NAMED.search(before(change, PATH))
            kept = any(map(_KEPT.match, found))
            if (named and not kept) or all(scratch) or (ends and not kept):
                return versus(*found)
        case Change(text=True) as change if found := _mangled(change):
            return versus(*found)
        case _:
            pass
    return None


_NAME = ALPHANUMERIC + b"_"
_BEGIN = re.compile(r"(?:\A|\w*_)(?:build|builds|tmp|var_tmp|home|srv|usr_src|mnt|workspace|root)"
                    r"_+\w+_\w+", re.IGNORECASE)  # fmt: skip


def _mangled(change: Change) -> tuple[str, str] | None:
    """Know a path of which somebody made a name: _build_1st_foo_src_foo_h."""
    one, two = change.words(_NAME)
    parts, others = one.split("_"), two.split("_")
    same = parts[-2:] == others[-2:] and one != two
    return (one, two) if same and _BEGIN.match(one) and _BEGIN.match(two) else None


CAUSE = Cause(
    name="build-path",
    title="the folder that was built in is in the artefact",
    mend='CFLAGS+="-ffile-prefix-map=$PWD=."; RUSTFLAGS=--remap-path-prefix; go build -trimpath',
    explains=_explains,
)
