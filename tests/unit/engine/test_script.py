"""The preamble: Gitian's lines in Gitian's order."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gbuild.engine.script import Reference, build_script, reference_of, shell_argv
from gbuild.errors import DescriptorInvalid
from gbuild.model.descriptor import Descriptor, Remote

if TYPE_CHECKING:
    from .conftest import Described

_GOLDEN = Path(__file__).parents[2] / "golden"
_REFERENCE = Reference("2024-01-31 12:00:00", 1706702400)


def _script(descriptor: Descriptor, **changes: object) -> str:
    arguments: dict[str, Any] = {
        "architecture": "amd64",
        "reference": _REFERENCE,
        "num_procs": 2,
        "memory": 2000,
        "has_git": True,
        **changes,
    }
    return build_script(descriptor, **arguments).decode()


def test_everything_that_gitian_wrote(described: Described) -> None:
    descriptor = described(
        enable_cache=True,
        remotes=(Remote(url="https://x.example/a.git", dir="a"),),
    )
    assert _script(descriptor) == (_GOLDEN / "script-gitian.sh").read_text()


def test_our_keys_add_two_exports_and_nothing_else(described: Described) -> None:
    plain = _script(described()).splitlines()
    ours = _script(described(source_date_epoch=True)).splitlines()
    assert [line for line in ours if line not in plain] == [
        "export SOURCE_DATE_EPOCH=1706702400",
        "export TZ=UTC",
    ]
    assert [line for line in ours if line in plain] == plain


def test_normalisers_come_first_in_the_path_and_know_the_time(described: Described) -> None:
    plain = _script(described()).splitlines()
    ours = _script(described(normalise=True)).splitlines()
    assert [line for line in ours if line not in plain] == [
        'chmod 0755 "$HOME/.canon"/canon-*',
        'PATH="$HOME/.canon:$PATH"',
        "export REFERENCE_DATETIME",
    ]


def test_a_minimal_base_has_only_the_locale_that_is_there(described: Described) -> None:
    script = _script(described(base="minimal"))
    assert "export LC_ALL='C.UTF-8'\n" in script
    assert "en_US" not in script


@pytest.mark.parametrize(
    ("architecture", "bits", "personality"),
    [
        ("i386", 32, "i386"),
        ("amd64", 64, "x86_64"),
        ("linux64", 64, "linux64"),
        ("armhf", 32, "linux32"),
    ],
)
def test_architectures_keep_gitians_words(
    described: Described, architecture: str, bits: int, personality: str
) -> None:
    assert f"\nGBUILD_BITS={bits}\n" in _script(described(), architecture=architecture)
    assert shell_argv(architecture) == ("setarch", personality, "bash", "-x")


def test_an_image_without_git_is_not_asked_for_it(described: Described) -> None:
    descriptor = described(remotes=(Remote(url="https://x.example/a.git", dir="a"),))
    assert "git" not in _script(descriptor, has_git=False)


def test_the_script_is_valid_for_bash(described: Described, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    descriptor = described(script='echo "${MAKEOPTS[@]} $NUM_PROCS $NUM_MEM $REFERENCE_TIME"')
    done = subprocess.run(
        ["bash"],
        input=_script(descriptor, num_procs=7, memory=512).encode(),
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"-j7 7 512 12:00:00\n"


def test_the_declared_reference_is_used_word_for_word(described: Described) -> None:
    reference = reference_of(described(reference_datetime="2013-06-01 00:00:00"), [5])
    assert reference == Reference("2013-06-01 00:00:00", 1370044800)
    assert (reference.date, reference.time) == ("2013-06-01", "00:00:00")


def test_the_last_remotes_author_date_is_the_default(described: Described) -> None:
    reference = reference_of(described(reference_datetime=None), [5, 1706702400])
    assert reference == _REFERENCE


def test_no_reference_at_all_is_refused_as_in_gitian(described: Described) -> None:
    with pytest.raises(DescriptorInvalid, match="reference time") as caught:
        reference_of(described(reference_datetime=None), [])
    assert "reference_datetime" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "  ", "2024'; rm -rf ~ #", "2024-01-31\n12:00:00"])
def test_a_reference_that_could_break_the_quotes_is_refused(
    described: Described, text: str
) -> None:
    with pytest.raises(DescriptorInvalid):
        reference_of(described(reference_datetime=text), [])


def test_a_reference_that_is_no_date_is_fine_until_the_epoch_is_wanted(
    described: Described,
) -> None:
    odd = described(reference_datetime="Thu Jan 1 2015")
    assert reference_of(odd, []).epoch is None
    with pytest.raises(DescriptorInvalid, match="not a date"):
        reference_of(
            described(reference_datetime="2024-02-31 00:00:00", source_date_epoch=True), []
        )
