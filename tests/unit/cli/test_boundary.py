"""Whatever a command does, the person gets one message and the right exit code."""

from __future__ import annotations

import errno
import json
import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from gbuild.cli._boundary import Session, run, shared_options
from gbuild.errors import AnswerIsNo, Busy, GbuildError, Untrusted
from gbuild.model.event import Event


@pytest.fixture(autouse=True)
def keep_signals() -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def outcome(body: Any, *arguments: str) -> int:
    @click.command(name="probe")
    @click.option("--number", type=int)
    @shared_options()
    def probe(session: Session, number: int | None) -> Any:
        return body(session)

    with pytest.raises(SystemExit) as end:
        run(probe, arguments=arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def raising(error: BaseException) -> Any:
    def body(_session: Session) -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AnswerIsNo("no"), 1),
        (Busy("taken"), 3),
        (Untrusted("bad"), 8),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "/w/out"), 3),
        (OSError(errno.EACCES, "Permission denied", "/w/out"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/w/out"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), 3),  # of getcwd
        (MemoryError(), 3),
        (ZeroDivisionError("x"), 70),
        (OSError(errno.EINVAL, "Invalid argument"), 70),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 70),
    ],
)
def test_each_failure_has_its_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert outcome(raising(error)) == code


def test_what_the_system_said_comes_without_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    outcome(raising(OSError(errno.EISDIR, "Is a directory", 4)))
    assert capsys.readouterr().err.startswith("error: Is a directory\nhint: ")
    outcome(raising(OSError(errno.EROFS, "Read-only file system", "/a", None, b"/b")))
    assert capsys.readouterr().err.startswith("error: Read-only file system: /a: /b\nhint: ")


def test_a_failure_is_brief_details_hint(capsys: pytest.CaptureFixture[str]) -> None:
    error = Untrusted("bad \x1b[1m", details=("first\nsecond",), hint="do this")
    outcome(raising(error))
    assert capsys.readouterr() == (
        "",
        "error: bad \\x1b[1m\n  first\n  second\nhint: do this\n",
    )


def test_json_failures_are_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(raising(Busy("taken", hint="wait")), "--json") == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "format": "gbuild.probe/1",
        "error": {"code": 3, "kind": "Busy", "brief": "taken", "details": [], "hint": "wait"},
    }
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["error"]


def test_an_answer_stays_the_only_object(capsys: pytest.CaptureFixture[str]) -> None:
    def body(session: Session) -> None:
        session.say("for people only")
        session.answer({"verdict": "differ"})
        raise AnswerIsNo("they differ")

    assert outcome(body, "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"format": "gbuild.probe/1", "verdict": "differ"}


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--number", "x"], ["surplus"]])
def test_usage_errors_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(lambda _session: None, *arguments) == 2
    assert "hint: probe --help" in capsys.readouterr().err
    assert outcome(lambda _session: None, "--json", *arguments) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == 2


def test_a_bug_says_so_and_keeps_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert outcome(raising(ValueError("odd"))) == 70
    (kept,) = tmp_path.iterdir()
    assert "ValueError: odd" in kept.read_text()
    error = capsys.readouterr().err
    assert "this is a bug in gbuild: ValueError: odd" in error
    assert str(kept) in error
    assert "Traceback" not in error


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(raising(AnswerIsNo("no")), "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_command_may_return_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(lambda _session: 8) == 8
    assert outcome(lambda session: session.say("fine")) == 0
    assert capsys.readouterr() == ("fine\n", "")


def test_sigterm_ends_like_an_interrupt_and_cleans_up() -> None:
    cleaned = []

    def body(_session: Session) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)  # a second one does not stop the cleaning
            cleaned.append(True)

    assert outcome(body) == 130
    assert cleaned == [True]


def test_workspace_and_store_are_where_they_were_asked_for(tmp_path: Path) -> None:
    def body(session: Session) -> None:
        assert session.workspace == tmp_path
        assert session.store.root == tmp_path / "store"

    assert outcome(body, "--workspace", str(tmp_path), "--store", str(tmp_path / "store")) == 0


def test_a_missing_workspace_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(lambda session: session.workspace, "--workspace", "/nonexistent/w") == 2
    assert "mkdir -p /nonexistent/w" in capsys.readouterr().err


def test_quiet_reaches_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    def body(session: Session) -> None:
        session.sink(Event("step", "working"))
        session.sink(Event("warning", "careful"))

    outcome(body, "-q")
    assert capsys.readouterr().err == "warning: careful\n"


def test_every_error_family_has_its_own_code() -> None:
    families = {cls.__name__: cls.exit_code for cls in GbuildError.__subclasses__()}
    assert len(set(families.values())) == len(families)
    assert sys.modules["gbuild.errors"].INTERRUPTED not in families.values()


def test_every_command_takes_every_shared_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.group(name="family")
    def family() -> None: ...

    @family.command()
    @shared_options(workspace=False, store=False)
    def child(session: Session) -> None:
        session.answer({"fine": True})

    for arguments in (
        ["--workspace", str(tmp_path), "--store", str(tmp_path), "--json"],
        ["--help"],
    ):
        with pytest.raises(SystemExit) as end:
            run(family, arguments=["child", *arguments])
        assert end.value.code == 0
    text = capsys.readouterr().out
    assert json.loads(text.partition("Usage")[0]) == {
        "format": "gbuild.family.child/1",
        "fine": True,
    }
    assert "--workspace" not in text


def test_json_among_the_words_of_another_command_is_not_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command(name="probe", context_settings={"allow_interspersed_args": False})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @shared_options()
    def probe(session: Session, words: tuple[str, ...]) -> None:
        raise Busy(f"taken: {' '.join(words)}")

    with pytest.raises(SystemExit):
        run(probe, arguments=["tool", "--json"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: taken: tool --json")
