"""What is wrong with an option's value is said before any work is done."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gbuild.cli._options import NEW_FILE, NEW_PATH, release_option
from gbuild.errors import UsageFailure


@click.command()
@release_option("")
def one(release: str | None) -> None:
    click.echo(release)


@click.command()
@release_option("", globs=True)
def many(release: str | None) -> None:
    click.echo(release)


@pytest.mark.parametrize("name", ["", "../1.0", "1.*"])
def test_a_release_has_a_releases_name(name: str) -> None:
    with pytest.raises(UsageFailure, match="--release"):
        CliRunner().invoke(one, ["-r", name], catch_exceptions=False)


def test_a_pattern_is_for_commands_that_take_many() -> None:
    assert CliRunner().invoke(many, ["--release", "1.*"]).output == "1.*\n"
    assert CliRunner().invoke(one, ["--release", "1.0"]).output == "1.0\n"
    with pytest.raises(UsageFailure):
        CliRunner().invoke(many, ["-r", "../1.0"], catch_exceptions=False)


def test_a_file_to_be_written_needs_its_folder(tmp_path: Path) -> None:
    assert NEW_FILE.convert(str(tmp_path / "a"), None, None) == tmp_path / "a"
    assert NEW_PATH.convert(str(tmp_path), None, None) == tmp_path
    for given in (NEW_FILE, NEW_PATH):
        with pytest.raises(click.BadParameter, match=r"there is no folder .*gone for a"):
            given.convert(str(tmp_path / "gone" / "a"), None, None)
    with pytest.raises(click.BadParameter, match="is a directory"):
        NEW_FILE.convert(str(tmp_path), None, None)
