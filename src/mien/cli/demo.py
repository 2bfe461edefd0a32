"""``mien demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")] = Path(
        "demo-output"
    ),
) -> None:
    """Run every step once on a photo and on rendered faces."""
    from mien.demo import run_demo

    run_demo(out)
