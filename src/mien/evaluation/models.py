"""A run folder or an ONNX file as evaluation uses it: what it says of itself, and predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.data.clips import Clips, even_clips, videos_of
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.metrics.aggregation import pool_clips
from mien.models import ClipsInfo, ModelInfo, find_model
from mien.schema import FloatArray, ModelOutput, UInt8Array, concatenate_outputs

_CLIPS_AT_ONCE = 16


class Model(NamedTuple):
    """A model that is evaluated.

    ``predict`` takes crops ``(B, S, S, 3)``, or clips ``(B, T, S, S, 3)`` where ``info.clips`` is
    there, as ``info.preprocessing`` has them. ``trained_on`` has the ``corpus`` and ``checksum`` of
    the training dataset where they are recorded. ``graph`` is that of an emotion graph.
    """

    name: str
    info: ModelInfo
    predict: Callable[[UInt8Array], ModelOutput]
    trained_on: dict[str, Any]
    graph: dict[str, Any] | None = None

    @property
    def license_terms(self) -> str:
        """The terms under which the model may be used."""
        return self.info.license_terms


def open_model(run_or_model: str | Path) -> Model:
    """A run folder (through torch), an ONNX file or a shipped model's name (without torch)."""
    if Path(run_or_model).is_dir():
        from mien.training.run import load_run, predict_inputs

        run = load_run(run_or_model)
        return Model(
            str(run_or_model),
            run.info,
            lambda inputs: predict_inputs(run, inputs),
            run.info.trained_on,
            run.graph,
        )
    from mien.inference.model import open_onnx

    model = open_onnx(find_model(run_or_model))
    return Model(model.info.name, model.info, model.predict, model.info.trained_on)


def check_distinct(paths: Sequence[str | Path], what: str) -> None:
    """Raise :class:`MienError` where a path is named twice; ``what`` the paths are, in a phrase."""
    resolved: set[Path] = set()
    for path in paths:
        # The name of a shipped model is no path, and stays itself.
        if Path(path).resolve() in resolved:
            raise MienError(f"expected different {what}, got {path} twice: name it once")
        resolved.add(Path(path).resolve())


def short_names(paths: Sequence[str | Path]) -> list[str]:
    """The last parts of paths without ``.onnx``; where two are the same, the paths as given."""
    names = [Path(path).resolve().name.removesuffix(".onnx") for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


class RecordingPredictions(NamedTuple):
    """What a model gives for the V recordings of a split, in the order of their rows.

    ``names`` and ``subjects`` ``(V,)``, "" for an unknown subject; ``starts`` ``(V,)`` are the
    dataset's first row of each; ``heads`` are predictions by output, ``(V,)`` or ``(V, K)``, pooled
    over a recording's clips; ``embeddings`` ``(V, D)`` are the means of the clips' unit rows.
    """

    names: NDArray[np.str_]
    subjects: NDArray[np.str_]
    starts: NDArray[np.int64]
    heads: dict[str, NDArray[np.float64]]
    embeddings: NDArray[np.float64]


def predict_recordings(
    model: Model,
    clips: ClipsInfo,
    dataset: Dataset,
    split: str,
    *,
    crops_of: Callable[[NDArray[np.int64]], UInt8Array] | None = None,
) -> RecordingPredictions:
    """What ``model`` gives for the recordings of a split, those without labels included.

    ``crops_of`` gives the crops of rows as the model reads them; None for the dataset's. Memory
    does not grow with the recordings.
    """
    videos = videos_of(dataset, split)
    settings = Clips(length=clips.length, stride=clips.stride, per_video=clips.per_video)
    rows, owners = even_clips(videos, settings)
    parts = []
    for start in range(0, len(rows), _CLIPS_AT_ONCE):
        chunk = rows[start : start + _CLIPS_AT_ONCE]
        crops = dataset.crops[chunk.ravel()] if crops_of is None else crops_of(chunk.ravel())
        parts.append(model.predict(crops.reshape(*chunk.shape, *crops.shape[1:])))
    outputs = concatenate_outputs(parts)
    heads = {
        name: pool_clips(values, owners, len(videos), clips.aggregate)
        for name, values in outputs.heads.items()
    }
    embeddings = _mean_embeddings(outputs.embeddings, owners, len(videos))
    return RecordingPredictions(videos.names, videos.subjects, videos.starts, heads, embeddings)


def _mean_embeddings(
    embeddings: FloatArray, owners: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    rows = embeddings.astype(np.float64)
    return np.stack([rows[owners == number].mean(0) for number in range(count)])
