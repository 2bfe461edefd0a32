"""``mien.predict``: paths in, a list of predictions or a table out."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from mien.errors import MienError
from mien.inference.model import OnnxModel
from mien.inference.pipeline import PathLike, Summary, write_predictions
from mien.inference.rows import Entry, Row, Rows
from mien.inference.work.folder import Shard
from mien.schema import Prediction

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

_CARDS = 20


class Predictions(list[Prediction]):
    """The predictions of photos or videos, one per row; a list with a table's columns."""

    def __init__(self, entries: Sequence[Entry], table: Rows) -> None:
        super().__init__(entry.prediction for entry in entries)
        self._entries, self._table = entries, table

    def to_dicts(self) -> list[Row]:
        """The rows as ``mien predict --json`` prints them."""
        return [self._table.row(entry) for entry in self._entries]

    def to_pandas(self) -> Any:
        """The rows as a pandas frame, one column per number: ``probabilities.happiness``.

        Raises :class:`~mien.errors.MienError` where pandas is missing.
        """
        if importlib.util.find_spec("pandas") is None:
            raise MienError(
                "to_pandas needs the package pandas; install it with: pip install pandas"
            )
        import pyarrow as pa

        return pa.Table.from_pylist(self.to_dicts(), self._table.schema()).flatten().to_pandas()

    def __repr__(self) -> str:
        counts = Counter(prediction.status.value for prediction in self)
        return f"Predictions({', '.join(f'{n} {status}' for status, n in counts.items())})"

    def _repr_html_(self) -> str:
        cards = "".join(prediction._repr_html_() for prediction in self[:_CARDS])
        more = len(self) - _CARDS
        return cards + (f"<div>and {more} more</div>" if more > 0 else "")


class Options(TypedDict, total=False):
    """What both kinds of :func:`predict` take."""

    model: PathLike | OnnxModel | Sequence[PathLike | OnnxModel]
    annotate: PathLike | None
    rows: str | None
    fps: float | None
    tight: bool
    detector: Detector | None
    max_pixels: int | None
    abstain_below: float | None
    blendshapes: bool
    whole: bool
    threads: int | None


class TableOptions(Options, total=False):
    """What :func:`predict` takes besides where it writes a table."""

    resume: bool
    shard: str | None


@overload
def predict(
    inputs: PathLike | Iterable[PathLike], *, out: None = None, **options: Unpack[Options]
) -> Predictions: ...


@overload
def predict(
    inputs: PathLike | Iterable[PathLike], *, out: PathLike, **options: Unpack[TableOptions]
) -> Summary: ...


def predict(
    inputs: PathLike | Iterable[PathLike],
    *,
    model: PathLike | OnnxModel | Sequence[PathLike | OnnxModel] = "fer",
    out: PathLike | None = None,
    annotate: PathLike | None = None,
    rows: str | None = None,
    fps: float | None = None,
    tight: bool = False,
    detector: Detector | None = None,
    max_pixels: int | None = None,
    abstain_below: float | None = None,
    blendshapes: bool = False,
    whole: bool = False,
    threads: int | None = None,
    resume: bool = False,
    shard: str | None = None,
) -> Predictions | Summary:
    """Predict the faces in photos, videos and folders.

    Parameters
    ----------
    inputs
        One path or several. Folders are searched for photos, and patterns are expanded.
    model
        A shipped model's name or an ONNX file; or a model of faces and one of clips.
    out
        A .csv, .parquet or .jsonl file to write the rows to, in constant memory.
    annotate, rows, fps, tight, detector, max_pixels, abstain_below, blendshapes, whole, threads,
    resume
        As for :func:`~mien.inference.pipeline.write_predictions`.

    shard
        ``"2/5"`` reads every fifth input from the second on, for one of five processes;
        :func:`~mien.inference.pipeline.merge` joins what they write.

    Returns one :class:`~mien.schema.Prediction` per row, in a list; with ``out`` a
    :class:`~mien.inference.pipeline.Summary` of what was written. An input that cannot be read is
    a row with status ``unreadable``, not an error.
    """
    if isinstance(inputs, (bytes, bytearray, memoryview)) or (
        not isinstance(inputs, (str, os.PathLike, Iterable)) or hasattr(inputs, "__array__")
    ):
        raise MienError(
            f"expected paths of photos, videos or folders, got {type(inputs).__name__}; "
            "for an image in memory use mien.load()(image)"
        )
    entries: list[Entry] = []
    summary = write_predictions(
        [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs,
        models=[model] if isinstance(model, (str, os.PathLike, OnnxModel)) else model,
        out=out,
        annotate=annotate,
        rows=rows,
        fps=fps,
        tight=tight,
        detector=detector,
        max_pixels=max_pixels,
        abstain_below=abstain_below,
        blendshapes=blendshapes,
        whole=whole,
        threads=threads,
        resume=resume,
        shard=None if shard is None else Shard.parse(shard),
        keep=entries if out is None else None,
    )
    if out is not None or summary.table is None:
        return summary
    return Predictions(entries, summary.table)
