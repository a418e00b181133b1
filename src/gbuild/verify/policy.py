"""A policy applied: whether a set of persons is enough, and what it asks for in words."""

from __future__ import annotations

from collections.abc import Collection

from gbuild.errors import UsageFailure
from gbuild.model.policy import BROKEN, Anyone, Group, Member, Person, Policy, Rule

__all__ = ["BROKEN", "Policy", "default_policy", "describe", "enough", "needed"]

_DAY = 86_400


def default_policy(*, persons: int = 1, allow_weak: bool = False) -> Policy:
    """Return the policy of a person who wrote none.

    Raises:
        UsageFailure: nobody at all would be needed.
    """
    if persons < 1:
        raise UsageFailure("a release needs one person or more")
    return Policy(require=Anyone(persons), weak=frozenset({"*"} if allow_weak else ()))


def enough(rule: Rule, persons: Collection[str]) -> bool:
    """Say whether these persons, each counted once, satisfy the rule."""
    if isinstance(rule, Anyone):
        return len(set(persons)) >= rule.minimum
    return sum(m.weight for m in rule.members if _speaks(m, persons)) >= rule.minimum


def _speaks(member: Member, persons: Collection[str]) -> bool:
    return member.who in persons if isinstance(member.who, str) else enough(member.who, persons)


def needed(rule: Rule) -> str:
    """Say what a rule asks for: ``2 of alice, bob, carol``."""
    if isinstance(rule, Anyone):
        return f"{rule.minimum} person{'' if rule.minimum == 1 else 's'}"
    if rule.name is None:
        return _sum(rule)
    return f"{rule.name} ({_sum(rule)})"


def _sum(group: Group) -> str:
    weights = {member.weight for member in group.members}
    if weights != {1}:
        names = ", ".join(f"{_inside(m)} ({m.weight})" for m in group.members)
        return f"a weight of {group.minimum} from {names}"
    names = ", ".join(map(_inside, group.members))
    if len(group.members) == 1:
        return names
    if group.minimum == group.total:
        return f"all of {names}"
    return f"any of {names}" if group.minimum == 1 else f"{group.minimum} of {names}"


def _inside(member: Member) -> str:
    if isinstance(member.who, str):
        return member.who
    words = needed(member.who)
    plain = isinstance(member.who, Anyone) or member.who.name is not None
    return words if plain else f"({words})"


def describe(policy: Policy) -> str:
    """Say in words what a policy requires."""
    rules = [
        f"{' or '.join(each.globs)} signed alike by {_more(each.rule)}" for each in policy.artifacts
    ]
    rest = "every other artefact" if rules else "every artefact"
    rules.append(f"{rest} signed alike by {_more(policy.require)}")
    conditions = [f"({_kinds(policy)})", *_ages(policy)]
    ends = ["no counted signer who differs"]
    ends += ["no broken entry"] if policy.broken else []
    return ", ".join([f"{'; '.join(rules)} {' '.join(conditions)}", *ends])


def _more(rule: Rule) -> str:
    if not isinstance(rule, Anyone):
        return needed(rule)
    return f"{needed(rule)} or more" if rule.minimum else "nobody in particular"


def _kinds(policy: Policy) -> str:
    kinds = [f"weak ({', '.join(sorted(policy.weak))})"] if policy.weak - {"*"} else []
    kinds += ["weak"] if "*" in policy.weak else []
    kinds += ["expired keys' proven older"] if policy.expired else []
    once = "" if policy.copies else "; copied documents count once"
    return f"{' or '.join([*kinds, 'good'])} signatures{_of(policy.persons)} count{once}"


def _of(persons: Collection[Person]) -> str:
    if not persons:
        return ""
    return " of 1 named person" if len(persons) == 1 else f" of {len(persons)} named persons"


def _ages(policy: Policy) -> list[str]:
    ages = (("not older than", policy.maximum_age), ("known for at least", policy.minimum_age))
    return [f"{words} {duration(age)}" for words, age in ages if age is not None]


def duration(seconds: int) -> str:
    """Say a number of seconds in the largest unit that fits: ``3 days``."""
    for unit, size in (("day", _DAY), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0 and seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"
