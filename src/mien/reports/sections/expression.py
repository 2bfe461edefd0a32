"""Expression: confusion, calibration, retrieval and the map of the embedding."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification, retrieve
from mien.metrics.catalog import EMBEDDING, EXPRESSION, VOTES, by_name
from mien.metrics.classification import FloatArray, IntArray
from mien.metrics.geometry import distance_ratio, distance_ratios
from mien.reports.evaluation import Evaluation, ExpressionArrays, arrays_of
from mien.reports.figures import classes
from mien.reports.figures.attention import attention_pictures
from mien.reports.figures.embedding import FEWEST_FOR_MAP, embedding_map, project
from mien.reports.figures.pictures import Picture, picture
from mien.reports.figures.reliability import reliability_diagram
from mien.reports.sections.expression_comparison import (
    Measured,
    compare,
    comparison_figures,
    comparison_headline,
    comparison_tables,
    verdicts,
)
from mien.reports.sections.neighbors import compare_classifiers, confusion_metrics
from mien.reports.sections.section import Block, Entry
from mien.reports.tables import (
    Cell,
    Heading,
    Row,
    Table,
    bar,
    confusion,
    count_cell,
    difference_cell,
    metric_table,
    plural,
    value_table,
)
from mien.search.neighbors import Neighbor
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals

__all__ = [
    "ANSWER",
    "ARRAYS",
    "HEADLINE",
    "MAIN",
    "METRICS",
    "answers",
    "compare",
    "comparison_figures",
    "comparison_headline",
    "comparison_tables",
    "evaluate",
    "figures",
    "headline",
    "measure",
    "tables",
    "verdicts",
]

ARRAYS = ExpressionArrays
METRICS = by_name(EXPRESSION[:3], EMBEDDING, VOTES, EXPRESSION[3:])
MAIN = ("accuracy", "mean_class_accuracy")
ANSWER = "class"
HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1", "precision_at_1")
MISTAKES = 24
_OF_RULES = (*HEADLINE, "map_at_r")
_OF_CLASSES = ("precision", "recall", "f1")
_CLASSIFIERS = {
    "softmax": "Softmax",
    "neighbors_1": "Nearest neighbor",
    "neighbors_5": "Five nearest neighbors",
    "centroids": "Class centroids",
}


def answers(arrays: ExpressionArrays) -> IntArray:
    """The most probable class."""
    classes: IntArray = arrays.predictions.argmax(1)
    return classes


def evaluate(
    evaluation: Evaluation, *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """Every metric, per class and under each rule, with the confusion and the mistakes."""
    arrays = arrays_of(evaluation, "expression", ExpressionArrays)
    rows, names = np.flatnonzero(arrays.labeled), arrays.names
    drawn = draw_metrics(evaluation, arrays.targets, seed=seed, draws=draws, per_class=True)
    values = with_intervals(drawn, evaluation, arrays.targets)
    targets, probabilities = arrays.targets[rows], arrays.predictions[rows]
    matrix = classification.confusion_matrix(targets, probabilities.argmax(1), len(names))
    reference = arrays.reference and compare_classifiers(
        evaluation, arrays.reference, seed=seed, draws=draws
    )
    entry = {
        "n": int(rows.size),
        "label_space": {"name": arrays.info.label_space.name, "names": list(names)},
        "rule": arrays.rule,
        "metrics": _scalars(values),
        "per_class": {
            name: {"n": int(matrix[index].sum())}
            | {key: values[key, index].as_dict() for key in _OF_CLASSES}
            for index, name in enumerate(names)
        },
        "confusion": matrix.astype(int).tolist(),
        "confusion_shares": [
            [values["share", row, column].as_dict() for column in range(len(names))]
            for row in range(len(names))
        ],
        "reliability": _reliability(targets, probabilities),
        "mistakes": _mistakes(evaluation, arrays, rows),
        "other_rules": {
            rule: _under_rule(evaluation, other, seed=seed, draws=draws)
            for rule, other in arrays.other_targets.items()
        },
        "reference": reference,
        "left_out": arrays.reasons(),
    }
    absent = [name for name, n in zip(names, matrix.sum(1), strict=True) if n == 0]
    if not absent:
        return entry, []
    return entry, [
        f"No row shows {', '.join(absent)}: mean-class accuracy and macro F1 are over the "
        f"other {len(names) - len(absent)} of {len(names)} classes"
    ]


def draw_metrics(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int, per_class: bool = False
) -> Bootstrap[Hashable]:
    """The bootstrap of all metrics that have one, over the rows with a target.

    Class-wise metrics are under ``(name, class, ...)``. Two models' draws of the same targets with
    the same seed are paired, draw by draw.
    """
    arrays = arrays_of(evaluation, "expression", ExpressionArrays)
    rows = np.flatnonzero(targets >= 0)
    labels = targets[rows]
    probabilities = np.asarray(arrays.predictions[rows], np.float64)
    predictions = probabilities.argmax(1)
    count = len(arrays.names)
    nll = classification.negative_log_likelihoods(labels, probabilities)
    votes = np.zeros((0, count)) if arrays.votes is None else arrays.votes[rows]
    voted = np.flatnonzero(votes.sum(1) > 0)
    agreement = classification.vote_agreements(votes[voted], predictions[voted])
    divergence = classification.vote_divergences(votes[voted], probabilities[voted])
    if evaluation.embeddings is not None:
        retrieval = retrieve(evaluation.embeddings[rows], labels)
        ratios = distance_ratios(evaluation.embeddings[rows], labels)

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        means = classification.weighted_means
        matrix = classification.confusion_matrix(labels, predictions, count, weights=weights)
        values: dict[Hashable, FloatArray] = {}
        values.update(confusion_metrics(matrix).items())
        values["nll"] = means(weights, nll)
        if voted.size:
            values["vote_agreement"] = means(weights[:, voted], agreement)
            values["vote_kl"] = means(weights[:, voted], divergence)
        if evaluation.embeddings is not None:
            of_queries = weights[:, retrieval.queries]
            values["precision_at_1"] = means(of_queries, retrieval.precision_at_1)
            values["map_at_r"] = means(of_queries, retrieval.map_at_r)
            values["distance_ratio"] = ratios(weights)
        if per_class:
            for name in _OF_CLASSES:
                columns = getattr(classification, name)(matrix).T
                values |= {(name, index): value for index, value in enumerate(columns)}
            shares = classification.row_shares(matrix)
            values |= {("share", *cell): shares[:, *cell] for cell in np.ndindex(count, count)}
        return values

    clusters = evaluation.clusters(rows)
    return bootstrap(statistics, rows.size, clusters=clusters, draws=draws, seed=seed)


def with_intervals(
    drawn: Bootstrap[Hashable], evaluation: Evaluation, targets: IntArray
) -> dict[Hashable, Interval]:
    """The intervals of what :func:`draw_metrics` drew, and the metrics that have none."""
    arrays = arrays_of(evaluation, "expression", ExpressionArrays)
    rows = np.flatnonzero(targets >= 0)
    labels, probabilities = targets[rows], arrays.predictions[rows]
    values = intervals(drawn)
    values["ece"] = Interval(
        classification.expected_calibration_error(
            classification.reliability(labels, probabilities)
        ),
        reason="drawing rows again adds noise to every bin, so a bootstrap of it is biased upwards",
    )
    reason = ""
    if evaluation.embeddings is None:
        reason = "the model gave no embedding"
    elif np.unique(labels, return_counts=True)[1].max() == 1:
        reason = "no class has two rows"
    if reason:
        return values | {metric.name: Interval(None, reason=reason) for metric in EMBEDDING}
    if evaluation.embeddings is not None and values["distance_ratio"].value is None:
        reason = _why_no_ratio(evaluation.embeddings[rows], labels)
        values["distance_ratio"] = Interval(None, reason=reason)
    return values


def _why_no_ratio(embeddings: NDArray[np.floating[Any]], labels: IntArray) -> str:
    if np.unique(labels).size == 1:
        return "there is one class"
    equal = "all rows" if np.isnan(distance_ratio(embeddings, labels)) else "the rows of each class"
    return f"{equal} have the same embedding"


def _scalars(values: Mapping[Hashable, Interval]) -> dict[str, dict[str, Any]]:
    return {name: value.as_dict() for name, value in values.items() if isinstance(name, str)}


def _under_rule(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int
) -> dict[str, Any]:
    n = int((targets >= 0).sum())
    entry: dict[str, Any] = {"n": n, "left_out": int(targets.size - n), "metrics": {}}
    if n:
        drawn = draw_metrics(evaluation, targets, seed=seed, draws=draws)
        entry["metrics"] = _scalars(with_intervals(drawn, evaluation, targets))
    return entry


def _reliability(targets: IntArray, probabilities: NDArray[Any]) -> list[dict[str, Any]]:
    bins = classification.reliability(targets, probabilities)
    return [
        {"above": low, "to": high, "n": int(n)}
        | ({"confidence": confidence, "accuracy": accuracy} if n else {})
        for low, high, n, confidence, accuracy in zip(
            bins.edges[:-1].tolist(),
            bins.edges[1:].tolist(),
            bins.count.tolist(),
            bins.confidence.tolist(),
            bins.accuracy.tolist(),
            strict=True,
        )
    ]


def _mistakes(
    evaluation: Evaluation, arrays: ExpressionArrays, rows: IntArray
) -> list[dict[str, Any]]:
    names, probabilities = arrays.names, arrays.predictions
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = rows[predicted[rows] != arrays.targets[rows]]
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    return [
        {
            "row": int(row),
            "id": str(evaluation.ids[row]),
            "target": names[arrays.targets[row]],
            "prediction": names[predicted[row]],
            "confidence": float(confidence[row]),
            "neighbors": _neighbors(evaluation, int(row)),
        }
        for row in first
    ]


def _neighbors(evaluation: Evaluation, row: int) -> list[dict[str, Any]]:
    if evaluation.neighbors is None or evaluation.embeddings is None:
        return []
    embedding = np.asarray(evaluation.embeddings[row], np.float32)
    neighbors = evaluation.neighbors.of(embedding, without=str(evaluation.ids[row]))
    return [each._asdict() for each in neighbors]


def _neighbor_pictures(evaluation: Evaluation, entry: Entry) -> list[list[Picture | None]]:
    """The pictures of the neighbors of each mistake, small."""
    if evaluation.neighbors is None:
        return [[] for _ in entry["mistakes"]]
    of_mistakes = [
        [Neighbor(**each) for each in mistake["neighbors"]] for mistake in entry["mistakes"]
    ]
    pixels = iter(evaluation.neighbors.pictures([each for some in of_mistakes for each in some]))
    return [
        [None if (crop := next(pixels)) is None else picture(crop, longest=64) for _ in some]
        for some in of_mistakes
    ]


def tables(entry: Entry) -> dict[str, Any]:
    """Metrics, rules, classifiers of the embedding, classes, and the confusion matrix."""
    rules = {entry["rule"]: entry, **entry["other_rules"]}
    return {
        "metrics": metric_table(entry["metrics"], METRICS),
        "rules": None
        if not entry["other_rules"]
        else value_table(
            [(Heading(rule), values["metrics"]) for rule, values in rules.items()],
            [METRICS[name] for name in _OF_RULES],
            counts=("Rows", [count_cell(values["n"]) for values in rules.values()]),
        ),
        "classifiers": entry["reference"] and _classifier_table(entry["reference"]),
        "classes": _class_table(entry["per_class"]),
        "confusion": confusion(entry, entry["label_space"]["names"]),
    }


def _classifier_table(reference: Entry) -> Table:
    names = ("accuracy", "mean_class_accuracy", "macro_f1")
    columns = [Heading(METRICS[name].title) for name in names]
    change = Heading("Accuracy less softmax\u2019s")
    table = Table([*columns, change], corner="Classifier")
    for key, classifier in reference["classifiers"].items():
        cells = [table.value(classifier["metrics"][name], "%") for name in names]
        difference = classifier.get("differences", {}).get("accuracy")
        cells.append(difference_cell(difference, "%"))
        table.rows.append(Row(Heading(_CLASSIFIERS[key]), cells))
    return table


def _class_table(per_class: Mapping[str, Entry]) -> Table:
    columns = [Heading(title) for title in ("Rows", "Precision", "Recall", "F1")]
    table = Table(columns, corner="Class", bars="F1", css="classes")
    for index, (name, of_class) in enumerate(per_class.items()):
        cells = [
            Cell(f"{of_class['n']:,}"),
            *(table.value(of_class[key], "%") for key in _OF_CLASSES),
        ]
        heading = Heading(name, mark=classes.class_mark(index))
        table.rows.append(Row(heading, cells, bar(of_class["f1"])))
    return table


def figures(evaluation: Evaluation, entry: Entry, *, seed: int = 0) -> dict[str, Any]:
    """The reliability diagram, the map of the embedding, attention, and pictures of mistakes."""
    arrays = arrays_of(evaluation, "expression", ExpressionArrays)
    crops = evaluation.crops
    return {
        "reliability": reliability_diagram(entry["reliability"]),
        "map": _map(evaluation, arrays, seed),
        "attention": arrays.attention and attention_pictures(arrays.attention, arrays.names),
        "mistakes": [
            None if crops is None else picture(crops[mistake["row"]])
            for mistake in entry["mistakes"]
        ],
        "neighbors": _neighbor_pictures(evaluation, entry),
    }


def _map(evaluation: Evaluation, arrays: ExpressionArrays, seed: int) -> dict[str, Any] | None:
    rows = np.flatnonzero(arrays.labeled)
    if evaluation.embeddings is None or rows.size < FEWEST_FOR_MAP:
        return None
    plane = project(evaluation.embeddings[rows], seed=seed)
    targets = arrays.targets[rows][plane.rows]
    return {
        "figure": embedding_map(plane.points, targets, arrays.names, plane.method),
        "legend": classes.legend(targets, arrays.names),
        "n": int(plane.rows.size),
        "of": int(rows.size),
        "method": plane.method,
    }


def headline(entry: Entry) -> list[Block]:
    """The metrics under each rule, and of each classifier of the embedding."""
    blocks = [Block(f"{plural(entry['n'], 'row')}, rule {entry['rule']}", entry["metrics"])]
    for rule, of_rule in entry["other_rules"].items():
        blocks.append(Block(f"{plural(of_rule['n'], 'row')}, rule {rule}", of_rule["metrics"]))
    for key, classifier in (entry["reference"] or {"classifiers": {}})["classifiers"].items():
        blocks.append(Block(_CLASSIFIERS[key], classifier["metrics"]))
    return blocks


def measure(
    evaluation: Evaluation, *, plane: bool = True, seed: int = 0, draws: int = 1000
) -> Measured:
    """The predictions and draws of a run, and of its embedding what the page shows."""
    arrays = arrays_of(evaluation, "expression", ExpressionArrays)
    drawn = draw_metrics(evaluation, arrays.targets, seed=seed, draws=draws)
    return Measured.of(
        evaluation,
        drawn,
        with_intervals(drawn, evaluation, arrays.targets),
        plane=plane,
        seed=seed,
    )
