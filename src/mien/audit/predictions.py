"""What a model of expressions says of the faces that are audited."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.audit.embedded import Embeddings
from mien.audit.labels import IntArray
from mien.data.dataset import Dataset
from mien.data.reading import crop_reader, with_progress
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.evaluation.heads import project_classes, shared_classes
from mien.evaluation.models import Model, open_model
from mien.heads.expression import ExpressionInfo

_CHUNK = 512


class Expressions(NamedTuple):
    """Labels and predictions of a dataset's ``N`` rows over the classes that it and a model share.

    ``targets`` ``(N,)`` are indices of ``names``, -1 where there is none of them;
    ``probabilities`` is ``(N, C)``.
    """

    names: tuple[str, ...]
    targets: IntArray
    probabilities: NDArray[np.float32]
    warnings: list[str]


def open_expression_model(run_or_model: str | Path) -> Model:
    """A model that reads expressions from single faces; :class:`MienError` for any other."""
    model = open_model(run_or_model)
    if "expression" not in model.info.heads or model.info.clips is not None:
        raise MienError(
            f"expected a model that reads expressions from single faces, got {str(run_or_model)!r} "
            f"with the heads {', '.join(model.info.heads)}: name another one or leave out --model"
        )
    return model


def predict_expressions(
    model: Model, dataset: Dataset, source: str | Path, embeddings: Embeddings | None = None
) -> Expressions:
    """What ``model`` says of all rows; ``source`` is what the user called it.

    The rows' embeddings are added to ``embeddings``.

    Raises :class:`MienError` for crops that it does not read, and for fewer than two classes in
    common.
    """
    info = model.info.heads["expression"]
    if not isinstance(info, ExpressionInfo):
        raise TypeError(f"expected the head expression, got {type(info).__name__}")
    space = dataset.label_space
    shared = shared_classes(info.label_space, space)
    if shared is None:
        raise MienError(
            f"expected a model with two classes of {dataset.folder} ({', '.join(space.names)}), "
            f"got {', '.join(info.label_space.names)}: name another one or leave out --model"
        )
    crops_of, warnings = crop_reader(
        model.info.preprocessing, dataset, np.arange(len(dataset)), source
    )
    parts = [np.zeros((0, len(info.label_space)), np.float32)]
    for start in with_progress(range(0, len(dataset), _CHUNK)):
        rows = np.arange(start, min(start + _CHUNK, len(dataset)))
        outputs = model.predict(crops_of(rows))
        parts.append(outputs.heads["expression"])
        if embeddings is not None:
            embeddings.add(outputs.embeddings)
    probabilities, notes = project_classes(np.concatenate(parts), info.label_space, shared.space)
    targets = shared.codes[make_targets(dataset, "majority")["expression"]]
    checksum = model.trained_on.get("checksum")
    if checksum is not None and checksum == dataset.info.get("checksum"):
        notes.append(
            f"The model was trained on {dataset.folder}: of its training rows it may repeat wrong "
            "labels"
        )
    return Expressions(shared.space.names, targets, probabilities, [*warnings, *notes])
