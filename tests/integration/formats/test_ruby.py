"""Gitian's own reader and writer, Debian's real Ruby with its YAML, against ours."""

from __future__ import annotations

import json
import random
import shutil
import string
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gbuild.formats.report import read_report, write_report
from gbuild.model.manifest import Report

pytestmark = pytest.mark.skipif(shutil.which("ruby") is None, reason="ruby is not installed")

# Reads "<path>" lines; prints what the strict and the plain loader of YAML made of each file.
LOAD = """
require "yaml"
require "json"
def plain(value)
  case value
  when Psych::Omap, Hash then { "map" => value.to_a.map { |k, v| [k, plain(v)] } }
  when Array then value.map { |v| plain(v) }
  when String, nil then value
  else { "class" => value.class.name }
  end
end
STDIN.each_line(chomp: true) do |path|
  text = File.read(path, encoding: "UTF-8")
  strict = YAML.safe_load(text, permitted_classes: [Psych::Omap])
  puts JSON.generate([strict.class.name, plain(strict), plain(YAML.unsafe_load(text))])
end
"""

# Reads JSON reports; writes each as Gitian did: an ordered map, then to_yaml.
DUMP = """
require "yaml"
require "json"
def omap(pairs)
  pairs.each_with_object(Psych::Omap.new) { |(k, v), o| o[k] = v.is_a?(Array) ? omap(v) : v }
end
STDIN.each_line { |line| print omap(JSON.parse(line)).to_yaml, "\\0" }
"""


def ruby(program: str, stdin: str) -> str:
    done = subprocess.run(
        ["ruby", "-EUTF-8", "-e", program],
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    return done.stdout


def load(folder: Path, documents: list[bytes]) -> list[Any]:
    """Let Ruby load every document."""
    paths = [folder / f"{number}.yml" for number in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_bytes(document)
    lines = ruby(LOAD, "".join(f"{path}\n" for path in paths)).rstrip("\n").split("\n")
    return [json.loads(line) for line in lines]


def pairs(report: Report) -> list[list[Any]]:
    """Return the report as Gitian's code built it: keys and values in order."""
    values: list[list[Any]] = [
        ["out_manifest", report.out_manifest],
        ["in_manifest", report.in_manifest],
        ["base_manifests", [[key, text] for key, text in report.base_manifests.items()]],
        ["cache_common_manifest", report.cache_common_manifest],
        ["cache_package_manifest", report.cache_package_manifest],
    ]
    if report.type is not None:
        values += [["release", report.release], ["name", report.name], ["type", report.type]]
        values.append(["optionals", None])
    return values


def expected(report: Report) -> dict[str, Any]:
    """Return what LOAD prints for the report."""
    base = {"map": [[key, text] for key, text in report.base_manifests.items()]}
    rows = [[key, base if key == "base_manifests" else value] for key, value in pairs(report)]
    return {"map": rows}


def manifest(dice: random.Random, lines: int) -> str:
    letters = string.ascii_letters + string.digits + "@_/.:+-%~"
    return "".join(
        f"{dice.randbytes(32).hex()}  {''.join(dice.choices(letters, k=dice.randint(1, 60)))}\n"
        for _ in range(lines)
    )


def usual(dice: random.Random) -> Report:
    """Draw a report as builds make them."""
    inputs = manifest(dice, dice.randint(1, 3))
    if dice.random() < 0.7:
        inputs += f"git:{dice.randbytes(20).hex()} src"
    report = Report(
        out_manifest=manifest(dice, dice.randint(0, 3)),
        in_manifest=inputs,
        base_manifests={
            f"{suite}-amd64": manifest(dice, dice.randint(0, 4))
            for suite in dice.sample(
                ["bookworm", "trixie", "lucid", "bionic"], k=dice.randint(1, 3)
            )
        },
        cache_common_manifest=manifest(dice, dice.randint(0, 2)),
        cache_package_manifest=manifest(dice, dice.randint(0, 2)),
    )
    if dice.random() < 0.5:
        return report
    release = dice.choice(["0.21", "1.2.3", "v0.18.5.1-win", "0.8.3.5", "8", "a1b2c3", "08-linux"])
    return replace(report, release=release, name=dice.choice(["hello", "x-0.1"]), type="build")


ODD: tuple[str, ...] = (
    *(
        "",
        " ",
        "a: b",
        "- a",
        "#",
        "'",
        '"',
        "\\",
        "é",
        "a\n\nb\n",
        " a\nb\n",
        "a \nb",
        "\n",
        "\n\n",
    ),
    *("a\tb", "true", "Yes", "~", "null", "0x1F", "1_000", "1e3", ".5", "2016-01-01", "12:30:45"),
    *("<<", "=", "!x", "&a", "*a", "@a", "`a", "%a", "| a", "> a", "\x07", "\u2028", "\U0001f600"),
)


def seeded(seed: int) -> random.Random:
    """Return dice that fall the same way in every run."""
    return random.Random(seed)  # noqa: S311 - not for secrets


def odd(dice: random.Random) -> Report:
    """Draw a report of texts that YAML finds difficult."""
    texts = [dice.choice(ODD) + dice.choice(("", "x", "\n", dice.choice(ODD))) for _ in range(8)]
    return Report(
        out_manifest=texts[0],
        in_manifest=texts[1],
        base_manifests={"a-b": texts[2], "0.1-c": texts[3]},
        cache_common_manifest=texts[4],
        cache_package_manifest=texts[5],
        release=texts[6],
        name=texts[7],
        type="build",
    )


def test_ruby_writes_the_same_bytes_for_every_usual_report() -> None:
    dice = seeded(2)
    reports = [usual(dice) for _ in range(300)]
    documents = ruby(DUMP, "".join(json.dumps(pairs(report)) + "\n" for report in reports))
    for report, document in zip(reports, documents.split("\0"), strict=False):
        assert write_report(report).decode() == document
        assert read_report(document.encode()) == report


@pytest.mark.parametrize("draw", [usual, odd])
def test_ruby_loads_what_we_wrote_field_by_field(draw: Any, tmp_path: Path) -> None:
    dice = seeded(3)
    reports = [draw(dice) for _ in range(300)]
    loaded = load(tmp_path, [write_report(report) for report in reports])
    for report, (kind, strict, plain) in zip(reports, loaded, strict=True):
        assert kind == "Psych::Omap"
        assert strict == plain == expected(report)


def test_we_read_what_ruby_wrote_of_odd_texts() -> None:
    dice = seeded(4)
    reports = [odd(dice) for _ in range(300)]
    documents = ruby(DUMP, "".join(json.dumps(pairs(report)) + "\n" for report in reports))
    for report, document in zip(reports, documents.split("\0"), strict=False):
        assert read_report(document.encode()) == report
