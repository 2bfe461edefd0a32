"""``mien live``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mien.cli.options import AbstainBelow

if TYPE_CHECKING:
    from mien.inference.live.views import View
    from mien.inference.rows import Rows

_SIGNALS = ("SIGTERM", "SIGHUP")


def live(
    source: Annotated[
        str,
        typer.Argument(metavar="[CAMERA|VIDEO]", help="A camera's number or device, or a video."),
    ] = "0",
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="A model of faces.")] = "fer",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a .csv, .parquet or .jsonl table.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is shown to this .mp4 file.")
    ] = None,
    smooth: Annotated[
        float,
        typer.Option(
            min=0,
            max=60,
            metavar="SECONDS",
            help="Smooth over so long, which is the delay; 0: not.",
        ),
    ] = 0.5,
    baseline: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=600,
            metavar="SECONDS",
            help="Readings relative to each person's first seconds, at rest.",
        ),
    ] = None,
    window: Annotated[
        bool | None,
        typer.Option("--window/--no-window", help="A window, or lines here (default: if it can)."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="End after so long.")
    ] = None,
    abstain_below: AbstainBelow = None,
) -> None:
    """Show what faces in front of a camera express.

    A video is read as if it were a camera. Frames that come while one is read are dropped. Nothing
    is stored unless --out or --video says so. The exit code is 1 if the camera or the video ended
    before its time.
    """
    from mien.inference.live.live import run_live
    from mien.inference.live.notice import TELL_FIRST
    from mien.inference.live.views import window_or_terminal

    for name in _SIGNALS:
        if hasattr(signal, name):  # not all are there on Windows
            signal.signal(getattr(signal, name), _interrupt)
    make_view = window_or_terminal(window, f"mien: {source}", lines=out is None)

    def told(rows: Rows, notice: str) -> View:
        print(f"mien: {notice} {TELL_FIRST}", file=sys.stderr, flush=True)
        return make_view(rows, notice)

    session = run_live(
        source,
        told,
        model=model,
        out=out,
        video=video,
        smooth=smooth,
        baseline=baseline,
        seconds=seconds,
        abstain_below=abstain_below,
    )
    print(f"mien: {session.sentence}", file=sys.stderr)
    if session.broken:
        raise typer.Exit(1)


def _interrupt(number: int, frame: object) -> NoReturn:
    """End as by Ctrl-C, with what is written completed."""
    raise KeyboardInterrupt
