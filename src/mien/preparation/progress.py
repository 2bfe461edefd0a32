"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mien.terminal import shows_progress

Progress = Callable[[int, int], None]
"""Called with the number of finished entries and the total."""


@contextlib.contextmanager
def shown_progress(progress: Progress | None, total: int, name: str) -> Iterator[Progress]:
    """Yield the caller's ``progress``, or a bar with this name, or nothing without a terminal."""
    if progress is not None or not shows_progress():
        yield progress or (lambda done, total: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done, total: bar.update(task, completed=done)
