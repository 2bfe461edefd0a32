"""``mien index``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import (
    Detector,
    FramesPerSecond,
    Json,
    MaxPixels,
    PhotosAtOnce,
    Thorough,
    Tight,
    detector_of,
)


def index(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="DATASET|INPUT...", help="A dataset; or photos, videos, folders."),
    ],
    out: Annotated[Path, typer.Option(metavar="INDEX", help="The folder to create.")],
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The model that makes the embeddings.")
    ] = "fer",
    split: Annotated[
        str | None, typer.Option(help="Index this split of the dataset only (default: all).")
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails", help="Store the crops too, for when the files will not be there."
        ),
    ] = False,
    tight: Tight = False,
    thorough: Thorough = False,
    detector: Detector = None,
    fps: FramesPerSecond = None,
    max_pixels: MaxPixels = None,
    threads: PhotosAtOnce = None,
    as_json: Json = False,
) -> None:
    """Make an index of faces for `mien search`.

    The exit code is 1 if some input could not be read.
    """
    from mien.cli.printing import print_json
    from mien.schema import Status
    from mien.search.build import build_index

    make_detector = detector_of(detector, thorough)
    made = build_index(
        inputs,
        out,
        model=model,
        split=split,
        thumbnails=thumbnails,
        detector=None if make_detector is None else make_detector(),
        tight=tight,
        fps=fps,
        max_pixels=max_pixels,
        threads=threads,
    )
    info = made.info
    if as_json:
        print_json(info.model_dump(mode="json"))
    else:
        left_out = ", ".join(f"{count:,} {status}" for status, count in info.left_out.items())
        print(
            f"{info.faces:,} faces by the model {info.model.name} in {out}"
            + (f"; left out: {left_out} (left_out.csv)" if left_out else "")
        )
    if Status.UNREADABLE.value in info.left_out:
        raise typer.Exit(1)
