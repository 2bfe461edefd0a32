"""``mien predict``: predictions into a table, annotated pictures, or onto the screen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from mien.inference.annotate import annotate_file
from mien.inference.predictor import Predictor
from mien.inference.stream import predict_files
from mien.inference.table import write_table
from mien.schema import MienError, Prediction, Status


def predict_photos(
    predictor: Predictor,
    inputs: Iterable[str],
    *,
    out: str | os.PathLike[str] | None = None,
    annotate: str | os.PathLike[str] | None = None,
    tight: bool = False,
    show: TextIO | None = None,
) -> dict[str, Any]:
    """Predict files and folders; write a table, annotated pictures and lines for a reader.

    ``out`` is the table's file and ``annotate`` a folder that gets one picture for each readable
    photo, under its path with separators as ``__`` where names repeat. ``show`` gets a line a
    face. Memory does not grow with the number of photos. Returns ``{"rows": {status: count},
    "table": ..., "annotated": ...}``.
    """
    predictions = predict_files(predictor, inputs, tight=tight)
    if annotate is not None:
        predictions = _annotating(predictions, Path(annotate))
    if show is not None:
        predictions = _showing(predictions, show)
    if out is not None:
        counts: Counter[Status] = write_table(predictions, out, predictor.info)
    else:
        counts = Counter(prediction.status for prediction in predictions)
    return {
        "rows": {status.value: counts[status] for status in Status if counts[status]},
        "table": None if out is None else str(out),
        "annotated": None if annotate is None else str(annotate),
    }


def _annotating(predictions: Iterable[Prediction], folder: Path) -> Iterator[Prediction]:
    taken: set[str] = set()
    for source, faces in groupby(predictions, key=lambda prediction: prediction.source):
        found = list(faces)
        if found[0].status is not Status.UNREADABLE:
            # A photo that is taken away in between only loses its picture, not its rows.
            try:
                annotate_file(source, found, folder / _picture_name(source, taken))
            except MienError:
                if Path(source).exists():
                    raise
        yield from found


def _picture_name(source: str, taken: set[str]) -> str:
    path = Path(source)
    suffix = path.suffix.lower() if path.suffix.lower() in {".jpg", ".jpeg", ".webp"} else ".png"
    stem, parents = path.stem, [part for part in path.parts[:-1] if part not in ("/", "..", ".")]
    while f"{stem}{suffix}" in taken and parents:
        stem = f"{parents.pop()}__{stem}"
    name, number = f"{stem}{suffix}", 2
    while name in taken:
        name, number = f"{stem}-{number}{suffix}", number + 1
    taken.add(name)
    return name


def _showing(predictions: Iterable[Prediction], show: TextIO) -> Iterator[Prediction]:
    for prediction in predictions:
        if prediction.expression is not None and prediction.confidence is not None:
            text = f"{prediction.expression} {prediction.confidence:.0%}"
            if prediction.status is Status.ABSTAINED:
                text = f"abstained ({prediction.reason}); would say {text}"
        else:
            text = f"{prediction.status.value}: {prediction.reason}"
        print(f"{prediction.source}  face {prediction.index}  {text}", file=show)
        yield prediction
