"""``mien predict``: predictions into a table, annotated pictures, or onto the screen."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from mien.inference.annotate import annotate_file, percent
from mien.inference.circumplex import signed
from mien.inference.predictor import Predictor
from mien.inference.stream import predict_files
from mien.inference.table import table_row, write_table
from mien.schema import MienError, Prediction, Status


def predict_photos(
    predictor: Predictor,
    inputs: Iterable[str],
    *,
    out: str | os.PathLike[str] | None = None,
    annotate: str | os.PathLike[str] | None = None,
    tight: bool = False,
    show: TextIO | None = None,
    show_json: TextIO | None = None,
) -> dict[str, Any]:
    """Predict files and folders; write a table, annotated pictures and what a reader wants.

    Parameters
    ----------
    predictor, inputs, tight
        As for :func:`~mien.inference.stream.predict_files`.
    out
        The table's file, as for :func:`~mien.inference.table.write_table`.
    annotate
        A folder that gets one picture for each readable photo, under the photo's name; where
        names repeat, the names of the folders above stand before it.
    show, show_json
        Streams that get a line a face, or the table's rows as one JSON array, while it goes on.

    Memory does not grow with the number of photos. Returns ``{"rows": {status: count},
    "table": ..., "annotated": ...}``. Raises :class:`~mien.schema.MienError` where something
    cannot be written, and for an ``annotate`` folder in which photos to read lie.
    """
    inputs = list(inputs)
    folder = None if annotate is None else Path(annotate)
    if folder is not None:
        refuse_folder_of_inputs(folder, inputs)
    predictions: Iterable[Prediction] = predict_files(predictor, inputs, tight=tight)
    if folder is not None:
        predictions = annotating(predictions, folder, set())
    if show is not None:
        predictions = _showing(predictions, show)
    if show_json is not None:
        predictions = _showing_json(predictions, predictor, show_json)
    if (show or show_json) is None and sys.stderr.isatty():
        predictions = _with_progress(predictions)
    if out is not None:
        counts: Counter[Status] = write_table(predictions, out, predictor.info)
    else:
        counts = Counter(prediction.status for prediction in predictions)
    return {
        "rows": {status.value: counts[status] for status in Status if counts[status]},
        "table": None if out is None else str(out),
        "annotated": None if folder is None else str(folder),
    }


def refuse_folder_of_inputs(folder: Path, inputs: Iterable[str]) -> None:
    """Annotated pictures must not replace what is read, nor be what the next run reads."""
    target = folder.resolve()
    for given in inputs:
        source = Path(given).resolve()
        inside = source.is_dir() and folder.is_dir() and target.is_relative_to(source)
        if inside or (source.is_file() and source.parent == target):
            raise _holds_photos(folder)


def _holds_photos(folder: Path) -> MienError:
    return MienError(
        f"expected a folder of their own for annotated pictures, got {str(folder)!r}, which is "
        "searched for photos or videos; choose one outside, or a new one"
    )


def annotating(
    predictions: Iterable[Prediction], folder: Path, taken: set[str]
) -> Iterator[Prediction]:
    """Draw each photo into ``folder`` on its way, under a name that is not ``taken``."""
    target = folder.resolve()
    for faces in _by_photo(predictions):
        source = faces[0].source
        if faces[0].status is not Status.UNREADABLE:
            if Path(source).resolve().parent == target:
                raise _holds_photos(folder)
            # A photo that is taken away in between only loses its picture, not its rows.
            try:
                annotate_file(source, faces, folder / free_name(source, _suffix(source), taken))
            except MienError:
                if Path(source).exists():
                    raise
        yield from faces


def _by_photo(predictions: Iterable[Prediction]) -> Iterator[list[Prediction]]:
    """The predictions of one photo after the other, also where a photo was given twice."""
    faces: list[Prediction] = []
    for prediction in predictions:
        if faces and prediction.index == 0:
            yield faces
            faces = []
        faces.append(prediction)
    if faces:
        yield faces


def _suffix(source: str) -> str:
    suffix = Path(source).suffix.lower()
    return suffix if suffix in {".jpg", ".jpeg", ".webp"} else ".png"


def free_name(source: str, suffix: str, taken: set[str]) -> str:
    """A file's name with another suffix, and names of the folders above where it is ``taken``."""
    path = Path(source)
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
        print_line(line_of(prediction), show)
        yield prediction


def line_of(prediction: Prediction) -> str:
    """A face of a photo, or why there is none, for a reader."""
    if prediction.expression is not None and prediction.confidence is not None:
        text = f"{prediction.expression} {percent(prediction.confidence)}"
        if prediction.valence is not None and prediction.arousal is not None:
            text += f", valence {signed(prediction.valence)}"
            text += f", arousal {signed(prediction.arousal)}"
        if prediction.status is Status.ABSTAINED:
            text = f"abstained ({prediction.reason}); would say {text}"
    else:
        text = f"{prediction.status.value}: {prediction.reason}"
    which = f"  face {prediction.index}" if prediction.face else ""
    return f"{prediction.source}{which}  {text}"


def print_line(text: str, show: TextIO) -> None:
    """Print a line with a file's name, which need not be valid text."""
    print(text.encode("utf-8", "backslashreplace").decode(), file=show)


def _showing_json(
    predictions: Iterable[Prediction], predictor: Predictor, show: TextIO
) -> Iterator[Prediction]:
    before = "["
    for prediction in predictions:
        row = json.dumps(table_row(prediction, predictor.info), ensure_ascii=False)
        print(f"{before}\n{row}", end="", file=show)
        before = ","
        yield prediction
    print("\n]" if before == "," else "[]", file=show)


def _with_progress(predictions: Iterable[Prediction]) -> Iterable[Prediction]:
    from rich.console import Console
    from rich.progress import track

    return track(predictions, "predict", total=None, console=Console(stderr=True), transient=True)
