"""Threads that run the models, behind a queue of limited length."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from mien.serving.problems import Problem

Result = TypeVar("Result")


class Workers:
    """``threads`` threads and room for ``queue`` requests, those that run included.

    A thread that runs cannot be stopped: what took too long is answered, and counts until it has
    ended.
    """

    def __init__(self, *, threads: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mien-predict")
        self._threads, self._queue = threads, queue
        self._lock = threading.Lock()
        self._admitted = 0
        self._mean_seconds = 0.1

    @property
    def admitted(self) -> int:
        """Requests that are received, waiting or running."""
        return self._admitted

    @contextmanager
    def admission(self) -> Iterator[Admission]:
        """A place in the queue; raises :class:`Problem` (429) where there is none."""
        with self._lock:
            if self._admitted >= self._queue:
                wait = max(1, math.ceil(self._mean_seconds * self._queue / self._threads))
                raise Problem(
                    429,
                    f"expected at most {self._queue} requests at a time, got one more; try again "
                    f"in {wait} s",
                    headers={"retry-after": str(wait)},
                )
            self._admitted += 1
        admission = Admission(self)
        try:
            yield admission
        finally:
            # What still runs gives the place back when it ends.
            if admission.running is None or admission.running.done():
                self._leave()
            else:
                admission.running.add_done_callback(lambda _: self._leave())

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Queue ``work``; its time counts for the estimate of ``Retry-After``."""

        def timed() -> Result:
            started = time.perf_counter()
            try:
                return work()
            finally:
                seconds = time.perf_counter() - started
                self._mean_seconds += 0.05 * (seconds - self._mean_seconds)

        return self._pool.submit(timed)

    def close(self) -> None:
        """Wait for what runs, and drop what waits."""
        self._pool.shutdown(cancel_futures=True)

    def _leave(self) -> None:
        with self._lock:
            self._admitted -= 1


class Admission:
    """One request's place in the queue."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.running: Future[object] | None = None

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """The result of ``work``, which runs in one of the threads, within ``seconds``.

        Raises :class:`Problem`: 503 where no thread had time for it, 504 where it took too long.
        """
        future = self._workers.submit(work)
        self.running = future  # type: ignore[assignment]
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            if future.cancelled():
                raise Problem(
                    503,
                    f"expected a turn within {seconds:g} seconds, got none, as the server is busy; "
                    "try again later",
                    headers={"retry-after": str(math.ceil(seconds))},
                ) from None
            raise Problem(
                504,
                f"expected an answer within {seconds:g} seconds, got none; send fewer or smaller "
                "pictures",
            ) from None
