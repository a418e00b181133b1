"""Which backend a command uses, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild import app
from gbuild.cli._session import Session
from gbuild.errors import UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event, discard
from gbuild.target.backend import Backend


def chosen(wanted: str | None = None, **environment: str) -> tuple[str, list[str]]:
    notes: list[Event] = []
    name = app.chosen_backend(wanted, environment=environment, sink=notes.append)
    return name, [note.text for note in notes]


def test_the_default_is_userns() -> None:
    assert chosen() == ("userns", [])


def test_the_command_line_goes_before_the_environment() -> None:
    assert chosen("kvm", GBUILD_BACKEND="lxc") == ("kvm", [])
    assert chosen(GBUILD_BACKEND="lxc") == ("lxc", [])


@pytest.mark.parametrize(
    ("variable", "name"), [("USE_LXC", "lxc"), ("USE_VBOX", "virtualbox"), ("USE_DOCKER", "oci")]
)
def test_gitians_variables_choose_with_a_note(variable: str, name: str) -> None:
    found, notes = chosen(**{variable: "1"})
    assert found == name
    assert len(notes) == 1
    assert variable in notes[0]
    assert f"GBUILD_BACKEND={name}" in notes[0]


def test_an_empty_variable_says_nothing() -> None:
    assert chosen(USE_LXC="") == ("userns", [])


def test_of_several_gitians_first_wins() -> None:
    assert chosen(USE_DOCKER="1", USE_VBOX="1", USE_LXC="1")[0] == "lxc"


def test_ours_go_before_gitians_and_say_so() -> None:
    found, notes = chosen("userns", USE_LXC="1")
    assert (found, len(notes)) == ("userns", 1)
    assert "--backend goes before it" in notes[0]
    assert chosen("lxc", USE_LXC="1") == ("lxc", [])


class Fake(Backend):
    """A backend with one option."""

    name = "fake"
    summary = needs = ""
    settings: ClassVar[Mapping[str, str]] = {"remote": "where it is"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    Fake.__abstractmethods__ = frozenset()
    monkeypatch.setattr(app, "_backend_class", lambda _name: Fake)


def make(tmp_path: Path, configuration: str = "", **options: str) -> Backend:
    folder = tmp_path / "gbuild"
    folder.mkdir()
    (folder / "config.toml").write_text(configuration)
    return app.make_backend(
        "fake",
        store=Store(tmp_path / "store"),
        environment={"XDG_CONFIG_HOME": str(tmp_path)},
        sink=discard,
        options=options,
    )


@pytest.mark.usefixtures("fake")
class TestOptions:
    def test_the_configuration_gives_options(self, tmp_path: Path) -> None:
        made = make(tmp_path, '[backends.fake]\nremote = "here"\n[backends.other]\nx = 1\n')
        assert made.options == {"remote": "here"}

    def test_the_command_line_goes_before_it(self, tmp_path: Path) -> None:
        made = make(tmp_path, "[backends.fake]\nremote = 5\n", remote="there")
        assert made.options == {"remote": "there"}

    def test_values_become_text(self, tmp_path: Path) -> None:
        assert make(tmp_path, "[backends.fake]\nremote = true\n").options == {"remote": "true"}

    def test_an_unknown_one_lists_those_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(UsageFailure, match="no option 'bogus'") as caught:
            make(tmp_path, bogus="x")
        assert caught.value.details == ("remote: where it is",)

    def test_an_unknown_one_in_the_file_names_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageFailure, match=r"'bogus' \(.*config\.toml\)"):
            make(tmp_path, "[backends.fake]\nbogus = 1\n")

    @pytest.mark.parametrize(
        "text", ["backends = 1", "[backends]\nfake = 1", "[backends.fake]\nremote = [1]"]
    )
    def test_a_wrong_shape_is_told(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(UsageFailure, match="not a configuration"):
            make(tmp_path, text)


@pytest.mark.parametrize("pair", ["novalue", "=x", ""])
def test_a_pair_that_is_none(pair: str) -> None:
    session = Session(command="gtarget", environment={})
    session.backend_pairs = ("a=b=c", pair)
    with pytest.raises(UsageFailure, match="not KEY=VALUE"):
        _ = session.backend_options
    session.backend_pairs = ("a=b=c", "d=")
    assert session.backend_options == {"a": "b=c", "d": ""}
