"""``mien predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import (
    AbstainBelow,
    Detector,
    FramesPerSecond,
    Json,
    MaxPixels,
    PhotosAtOnce,
    Thorough,
    Tight,
    detector_of,
    refuse_beside,
)
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.inference.pipeline import Summary


def predict(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Photos, videos, folders or patterns; - reads paths from stdin.",
            show_default=False,
        ),
    ] = None,
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
    files_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="LIST", help="Read more paths from this file; may be repeated."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier run for this table ended.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Read every N-th input only, from the I-th on."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Join the shards of the table and do nothing else.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what is added to the folders.")
    ] = False,
    idle: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="SECONDS", help="Stop to watch when nothing was new for so long."
        ),
    ] = None,
    tight: Tight = False,
    thorough: Thorough = False,
    detector: Detector = None,
    fps: FramesPerSecond = None,
    rows: Annotated[
        str | None,
        typer.Option(help="One row per person (summary), frame (frames) or clip (clips)."),
    ] = None,
    max_pixels: MaxPixels = None,
    abstain_below: AbstainBelow = None,
    blendshapes: Annotated[
        bool,
        typer.Option("--blendshapes", help="Add the 52 blendshapes of each face (rows of frames)."),
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Decode large JPEGs in full, not at the size that faces need."
        ),
    ] = False,
    threads: PhotosAtOnce = None,
    as_json: Json = False,
) -> None:
    """Run a model on the faces in photos and videos.

    Every input gives at least one row. The exit code is 1 if some input could not be read.
    """
    from mien.inference.pipeline import Watched, write_predictions
    from mien.inference.work.folder import Shard

    if merge:
        given = {
            "--model": model,
            "--annotate": annotate,
            "--files-from": files_from,
            "--resume": resume,
            "--shard": shard,
            "--watch": watch,
            "--idle": idle,
            "--tight": tight,
            "--thorough": thorough,
            "--detector": detector,
            "--fps": fps,
            "--rows": rows,
            "--max-pixels": max_pixels,
            "--abstain-below": abstain_below is not None,
            "--blendshapes": blendshapes,
            "--whole": whole,
            "--threads": threads,
        }
        refuse_beside("--merge", given, "it only joins shards that were written before")
        _end(_merged(inputs, out), as_json=as_json)
        return
    if not inputs and not files_from:
        raise typer.BadParameter(
            "expected photos, videos or folders, got none; name some, or - for a list"
        )
    if idle is not None and not watch:
        raise MienError("expected --watch with --idle, got no folder to watch; add --watch")
    make_detector = detector_of(detector, thorough)
    summary = write_predictions(
        inputs or [],
        models=model or ["fer"],
        out=out,
        annotate=annotate,
        rows=rows,
        fps=fps,
        tight=tight,
        detector=None if make_detector is None else make_detector(),
        max_pixels=max_pixels,
        abstain_below=abstain_below,
        blendshapes=blendshapes,
        whole=whole,
        lists=files_from or [],
        watched=Watched(idle) if watch else None,
        resume=resume,
        shard=None if shard is None else Shard.parse(shard),
        threads=threads,
        lines=None if out or as_json else sys.stdout,
        json=sys.stdout if as_json else None,
    )
    _end(summary, as_json=as_json)


def _merged(inputs: list[str] | None, out: Path | None) -> Summary:
    from mien.inference.pipeline import merge

    if inputs:
        raise MienError(
            f"expected no inputs with --merge, got {inputs[0]!r}; name the table with --out"
        )
    if out is None:
        raise MienError("expected --out with --merge, got no table; name the one of the shards")
    return merge(out)


def _end(summary: Summary, *, as_json: bool) -> None:
    if summary.sentence and not as_json:
        print(summary.sentence)
    if summary.incomplete:
        raise typer.Exit(1)
