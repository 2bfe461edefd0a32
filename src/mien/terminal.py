"""How much a command tells on stderr while it works."""

from __future__ import annotations

import sys

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
