"""``mien prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.cli.options import (
    Color,
    Detector,
    Json,
    Like,
    Margin,
    MaxPixels,
    Size,
    Thorough,
    Tight,
    Workers,
    detector_of,
)
from mien.errors import MienError


def prepare(
    corpus: Annotated[str, typer.Argument(help="The name of a corpus; see `mien corpora`.")],
    source: Annotated[
        Path, typer.Argument(help="Where the corpus is, laid out as it was published.")
    ],
    out: Annotated[Path, typer.Option(metavar="DATASET", help="The dataset folder to create.")],
    like: Like = None,
    size: Size = None,
    color: Color = None,
    margin: Margin = None,
    tight: Tight = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Detect landmarks in tight crops, too.")
    ] = False,
    align: Annotated[
        bool, typer.Option("--align", help="Align tight crops by their landmarks.")
    ] = False,
    thorough: Thorough = False,
    detector: Detector = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of numeric labels: a,b,c from 0, or 1=a,2=b.")
    ] = None,
    valid_from_train: Annotated[
        float,
        typer.Option(
            metavar="FRACTION", min=0, max=0.9, help="Move this fraction of train to valid."
        ),
    ] = 0,
    fps: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Frames per second to keep (recordings only; default: 5); 0 keeps all.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Keep only this task (AVEC2014): freeform or northwind."),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="The scale of scores (recordings only): bdi-ii, phq-8 or the top score."),
    ] = None,
    disjoint: Annotated[
        bool, typer.Option("--subject-disjoint", help="Make splits that share no subject.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the splits that mien makes (default: 0).")
    ] = None,
    license_terms: Annotated[
        str | None,
        typer.Option(
            "--license", metavar="TEXT", help="The terms of use of images or recordings of yours."
        ),
    ] = None,
    commercial_use: Annotated[
        Literal["yes", "no", "unclear"] | None,
        typer.Option(help="Whether images or recordings of yours may be used commercially."),
    ] = None,
    workers: Workers = None,
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Prepare a dataset from a corpus or from your own photos.

    Resumes after an interruption: run the same command again. The exit code is 1 if inputs are
    missing from the dataset; DATASET/left_out.csv lists them.
    """
    from mien.cli.options import preprocessing
    from mien.cli.printing import print_dataset, print_json
    from mien.corpora import corpus_of
    from mien.data.dataset import LEFT_OUT_FILE
    from mien.faces.detection.detect import FaceDetector
    from mien.preparation.prepare import prepare as prepare_dataset

    reader = corpus_of(corpus)
    if fps is not None and not reader.videos:
        raise MienError(f"expected no --fps for {corpus}, which holds images, got it: leave it out")
    result = prepare_dataset(
        corpus,
        source,
        out,
        preprocessing=preprocessing(reader.color, like=like, size=size, color=color, margin=margin),
        tight=tight,
        classes=classes.split(",") if classes else None,
        seed=seed,
        valid_from_train=valid_from_train,
        landmarks=landmarks,
        align=align,
        fps=5.0 if fps is None else fps or None,
        task=task.lower() if task else None,
        scale=scale,
        disjoint=disjoint,
        license_terms=license_terms,
        commercial_use=commercial_use,
        workers=workers,
        max_pixels=max_pixels,
        detector=detector_of(detector, thorough) or FaceDetector,
    )
    info = result.dataset.info
    if as_json:
        print_json(info)
    else:
        print_dataset(info, list(result.left_out.items()), landmarks=landmarks)
        recordings = len(info.get("videos", {}))
        rows = f"frames of {recordings} recordings" if recordings else "faces"
        print(f"{len(result.dataset)} {rows} in {out}")
        if result.left_out:
            missing = sum(result.missing.values())
            print(
                f"{sum(result.left_out.values())} left out, {missing} of which should be there: "
                f"{out / LEFT_OUT_FILE} lists them with the reasons"
            )
    if result.missing:
        raise typer.Exit(1)
