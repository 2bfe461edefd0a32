"""The queue: full, slow, and free again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mien.serving.problems import Problem
from mien.serving.workers import Workers


def run(workers: Workers, work: Callable[[], Any], seconds: float = 10) -> Any:
    async def asked() -> Any:
        with workers.admission() as admission:
            return await admission.run(work, seconds)

    return asyncio.run(asked())


def test_what_is_full_says_when_to_come_again() -> None:
    workers = Workers(threads=1, queue=2)
    with workers.admission(), workers.admission():
        assert workers.admitted == 2
        with pytest.raises(Problem) as refused, workers.admission():
            pass
    assert refused.value.status == 429
    assert int(refused.value.headers["retry-after"]) >= 1
    assert workers.admitted == 0
    assert run(workers, lambda: 3) == 3
    workers.close()


def test_a_place_is_free_after_an_error() -> None:
    workers = Workers(threads=1, queue=1)
    with pytest.raises(ZeroDivisionError):
        run(workers, lambda: 1 / 0)
    assert workers.admitted == 0 and run(workers, lambda: 4) == 4
    workers.close()


def test_what_is_slow_holds_its_place_until_it_ends() -> None:
    workers, release = Workers(threads=1, queue=2), threading.Event()
    with pytest.raises(Problem) as slow:
        run(workers, lambda: release.wait(30), seconds=0.05)
    assert slow.value.status == 504 and workers.admitted == 1
    with pytest.raises(Problem) as waiting:
        run(workers, lambda: None, seconds=0.05)
    assert waiting.value.status == 503 and "retry-after" in waiting.value.headers
    assert workers.admitted == 1
    release.set()
    workers.close()
    assert workers.admitted == 0


def test_requests_beyond_the_queue_get_429_and_the_others_their_answer(
    start: Any, photo: bytes, refused: Callable[..., None]
) -> None:
    client = start(queue=2, threads=1)
    service, release = client.app.state.service, threading.Event()
    predict = service.predict

    def slow(*arguments: Any, **options: Any) -> Any:
        release.wait(30)
        return predict(*arguments, **options)

    service.predict = slow
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(client.post, "/v1/predict", content=photo) for _ in range(2)]
        end = time.monotonic() + 30
        while service.workers.admitted < 2 and time.monotonic() < end:
            time.sleep(0.01)
        response = client.post("/v1/predict", content=photo)
        refused(response, 429, "at most 2 requests")
        assert int(response.headers["retry-after"]) >= 1
        release.set()
        assert [each.result().status_code for each in begun] == [200, 200]
    assert client.post("/v1/predict", content=photo).status_code == 200
