"""Chunks over processes: bounded, stopped by Ctrl-C between two images, never orphaned."""

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
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Protocol

from mien.schema import MienError

Chunk = tuple[list[Any], Path]
"""Entries, and the part file they go to."""


class PartWriter(Protocol):
    """What works in a process: it turns entries into a part file, which appears complete."""

    def write_part(self, entries: Sequence[Any], path: Path) -> None:
        """Write the part; raise :class:`Stopped` between two entries when called off."""

    def close(self) -> None:
        """Release what the writer holds."""


class Stopped(Exception):
    """The work was called off between two images."""


_writer: PartWriter | None = None


def available_cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_parts(
    chunks: Iterable[Chunk], make_writer: Callable[..., PartWriter], *, workers: int
) -> Generator[int, None, None]:
    """Write the part file of every chunk; yields the number of entries of each as it is done.

    ``make_writer`` makes a writer in each process, there with the argument ``stopped``, a function
    that says whether the work was called off; it must be picklable. ``chunks`` is read as far
    ahead as the workers need. What a worker raises is raised here, after the others have stopped.
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
    # A forked copy of MediaPipe's or Arrow's threads would hang, so processes start afresh.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    running: dict[Future[None], int] = {}
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(make_writer, stop)
    ) as pool:
        try:
            for entries, path in chunks:
                while len(running) >= 2 * workers:
                    yield from _finished(running)
                with _interrupts_held(), _one_thread_each():
                    running[pool.submit(_write_part, entries, path)] = len(entries)
            while running:
                yield from _finished(running)
        except BrokenProcessPool:
            raise MienError(
                "expected the worker processes to live, got one that ended, for want of memory or "
                'in a script without `if __name__ == "__main__":`: run the same again with one '
                "worker, it goes on where it was"
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
def _interrupts_held() -> Iterator[None]:
    """Start processes with Ctrl-C blocked: it is this process that stops them, in order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Start processes whose linear algebra has one thread; theirs would wait for each other.

    NumPy reads these when it is imported, which a new process does before anything of ours.
    """
    ours = {name: "1" for name in _THREADS if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _start(make_writer: Callable[..., PartWriter], stop: Event) -> None:
    import cv2

    global _writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _writer = make_writer(stopped=stop.is_set)


def _end_with_parent() -> None:
    """End this process when its parent was killed; the pool itself would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _write_part(entries: list[Any], path: Path) -> None:
    if _writer is None:
        raise RuntimeError("expected a worker that _start has prepared")
    _writer.write_part(entries, path)
