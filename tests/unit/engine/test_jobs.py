"""Jobs side by side: an interruption at any moment ends what was started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from gbuild.engine import jobs
from gbuild.errors import BackendFailure


class Interrupted(ThreadPoolExecutor):
    """Takes a job, and has ctrl-C come before that is told."""

    def submit(self, job: Callable[..., Any], /, *words: Any, **more: Any) -> Future[Any]:
        super().submit(job, *words, **more)
        raise KeyboardInterrupt


def test_a_job_that_is_being_handed_out_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ThreadPoolExecutor", Interrupted)
    ended = threading.Event()
    waited: list[bool] = []

    def one(_job: object) -> BackendFailure:
        waited.append(ended.wait(60))
        return BackendFailure("the target was ended")

    job: Any = object()
    with pytest.raises(KeyboardInterrupt):
        jobs._side_by_side(one, [job], 1, ended.set)
    assert ended.is_set()
    assert waited in ([], [True]), "it had not begun, or did not have to wait for its end"
