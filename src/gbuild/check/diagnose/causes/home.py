"""The home folder of the builder."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.paths import paths

_HOME = re.compile(
    r"/(?:home|Users|root|nonexistent|var/lib/jenkins|var/lib/buildd|github/home)(?:/|\Z)"
)
_CACHE = re.compile(
    r"/\.(?:cargo|rustup|npm|cache|m2|gradle|ivy2|local|config|cabal|stack|opam|gem|pyenv|nvm|cpan|"
    r"emacs\.d|vim|ssh|gnupg|ghc|julia|nuget|dotnet|texlive\w*|matplotlib|ccache|bash\w*|profile)\b"
)
"""What programs keep in the home folder, wherever that is."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change if found := paths(change):
            homes = all(_HOME.match(path) for path in found)
            if homes and [path.split("/")[1:3] for path in found[:1]] == [
                path.split("/")[1:3] for path in found[1:]
            ]:
                return None  # below one home: it says nothing of the builder
            if all(map(_CACHE.search, found)):
                return versus(*found)
            if homes or re.search(r"\bHOME\W*\Z", change.before):
                return versus(*found)
        case _:
            pass
    return None


CAUSE = Cause(
    name="home",
    title="the builder's home folder is in the artefact",
    mend="write relative paths; -ffile-prefix-map=$HOME=. for compilers",
    explains=_explains,
)
