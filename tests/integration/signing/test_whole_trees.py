"""gverify over whole trees and by a policy, as a real process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .people import Person, Ran, Workspace

SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gverify.schema.json"


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    return person()


@pytest.fixture
def tree(workspace: Workspace, alice: Person) -> Workspace:
    """Return a workspace in which alice signed with her two keys, in a folder each."""
    for user_id in ("Alice <alice@example.org>", "Alice (2) <alice@work.example>"):
        alice.make(user_id)
        signer = user_id.partition("<")[2].rstrip(">")
        assert workspace.sign(alice, "--signer", signer).code == 0
    return workspace


def answer(ran: Ran, code: int) -> dict[str, Any]:
    assert ran.code == code, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    return found


def policy(tree: Workspace, alice: Person, require: str) -> Path:
    keys = ", ".join(alice.fingerprints())
    file = tree.root / "policy.yml"
    persons = f"{{alice: [{keys}], bob: {'B' * 40}}}"
    file.write_text(f"format: gbuild.policy/1\npersons: {persons}\nrequire: {require}\n")
    return file


def test_a_whole_tree(tree: Workspace) -> None:
    told = answer(tree.run("gverify", "--all", "--json"), 0)
    assert told["totals"] == told["statuses"] == {"good": 2}
    assert told["verdicts"] == {"agree": 1}
    assert answer(tree.run("gverify", "-r", "1.*", "--json"), 0)["releases"] == told["releases"]
    text = tree.run("gverify", "--all")
    assert "agree    hello 1.0" in text.out
    assert "1 release: 1 agree\n2 entries: 2 good\n" in text.out
    assert tree.run("gverify", "--all", "--since", "2099-01-01").out.startswith("verdict")
    assert (
        answer(tree.run("gverify", "--all", "--since", "2099-01-01", "--json"), 0)["totals"] == {}
    )


def test_two_keys_of_one_person_are_one_person(tree: Workspace, alice: Person) -> None:
    one = policy(tree, alice, "alice")
    assert answer(tree.verify("--policy", one, "--json"), 0)["releases"][0]["persons"] == 1
    two = policy(tree, alice, "{at_least: 2, of: anyone}")
    ran = tree.verify("--policy", two, "--explain")
    assert ran.code == 8
    assert "persons with a signature that counts: 1, 2 needed" in ran.out


def test_an_older_release_under_a_new_name_is_shown(tree: Workspace) -> None:
    release = tree.sigs / "hello" / "1.0"
    shutil.copytree(release, release.with_name("2.0"))
    told = answer(tree.run("gverify", "--all", "--json"), 8)
    old, new = told["releases"]
    assert (old["verdict"], new["verdict"]) == ("agree", "untrusted")
    assert {entry["status"] for entry in new["signers"]} == {"wrong-name"}
    assert told["statuses"] == {"wrong-name": 2, "good": 2}
    assert told["totals"] == {"good": 4}
    for view in ("--markdown", "--html", "--explain", "-v"):
        assert "document says release 1" in tree.run("gverify", "--all", view).out.replace("\\", "")


@pytest.mark.parametrize("view", ["--markdown", "--html", "--explain"])
def test_views_go_to_a_file_and_json_stays(tree: Workspace, view: str) -> None:
    ran = tree.verify(view, "-o", tree.root / "out", "--json")
    assert answer(ran, 0)["verdicts"] == {"agree": 1}
    assert "alice" in (tree.root / "out").read_text()
    assert tree.verify(view, "-o", tree.root / "none" / "out").code == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--all", "-r", "1.0"),
        ("--all", "--at", "yesterday"),
        ("--all", "-d", "nowhere"),
        ("--all", "--policy", "bad.yml"),
        ("--all", "--policy", "bad.yml", "--persons", "2"),
    ],
)
def test_questions_that_cannot_be_answered(tree: Workspace, words: tuple[str, ...]) -> None:
    (tree.root / "bad.yml").write_text("format: gbuild.policy/1\nrequire: nobody-known\n")
    assert tree.run("gverify", *words).code == 2


def test_a_moment_before_the_signature(tree: Workspace) -> None:
    assert tree.verify("--at", "2000-01-01").code == 8


@dataclass(frozen=True)
class Counted:
    """What the corpus says of a tree, counted with gpg alone, one signature after the other."""

    folders: int
    signers: int
    sha1: int
    agree: tuple[int, int]
    totals: dict[str, int]


COUNTED = {
    "litecoin": Counted(
        folders=244,
        signers=27,
        sha1=290,
        agree=(203, 210),
        totals={
            "good": 407,
            "expired-key": 213,
            "unknown-key": 144,
            "bad": 1,
            "missing-signature": 12,
            "not-detached": 1,
        },
    ),
    "monero": Counted(
        folders=208,
        signers=35,
        sha1=9,
        agree=(208, 208),
        totals={"good": 745, "expired-key": 569},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_real_trees(workspace: Workspace, trees: Path, name: str) -> None:
    ran = workspace.run(
        "gverify", "--all", "--json", "--at", "2026-11-20T12:00:00Z", "-d", trees / name / "sigs"
    )
    told = answer(ran, 8)
    entries = [(each["release"], one) for each in told["releases"] for one in each["signers"]]
    assert told["totals"] == COUNTED[name].totals
    assert len(entries) == sum(COUNTED[name].totals.values())
    assert len({release for release, _ in entries}) == COUNTED[name].folders
    assert len({one["signer"] for _, one in entries}) == COUNTED[name].signers
    known = [one for _, one in entries if one["signature"] in {"good", "expired-key"}]
    assert sum("SHA1" in one["weaknesses"] for one in known) == COUNTED[name].sha1
    assert _agreement(entries) == COUNTED[name].agree


def _agreement(entries: Sequence[tuple[str, dict[str, Any]]]) -> tuple[int, int]:
    """Return in how many folders all documents agree, and how many have two or more."""
    documents: dict[str, list[dict[str, str]]] = {}
    for release, one in entries:
        if one["artifacts"]:
            documents.setdefault(release, []).append(one["artifacts"])
    several = [each for each in documents.values() if len(each) > 1]
    alike = [
        len({frozenset(one) for one in each}) == 1
        and {state for one in each for state in one.values()} == {"agree"}
        for each in several
    ]
    return sum(alike), len(several)
