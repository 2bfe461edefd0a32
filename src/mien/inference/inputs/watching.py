"""Folders that grow: each file is a source once it has stopped changing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mien.inference.inputs.sources import Source, find_sources, folder_sources

SETTLED_SECONDS = 2.0
"""A file that has not changed for this long is taken to be whole."""
_POLL_SECONDS = 0.5
# Of the time, at most this share is spent looking.
_MOST_LOOKING = 0.1


class FileState(NamedTuple):
    """What tells that a file has changed: its size, and when it was last written to."""

    size: int
    mtime_ns: int


def file_state(path: str) -> FileState | None:
    """The state of a file; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
    return FileState(status.st_size, status.st_mtime_ns)


def watch(
    inputs: Iterable[str],
    *,
    lists: Sequence[str | os.PathLike[str]] = (),
    videos: bool = False,
    idle: float | None = None,
    read: Mapping[str, FileState] | None = None,
    settled: float = SETTLED_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Source | None]:
    """The sources of inputs, and of what is added to the folders among them; endless.

    Parameters
    ----------
    inputs, lists
        As for :func:`~mien.inference.inputs.sources.find_sources`; what is no folder comes first.
    videos
        Whether videos in folders are sources.
    idle
        End when nothing has been new or changing for so many seconds.
    read
        Files that have been sources before, with their states then.
    settled
        A file is a source once it has not changed for so many seconds. One that changes later is
        a source again.
    clock, sleep
        The time in seconds, and how to wait.

    None stands for "nothing more for now".
    """
    paths = [os.fsdecode(each) for each in inputs]
    folders = [path for path in paths if os.path.isdir(path)]
    others = [path for path in paths if path not in folders]
    yield from find_sources(others, lists=lists, videos=videos)
    watched = _Watched(folders, videos, settled, dict(read or {}))
    changed = clock()
    while True:
        started = clock()
        sources, waiting = watched.look(started)
        yield from sources
        if sources or waiting:
            changed = clock()
        elif idle is not None and clock() - changed >= idle:
            return
        yield None
        sleep(max(_POLL_SECONDS, (clock() - started) / _MOST_LOOKING if not sources else 0.0))


@dataclass
class _Watched:
    folders: list[str]
    videos: bool
    settled: float
    read: dict[str, FileState]
    faults: set[Source] = field(default_factory=set)
    changing: dict[str, tuple[FileState, float]] | None = None

    def look(self, now: float) -> tuple[list[Source], bool]:
        """What has come to rest since the last look, and whether something has not yet."""
        before, self.changing = self.changing, {}
        present: set[str] = set()
        sources = []
        for source in self._listed():
            if source.fault:
                sources += [source] if source not in self.faults else []
                self.faults.add(source)
                continue
            state = file_state(source.path)
            if state is None or source.path in present:
                continue
            present.add(source.path)
            if self.read.get(source.path) == state:
                continue
            if before is None:
                # What has long been there when the watch begins need not be waited for.
                rested = time.time() - state.mtime_ns / 1e9
                since = now - rested if rested > 0 else now
            else:
                last, since = before.get(source.path, (None, now))
                since = since if last == state else now
            if now - since >= self.settled:
                sources.append(source)
                self.read[source.path] = state
            else:
                self.changing[source.path] = state, since
        # Files that are gone are forgotten, so memory follows the folders.
        self.read = {path: state for path, state in self.read.items() if path in present}
        return sources, bool(self.changing)

    def _listed(self) -> Iterator[Source]:
        for folder in self.folders:
            yield from folder_sources(folder, videos=self.videos, growing=True)
