"""Logs that end, and whose last lines are at hand."""

from __future__ import annotations

from pathlib import Path

from gbuild.engine.joblog import JobLog
from gbuild.model.event import Event


def test_a_log_is_written_as_it_comes(tmp_path: Path) -> None:
    with JobLog(tmp_path / "log", label="bookworm-amd64") as log:
        log.write(b"one\n")
        assert (tmp_path / "log").read_bytes() == b"one\n"


def test_a_log_ends_at_its_limit_and_says_so(tmp_path: Path) -> None:
    with JobLog(tmp_path / "log", label="x", limit=10) as log:
        for _ in range(1000):
            log.write(b"0123456")
        log.write(b"\nlast\n")
        assert log.truncated
        assert log.last_lines(1) == ("last",)
    text = (tmp_path / "log").read_bytes()
    assert text.startswith(b"0123456012\n[gbuild: the log ends here")
    assert len(text) < 100


def test_the_tail_holds_no_more_than_it_needs(tmp_path: Path) -> None:
    with JobLog(tmp_path / "log", label="x") as log:
        log.write(b"x" * (1 << 20) + b"\n")
        for number in range(50_000):
            log.write(f"{number}\n".encode())
        assert log.last_lines(2) == ("49998", "49999")
        assert sum(map(len, log._tail)) < (1 << 17)


def test_output_is_shown_only_when_somebody_asked(tmp_path: Path) -> None:
    seen: list[Event] = []
    with JobLog(tmp_path / "log", label="bookworm-i386", sink=seen.append) as log:
        log.write(b"caf\xe9\n")
    assert seen == [Event("output", "caf\N{REPLACEMENT CHARACTER}\n", {"job": "bookworm-i386"})]
