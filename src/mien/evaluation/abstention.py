"""The confidence below which a model abstains, chosen by labeled faces and stored in its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.evaluation.evaluate import check_rule
from mien.evaluation.models import Model, open_model
from mien.files import write_bytes
from mien.heads.expression import Abstention, ExpressionInfo
from mien.heads.wording import percent
from mien.models import METADATA_KEY, find_model
from mien.statistics.selective import ACCURACY, LEVEL, answer_threshold, fewest_answers


class Labeled(NamedTuple):
    """What a model says of the N labeled faces of a split: ``shares`` ``(N, C)``, ``targets``.

    ``info`` is what its head ``expression`` says of itself, and ``origin`` names the corpus, the
    split and the rule.
    """

    shares: NDArray[np.float64]
    targets: NDArray[np.int64]
    info: ExpressionInfo
    origin: dict[str, str]
    folder: Path


def predict_labeled(
    model: Model | str | Path, data: str | Path, *, split: str = "valid", rule: str = "majority"
) -> Labeled:
    """The predictions of a model for the labeled faces of a split of a dataset.

    ``model`` and ``rule`` are as for :func:`~mien.evaluation.evaluate.evaluate`. Raises
    :class:`~mien.errors.MienError` for models, datasets and splits that do not fit.
    """
    # Here, because predictions need what reports do.
    from mien.evaluation.predictions import predict_split

    check_rule(rule)
    source = model.name if isinstance(model, Model) else str(model)
    opened = model if isinstance(model, Model) else open_model(model)
    info = opened.info.heads.get("expression")
    if not isinstance(info, ExpressionInfo):
        raise MienError(
            f"expected a model with the head expression, got {source!r} with "
            f"{', '.join(opened.info.heads)}: choose another"
        )
    dataset = Dataset.open(data)
    if dataset.label_space.names != info.label_space.names:
        raise MienError(
            f"expected a dataset with the model's classes ({', '.join(info.label_space.names)}), "
            f"got {dataset.folder} with {', '.join(dataset.label_space.names)}: choose another"
        )
    predictions = predict_split(opened, dataset, source, split)
    targets = make_targets(dataset, rule)["expression"][predictions.rows]
    shares = np.asarray(predictions.heads["expression"], np.float64)
    origin = {"corpus": str(dataset.info.get("corpus", "")), "split": split, "rule": rule}
    rows = targets >= 0
    return Labeled(shares[rows], targets[rows], info, origin, Path(data))


def choose_abstention(
    labeled: Labeled, *, accuracy: float = ACCURACY, level: float = LEVEL
) -> ExpressionInfo:
    """What the head ``expression`` says of itself, with the confidence to answer from.

    What is answered shall be right in at least the share ``accuracy``, for sure at this ``level``,
    see :func:`~mien.statistics.selective.answer_threshold`. Raises
    :class:`~mien.errors.MienError` where no threshold can be shown to reach that.
    """
    if not (0 < accuracy < 1 and 0 < level < 1):
        raise MienError(f"expected an accuracy and a level in (0, 1), got {accuracy} and {level}")
    right = labeled.shares.argmax(1) == labeled.targets
    chosen = answer_threshold(labeled.shares.max(1), right, accuracy=accuracy, level=level)
    if chosen is None:
        raise MienError(
            f"expected answers of which {percent(accuracy)} are surely right from some confidence "
            f"on, got none among {len(right):,} faces of {labeled.origin['split']!r} in "
            f"{labeled.folder}: ask for less, or for more faces "
            f"(it takes {fewest_answers(accuracy, level)} that are all right)"
        )
    abstention = Abstention(
        accuracy=accuracy,
        level=level,
        rows=chosen.rows,
        answered=chosen.answered / chosen.rows,
        right=chosen.right / chosen.answered,
        **labeled.origin,
    )
    update = {"abstain_below": chosen.confidence, "abstention": abstention}
    return labeled.info.model_copy(update=update)


def store_abstention(file: str | Path, info: ExpressionInfo, *, card: str | None = None) -> None:
    """Write a threshold, and a ``card`` where one is given, into the metadata of an ONNX file.

    Nothing else of the file changes, and it is replaced as a whole or not at all. Raises
    :class:`~mien.errors.MienError` for a file that is no model of mien.
    """
    import onnx

    path = find_model(file)
    opened = open_model(path)
    if "expression" not in opened.info.heads:
        raise MienError(f"expected a model with the head expression, got {path}: choose another")
    model = onnx.load(str(path))
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            document = json.loads(entry.value)
            document["heads"]["expression"] = info.model_dump(mode="json")
            if card is not None:
                document["card"] = card
            entry.value = json.dumps(document)
    write_bytes(path, model.SerializeToString())
