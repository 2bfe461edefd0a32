"""Chunks of work over processes, which Ctrl-C stops between two images and none outlives us."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event, Lock
from pathlib import Path
from typing import Any, Protocol

from mien.errors import MienError

Chunk = tuple[list[Any], Path]
"""Entries, and the part file that they are written to."""


class PartWriter(Protocol):
    """Does the work of one process: turns entries into a part file, written atomically."""

    def write_part(self, entries: Sequence[Any], path: Path) -> None:
        """Write the part; raise :class:`Stopped` between two entries when the work is canceled."""

    def close(self) -> None:
        """Release the writer's resources."""


class Stopped(Exception):
    """The work was canceled between two images."""


_writer: PartWriter | None = None
_lock: Lock | None = None


def one_at_a_time() -> contextlib.AbstractContextManager[object]:
    """Wait until no other worker process is within this; for what takes much memory."""
    return contextlib.nullcontext() if _lock is None else _lock


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_parts(
    chunks: Iterable[Chunk], make_writer: Callable[..., PartWriter], *, workers: int
) -> Generator[int, None, None]:
    """Write the part file of every chunk; yield the number of entries of each when it is done.

    ``make_writer`` makes a writer in each process and must be picklable. Worker processes pass it
    the argument ``stopped``, a function that says whether the work was canceled. ``chunks`` is
    read only as far ahead as the workers need. An error in a worker is raised here, after the
    others have stopped.
    """
    if workers == 1:
        writer = make_writer()
        try:
            for entries, path in chunks:
                writer.write_part(entries, path)
                yield len(entries)
        finally:
            writer.close()
        return
    # A forked copy of Arrow's threads would hang, so processes are spawned.
    context = multiprocessing.get_context("spawn")
    stop, lock = context.Event(), context.Lock()
    running: dict[Future[None], int] = {}
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(make_writer, stop, lock)
    ) as pool:
        try:
            for entries, path in chunks:
                while len(running) >= 2 * workers:
                    yield from _finished(running)
                with _interrupts_blocked(), _one_thread_each():
                    running[pool.submit(_write_part, entries, path)] = len(entries)
            while running:
                yield from _finished(running)
        except BrokenProcessPool:
            raise MienError(
                "expected worker processes to finish, got one that died, from lack of memory or "
                'in a script without `if __name__ == "__main__":`: run the same command again with '
                "one worker, it resumes after the finished parts"
            ) from None
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _finished(running: dict[Future[None], int]) -> Iterator[int]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        count = running.pop(future)
        future.result()
        yield count


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes with Ctrl-C blocked, because this process stops them in order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Start processes with one thread for linear algebra, so that they do not compete for cores.

    NumPy reads these variables when it is imported, before any of our code runs in a new process.
    """
    variables = {name: "1" for name in _THREADS if name not in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)


def _start(make_writer: Callable[..., PartWriter], stop: Event, lock: Lock) -> None:
    import cv2

    global _lock, _writer
    _lock = lock
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _writer = make_writer(stopped=stop.is_set)


def _end_with_parent() -> None:
    """End this process when its parent is killed; the pool itself would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _write_part(entries: list[Any], path: Path) -> None:
    if _writer is None:
        raise RuntimeError("expected a worker that _start has initialized, got none")
    _writer.write_part(entries, path)
