"""``mien evaluate``: where a model, a dataset and the evidence meet."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.data import synthetic
from mien.data.dataset import Dataset
from mien.data.targets import RULES, Targets, make_targets
from mien.labels import LabelSpace
from mien.schema import FloatArray, MienError, Preprocessing, UInt8Array

_CHUNK = 512


class Model(NamedTuple):
    """What evaluation needs of a run or an ONNX file."""

    name: str
    terms: str
    label_space: LabelSpace
    preprocessing: Preprocessing
    predict: Callable[[UInt8Array], tuple[FloatArray, FloatArray]]


def open_model(run_or_model: str | Path) -> Model:
    """A run folder (through torch), an ONNX file or a shipped model's name (without torch)."""
    if Path(run_or_model).is_dir():
        from mien.training.run import load_run, predict_crops

        run = load_run(run_or_model)
        terms = " ".join(text for text in run.info["terms"].values() if text)
        return Model(
            str(run_or_model),
            terms,
            run.label_space,
            run.preprocessing,
            lambda crops: predict_crops(run, crops),
        )
    from mien.inference.predictor import Predictor

    predictor = Predictor.load(run_or_model)
    info = predictor.info
    return Model(
        info.name, info.terms, info.label_space, info.preprocessing, predictor.predict_crops
    )


def evaluate_model(
    run_or_model: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    split: str = "test",
    rule: str = "majority",
) -> tuple[dict[str, Any], Path]:
    """Evaluate a run or a model on a split of a dataset; (content of report.json, the page).

    ``rule`` says how votes become the label; where a dataset has votes, the other rule's metrics
    are in the report as well. Memory does not grow with the crops. Raises :class:`MienError` when
    the dataset's classes or crops do not fit the model's.
    """
    # Here, so that a model can be opened without what metrics and plots need.
    from mien.evaluation.report import Evaluation, evaluate, write_report

    if rule not in (rules := [name for name in RULES if name != "distribution"]):
        raise MienError(f"expected a rule for labels ({', '.join(rules)}), got {rule!r}")
    model, dataset = open_model(run_or_model), Dataset.open(data)
    rows = dataset.split_indices(split)
    carry, class_warnings = _class_carrier(model.label_space, dataset)
    to_model_crops, crop_warnings = _crop_carrier(model.preprocessing, dataset, run_or_model)
    parts = [
        model.predict(to_model_crops(dataset.crops[rows[start : start + _CHUNK]]))
        for start in _with_progress(range(0, len(rows), _CHUNK))
    ]
    targets = {name: make_targets(dataset, name) for name in rules}
    subjects = dataset.subjects
    command = ["mien", "evaluate", str(run_or_model), "--data", str(data), "--split", split]
    evaluation = Evaluation(
        ids=dataset.column("id")[rows],
        targets=targets[rule].labels[rows],
        probabilities=carry(np.concatenate([part[0] for part in parts])),
        embeddings=np.concatenate([part[1] for part in parts]),
        label_space=dataset.label_space,
        split=split,
        rule=rule,
        subjects=None if subjects is None else subjects[rows],
        votes=_class_votes(dataset, rows),
        crops=_CropsOf(dataset, rows),
        provenance={
            "model": model.name,
            "dataset": _name_of(dataset),
            "terms": f"Model: {model.terms} Dataset: {dataset.terms}",
            "folder": str(data),
            "crops": dataset.preprocessing.hash,
            "command": shlex.join([*command, "--rule", rule]),
            "version": f"mien {__version__}",
        },
        left_out=_left_out(rows, targets[rule]),
        warnings=[*_corpus_warnings(dataset), *class_warnings, *crop_warnings],
    )
    others = {name: made.labels[rows] for name, made in targets.items() if name != rule}
    report = evaluate(evaluation, other_targets=others if dataset.votes is not None else None)
    return report, write_report(evaluation, report, out)


def _corpus_warnings(dataset: Dataset) -> list[str]:
    return [synthetic.WARNING] if dataset.info.get("corpus") == synthetic.CORPUS else []


def _name_of(dataset: Dataset) -> str:
    """The corpus, or for a folder of one's own the name of the dataset."""
    corpus = str(dataset.info.get("corpus", "folder"))
    return dataset.folder.resolve().name if corpus == "folder" else corpus


@dataclass(frozen=True)
class _CropsOf:
    """Some rows' crops, read one by one when a picture is wanted."""

    dataset: Dataset
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> UInt8Array:
        return self.dataset.crops[self.rows[index]]


def _with_progress(starts: range) -> Iterable[int]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        starts, "evaluate", console=console, transient=True, disable=not sys.stderr.isatty()
    )


def _class_carrier(
    space: LabelSpace, dataset: Dataset
) -> tuple[Callable[[FloatArray], FloatArray], list[str]]:
    """How the model's probabilities become the dataset's classes."""
    wanted = dataset.label_space
    if space.names == wanted.names:
        return (lambda probabilities: probabilities), []
    if unknown := [name for name in wanted.names if name not in space.names]:
        raise MienError(
            f"the dataset has classes that the model does not know ({', '.join(unknown)}; "
            f"the model knows {', '.join(space.names)}): evaluate a model that was trained on them"
        )
    matrix = space.projection(wanted)

    def carry(probabilities: FloatArray) -> FloatArray:
        kept = probabilities @ matrix
        # A tiny floor keeps a row whose whole mass lies on classes that the dataset lacks.
        kept = np.maximum(kept, 1e-12)
        return np.asarray(kept / kept.sum(1, keepdims=True), np.float32)

    dropped = [name for name in space.names if name not in wanted.names]
    if not dropped:
        return carry, []
    return carry, [
        f"The dataset has no class {', '.join(dropped)}: the model's probabilities of the other "
        "classes were scaled to sum to one, so it could not answer with these."
    ]


def _crop_carrier(
    wanted: Preprocessing, dataset: Dataset, model: str | Path
) -> tuple[Callable[[UInt8Array], UInt8Array], list[str]]:
    """How the dataset's crops become the model's; pixels are normalised later, by the model."""
    made = dataset.preprocessing
    if made.cuts_like(wanted):
        return (lambda crops: crops), []
    if wanted.colour == "grey" and made.model_copy(update={"colour": "grey"}).cuts_like(wanted):
        return _to_grey, [
            "The dataset's crops are in colour and the model reads grey ones: they were "
            "converted; crops that were prepared in grey can differ by one grey level."
        ]
    # How pixels are normalised is the model's alone, and no difference to name.
    made = made.model_copy(update={"mean": wanted.mean, "std": wanted.std})
    raise MienError(
        f"expected crops as the model reads them ({wanted.hash}), got a dataset with others: "
        f"{made.differences(wanted)}; prepare it again with --like {shlex.quote(str(model))}"
    )


def _to_grey(crops: UInt8Array) -> UInt8Array:
    from mien.faces.align import fixed_crop

    grey = Preprocessing(size=crops.shape[1], colour="grey")
    return np.stack([fixed_crop(crop, grey)[0] for crop in crops])


def _class_votes(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    if dataset.votes is None:
        return None
    columns = [dataset.vote_names.index(name) for name in dataset.label_space.names]
    return dataset.votes[rows][:, columns]


def _left_out(rows: NDArray[np.int64], targets: Targets) -> dict[str, int]:
    missing = int((targets.labels[rows] < 0).sum())
    # Targets count their reasons over all splits; where there are two, either may be a row's.
    return {" or ".join(targets.left_out): missing} if missing else {}
