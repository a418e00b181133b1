"""How the machine around a job is, where that must not matter to what the job makes."""

from __future__ import annotations

from dataclasses import dataclass

BUILD_USER = 1000
"""User and group number of the build user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a script can see of its machine and must not write into its artefacts.

    The defaults are what every build of gbuild has; ``gcheck`` builds with others. None leaves a
    value to the descriptor: ``user``, ``home`` (/home/<user>), ``build_path`` (<home>/build),
    ``locale`` (``LANG`` and ``LC_ALL``) and ``timezone`` (``TZ``). ``number`` is the user's and
    its group's, ``environment`` are variables that the script gets beside its own, ``path`` are
    folders at the end of ``PATH``. ``processors`` are those it may run on (none: all),
    ``boot_clock`` the seconds added to the clocks that count from the start of the machine,
    ``wall_clock`` those added to the time of day; ``processor_model`` is what a virtual machine
    shows as its processor (libvirt's name);
    ``reversed_order`` lists the files of home and build folder in reverse;
    ``random_addresses`` and ``old_kernel`` (uname tells 2.6) are those of setarch(8).
    """

    user: str | None = None
    number: int = BUILD_USER
    home: str | None = None
    build_path: str | None = None
    hostname: str = "gitian"
    umask: int = 0o002
    timezone: str | None = None
    locale: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    path: tuple[str, ...] = ()
    processors: tuple[int, ...] = ()
    boot_clock: int = 0
    wall_clock: int = 0
    processor_model: str | None = None
    random_addresses: bool = True
    old_kernel: bool = False
    reversed_order: bool = False


USUAL = Surroundings()
"""The surroundings of every build that is not told otherwise."""
