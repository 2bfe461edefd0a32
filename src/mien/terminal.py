"""How much a command tells on stderr while it works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_quiet = False


def be_quiet(quiet: bool) -> None:
    """Show no progress from now on, or show it again; errors are always told."""
    global _quiet
    _quiet = quiet


def shows_progress() -> bool:
    """Whether a progress bar may be drawn: on a terminal, unless told to be quiet."""
    return sys.stderr.isatty() and not _quiet


def tell(text: str) -> None:
    """Print one line on stderr, unless told to be quiet."""
    if not _quiet:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(
    name: str, total: int | None = None, *, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """A bar on stderr; yields what takes how many are done. Only on a terminal, where ``shown``.

    ``total`` is None where it is not known.
    """
    if not (shown and shows_progress()):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        number = bar.add_task(name, total=total)
        yield lambda done: bar.update(number, completed=done)
