"""``mien predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Detector, Json, MaxPixels, Thorough, Tight, detector_of


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Photos, videos or folders; - reads paths from stdin."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="A model; may be repeated (default: fer)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a .csv, .parquet or .jsonl table.")
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write annotated photos and videos to this folder."),
    ] = None,
    tight: Tight = False,
    thorough: Thorough = False,
    detector: Detector = None,
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, help="Frames per second to read (videos only; default: 5)."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="One row per person (summary), frame (frames) or clip (clips)."),
    ] = None,
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Run a model on the faces in photos and videos.

    Every input gives at least one row. The exit code is 1 if some input could not be read.
    """
    from mien.inference.pipeline import write_predictions

    make_detector = detector_of(detector, thorough)
    summary = write_predictions(
        inputs,
        models=model or ["fer"],
        out=out,
        annotate=annotate,
        rows=rows,
        fps=fps,
        tight=tight,
        detector=None if make_detector is None else make_detector(),
        max_pixels=max_pixels,
        lines=None if out or as_json else sys.stdout,
        json=sys.stdout if as_json else None,
    )
    if summary.sentence and not as_json:
        print(summary.sentence)
    if summary.incomplete:
        raise typer.Exit(1)
