"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mien.terminal import progress_bar

Progress = Callable[[int, int], None]
"""Called with the number of finished entries and the total."""


@contextlib.contextmanager
def shown_progress(progress: Progress | None, total: int, name: str) -> Iterator[Progress]:
    """Yield the caller's ``progress``, or a bar with this name, or nothing without a terminal."""
    if progress is not None:
        yield progress
        return
    with progress_bar(name, total) as show:
        yield lambda done, _: show(done)
