"""What gcheck varies: each variation is a pure rewrite of the conditions a plan is made for.

The list follows what independent builders really differ in, and what reprotest(1) and
https://reproducible-builds.org/docs/ name as common causes. Values are constants: the same
check of the same descriptor varies the same things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gbuild.model.descriptor import Descriptor
from gbuild.model.options import BuildOptions
from gbuild.model.surroundings import Surroundings

_USER = "varied"
_BUILD = "/var/tmp/build"
_OTHER_BUILD = "/var/tmp/a-folder-with-a-longer-name/build"
_OTHER_HOME = "/srv/another/home/of-the-builder"
_OTHER_PROCESSOR = "Nehalem"
_DAYS = 86400
LATER = 398 * _DAYS + 7 * 3600 + 13 * 60 + 11
"""Seconds by which a clock is moved: another year, month, day, hour, minute and second."""

_MORE_MEMORY = 331
_SEEDS = (("PYTHONHASHSEED", "0"), ("PERL_HASH_SEED", "0"), ("PERL_PERTURB_KEYS", "0"))
_OTHER_SEEDS = (
    ("PYTHONHASHSEED", "4093"),
    ("PERL_HASH_SEED", "0x5eed"),
    ("PERL_PERTURB_KEYS", "2"),  # 1 would draw an order for every process
)
_NOISE = (
    ("NO_ARTEFACT_HOLDS_THIS", "a variable of the builder"),
    ("LANGUAGE", "et_EE:et"),
    ("TERM", "xterm-256color"),
    ("COLUMNS", "131"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What one build of a check is planned with; ``processors`` are those that may be used."""

    options: BuildOptions
    surroundings: Surroundings
    processors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What the choice of variations depends on.

    ``backend`` is its name, ``varies`` what it honours
    (:attr:`gbuild.target.backend.Backend.varies`), ``processors`` the numbers of those that
    this process may use.
    """

    descriptor: Descriptor
    backend: str
    varies: frozenset[str]
    processors: tuple[int, ...]


def _always(_grounds: Grounds) -> str:
    return ""


def _honoured(what: str, why: str = "cannot") -> Callable[[Grounds], str]:
    def missing(grounds: Grounds) -> str:
        return "" if what in grounds.varies else f"the backend {grounds.backend} {why}"

    return missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One thing that is varied.

    ``control`` and ``varied`` say how it is in the two builds, ``needs`` what it takes (nothing:
    every backend can); ``missing`` returns why it cannot be done here, or nothing.
    """

    name: str
    control: str
    varied: str
    apply: Callable[[Conditions], Conditions]
    needs: str = ""
    missing: Callable[[Grounds], str] = _always


def control(conditions: Conditions, grounds: Grounds) -> Conditions:
    """Return the conditions of the control: what is random is held where it can be.

    Home and build folder are given, so that each can be varied while all else stays.
    """
    user = grounds.descriptor.user
    surroundings = replace(
        conditions.surroundings,
        user=user,
        home=f"/home/{user}" if "home" in grounds.varies else None,
        build_path=_BUILD,
        environment=(*conditions.surroundings.environment, *_SEEDS),
        random_addresses="addresses" not in grounds.varies,
    )
    return replace(conditions, surroundings=surroundings)


def vary(conditions: Conditions, variations: Iterable[Variation]) -> Conditions:
    """Apply variations one after the other."""
    for variation in variations:
        conditions = variation.apply(conditions)
    return conditions


def _around(**changes: object) -> Callable[[Conditions], Conditions]:
    """Return a rewrite of some of the surroundings."""

    def apply(conditions: Conditions) -> Conditions:
        changed = replace(conditions.surroundings, **changes)  # type: ignore[arg-type]
        return replace(conditions, surroundings=changed)

    return apply


def _exported(*pairs: tuple[str, str]) -> Callable[[Conditions], Conditions]:
    """Return a rewrite that gives the script variables, in place of those it has."""

    def apply(conditions: Conditions) -> Conditions:
        old = conditions.surroundings
        both = {**dict(old.environment), **dict(pairs)}
        changed = replace(old, environment=tuple(both.items()))
        return replace(conditions, surroundings=changed)

    return apply


def _options(change: Callable[[BuildOptions], BuildOptions]) -> Callable[[Conditions], Conditions]:
    def apply(conditions: Conditions) -> Conditions:
        return replace(conditions, options=change(conditions.options))

    return apply


def _first_processor(conditions: Conditions) -> Conditions:
    changed = replace(conditions.surroundings, processors=conditions.processors[:1])
    return replace(conditions, surroundings=changed)


def _one_processor(grounds: Grounds) -> str:
    if len(grounds.processors) == 1:
        return "this host has one processor"
    return _honoured("processors")(grounds)


def _no_cache(grounds: Grounds) -> str:
    return "" if grounds.descriptor.enable_cache else "the descriptor has no cache"


def _other_scratch(options: BuildOptions) -> BuildOptions:
    return replace(options, scratch="disk" if options.scratch == "tmpfs" else "tmpfs")


VARIATIONS: tuple[Variation, ...] = (
    Variation(
        name="build-path",
        control=_BUILD,
        varied=_OTHER_BUILD,
        apply=_around(build_path=_OTHER_BUILD),
    ),
    Variation(
        name="home",
        control="/home/<user>",
        varied=_OTHER_HOME,
        needs="a backend that places it",
        apply=_around(home=_OTHER_HOME),
        missing=_honoured("home"),
    ),
    Variation(
        name="user",
        control="the descriptor's",
        varied=_USER,
        apply=_around(user=_USER),
    ),
    Variation(
        name="ids",
        control="1000",
        varied="4321",
        needs="a backend that gives the user its number",
        apply=_around(number=4321),
        missing=_honoured("ids"),
    ),
    Variation(name="umask", control="002", varied="022", apply=_around(umask=0o022)),
    Variation(
        name="hostname",
        control="gitian",
        varied="another-host.varied.example",
        apply=_around(hostname="another-host.varied.example"),
    ),
    Variation(
        name="timezone",
        control="as the descriptor has it",
        varied="XXX-14 (14 hours east)",
        apply=_around(timezone="XXX-14"),
    ),
    Variation(
        name="locale",
        control="as the descriptor has it",
        varied="C",
        apply=_around(locale="C"),
    ),
    Variation(
        name="environment",
        control="no more than usual",
        varied=" ".join(name for name, _ in _NOISE),
        apply=_exported(*_NOISE),
    ),
    Variation(
        name="exec-path",
        control="as usual",
        varied="a folder that does not exist at its end",
        apply=_around(path=("/opt/no-artefact-may-hold-this/bin",)),
    ),
    Variation(
        name="cpus",
        control="all",
        varied="one",
        needs="two processors, a backend that pins",
        apply=_first_processor,
        missing=_one_processor,
    ),
    Variation(
        name="cpu-model",
        control="as the backend has it",
        varied=_OTHER_PROCESSOR,
        needs="a virtual machine",
        apply=_around(processor_model=_OTHER_PROCESSOR),
        missing=_honoured("model", "has the host's"),
    ),
    Variation(
        name="jobs",
        control="-j of the command line",
        varied="three more",
        apply=_options(lambda options: replace(options, num_procs=options.num_procs + 3)),
    ),
    Variation(
        name="memory",
        control="-m of the command line",
        varied=f"{_MORE_MEMORY} MiB more",
        apply=_options(lambda options: replace(options, memory=options.memory + _MORE_MEMORY)),
    ),
    Variation(
        name="boot-clock",
        control="the host's",
        varied="97 days more since the start",
        needs="time namespaces",
        apply=_around(boot_clock=97 * _DAYS),
        missing=_honoured("clock"),
    ),
    Variation(
        name="wall-clock",
        control="the host's",
        varied="398 days, 7 hours and 13 minutes later",
        needs="a clock of its own: a virtual machine",
        apply=_around(wall_clock=LATER),
        missing=_honoured("wall", "has the host's; --also faketime, --also time=SECONDS"),
    ),
    Variation(
        name="kernel-version",
        control="the host's",
        varied="2.6",
        needs="personality(2) in the target",
        apply=_around(old_kernel=True),
        missing=_honoured("personality"),
    ),
    Variation(
        name="addresses",
        control="fixed",
        varied="random (ASLR)",
        needs="personality(2) in the target",
        apply=_around(random_addresses=True),
        missing=_honoured("addresses"),
    ),
    Variation(
        name="hash-seed",
        control="Python's and Perl's are 0",
        varied="others",
        apply=_exported(*_OTHER_SEEDS),
    ),
    Variation(
        name="uninitialised",
        control="as the C library leaves it",
        varied="allocated memory is filled (MALLOC_PERTURB_)",
        needs="the GNU C library",
        apply=_exported(("MALLOC_PERTURB_", "165")),
    ),
    Variation(
        name="file-system",
        control="--scratch of the command line",
        varied="the other of tmpfs and disk: other order of directories",
        needs="a backend that has both",
        apply=_options(_other_scratch),
        missing=_honoured("scratch"),
    ),
    Variation(
        name="cache",
        control="as the descriptor has it",
        varied="empty",
        needs="enable_cache in the descriptor",
        apply=_options(lambda options: replace(options, use_cache=False)),
        missing=_no_cache,
    ),
)
"""In the order of the matrix: what a person would suspect first."""


def applicable(grounds: Grounds) -> tuple[tuple[Variation, str], ...]:
    """Return every variation with the reason why it cannot be done here (nothing: it can)."""
    return tuple((variation, variation.missing(grounds)) for variation in VARIATIONS)
