"""``mien synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Color, Json, Like, Margin, Size, Workers
from mien.errors import MienError


def synth(
    out: Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset folder to create.")],
    faces: Annotated[int | None, typer.Option(help="Number of faces (default: 1000).")] = None,
    videos: Annotated[
        int | None, typer.Option(help="Number of videos, with severity, instead of faces.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length of each video in seconds (default: 8).")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Easy faces: frontal, soft light, strong expressions.")
    ] = False,
    seed: Annotated[int, typer.Option(help="A different seed gives different people.")] = 0,
    like: Like = None,
    size: Size = None,
    color: Color = None,
    margin: Margin = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Render a dataset of synthetic faces, with every label known.

    Resumes after an interruption: run the same command again.
    """
    from mien.cli.options import preprocessing
    from mien.cli.printing import print_counts, print_json
    from mien.synthetic.corpus import write_faces, write_videos

    if faces is not None and videos is not None:
        raise MienError("expected either --faces or --videos, got both; leave one out")
    if seconds is not None and videos is None:
        raise MienError("expected --videos with --seconds, got none; say how many videos")
    if plain and videos is not None:
        raise MienError("expected --plain with faces, got it with --videos; leave one out")
    crops = preprocessing("rgb", like=like, size=size, color=color, margin=margin)
    if videos is None:
        dataset = write_faces(
            out,
            faces=1000 if faces is None else faces,
            seed=seed,
            plain=plain,
            preprocessing=crops,
            workers=workers,
        )
    else:
        dataset = write_videos(
            out,
            videos=videos,
            seconds=8.0 if seconds is None else seconds,
            seed=seed,
            preprocessing=crops,
            workers=workers,
        )
    if as_json:
        print_json(dataset.info)
        return
    print_counts(dataset.info)
    print(f"{len(dataset)} rendered faces in {out}")
