"""Where programs are found and what a child's environment holds, by kind of system.

Only what verifies runs elsewhere than on Linux: there it needs gpg, and git for ``--evidence``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_UNIX = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGE_MANAGERS = {
    "darwin": ":/opt/homebrew/bin:/opt/local/bin",
    "linux": ":/run/wrappers/bin:/run/current-system/sw/bin",  # NixOS, which has nothing in /usr
}
"""Further folders in which the programs of a system's usual package managers lie."""
_APT = "/usr/bin/apt-get"
_OF_WINDOWS = ("PATH", "PATHEXT", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "APPDATA")
"""Without these Windows starts no program, or none that can find its libraries and its folder."""


def clean_environment(
    *, platform: str = sys.platform, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the whole environment of a child unless its caller adds to it."""
    if platform == "win32":
        upper = {name.upper(): value for name, value in environment.items()}
        return {name: upper[name] for name in _OF_WINDOWS if name in upper}
    return {"PATH": _UNIX + _PACKAGE_MANAGERS.get(platform, ""), "LC_ALL": "C.UTF-8"}


def how_to_install(package: str, *, platform: str = sys.platform) -> str:
    """Return what brings a program; ``package`` is its name in Debian."""
    if platform == "linux" and not os.path.exists(_APT):
        return f"install the package that Debian calls {package}"
    if platform == "win32":
        return f"install {package} (gnupg is in Gpg4win) and put it on the PATH"
    return f"brew install {package}" if platform == "darwin" else f"sudo apt-get install {package}"
