"""Jobs side by side: an interruption at any moment ends what was started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from gbuild.engine import jobs


class Interrupted(ThreadPoolExecutor):
    """Takes a job, and has ctrl-C come before that is told."""

    def submit(self, job: Callable[..., Any], /, *words: Any, **more: Any) -> Future[Any]:
        super().submit(job, *words, **more)
        raise KeyboardInterrupt


def test_a_job_that_is_being_handed_out_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ThreadPoolExecutor", Interrupted)
    ended = threading.Event()
    waited: list[bool] = []

    with pytest.raises(KeyboardInterrupt), jobs.threads(1, ended.set, name="job") as pool:
        pool.submit(lambda: waited.append(ended.wait(60)))
    assert ended.is_set()
    assert waited in ([], [True]), "it had not begun, or did not have to wait for its end"
