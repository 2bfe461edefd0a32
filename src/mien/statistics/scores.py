"""Every metric of an evaluation with its interval."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics import classification as metrics
from mien.metrics.classification import FloatArray, IntArray
from mien.metrics.geometry import distance_ratio, distance_ratios
from mien.metrics.regression import affect_metrics
from mien.metrics.retrieval import retrieve
from mien.statistics.arrays import Evaluation
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals

LEVEL = 0.95
RETRIEVAL_METRICS = ("precision_at_1", "map_at_r")
EMBEDDING_METRICS = (*RETRIEVAL_METRICS, "distance_ratio")


def score(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int, per_class: bool = False
) -> dict[Hashable, Interval]:
    """Every metric of the rows with a target; class-wise ones under ``(name, class, ...)``."""
    drawn = draw_scores(evaluation, targets, seed=seed, draws=draws, per_class=per_class)
    return scores_of(drawn, evaluation, targets)


def draw_scores(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int, per_class: bool = False
) -> Bootstrap[Hashable]:
    """The bootstrap of all metrics that have one, over the rows with a target.

    Two models' draws of the same targets with the same seed are paired, draw by draw.
    """
    rows = np.flatnonzero(targets >= 0)
    truth = targets[rows]
    probabilities = np.asarray(evaluation.probabilities[rows], np.float64)
    predictions = probabilities.argmax(1)
    classes = len(evaluation.label_space)
    nll = metrics.negative_log_likelihoods(truth, probabilities)
    votes = np.zeros((0, classes)) if evaluation.votes is None else evaluation.votes[rows]
    rated = np.flatnonzero(votes.sum(1) > 0)
    agreement = metrics.vote_agreements(votes[rated], predictions[rated])
    divergence = metrics.vote_divergences(votes[rated], probabilities[rated])
    if evaluation.embeddings is not None:
        found = retrieve(evaluation.embeddings[rows], truth)
        ratios = distance_ratios(evaluation.embeddings[rows], truth)

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        confusion = metrics.confusion_matrix(truth, predictions, classes, weights=weights)
        values: dict[Hashable, FloatArray] = {}
        values |= confusion_statistics(confusion)
        values["nll"] = metrics.weighted_means(weights, nll)
        if rated.size:
            values["vote_agreement"] = metrics.weighted_means(weights[:, rated], agreement)
            values["vote_kl"] = metrics.weighted_means(weights[:, rated], divergence)
        if evaluation.embeddings is not None:
            asked = weights[:, found.queries]
            values["precision_at_1"] = metrics.weighted_means(asked, found.precision_at_1)
            values["map_at_r"] = metrics.weighted_means(asked, found.map_at_r)
            values["distance_ratio"] = ratios(weights)
        if per_class:
            for measure in (metrics.precision, metrics.recall, metrics.f1):
                columns = measure(confusion).T
                values |= {(measure.__name__, index): value for index, value in enumerate(columns)}
            shares = metrics.row_shares(confusion)
            values |= {("share", *cell): shares[:, *cell] for cell in np.ndindex(classes, classes)}
        return values

    return bootstrap(
        statistics,
        rows.size,
        clusters=evaluation.clusters(rows),
        cluster_name="subject",
        draws=draws,
        seed=seed,
    )


def confusion_statistics(confusion: FloatArray) -> dict[Hashable, FloatArray]:
    """The metrics that need no more than which class was read."""
    return {
        "accuracy": metrics.accuracy(confusion),
        "mean_class_accuracy": metrics.mean_class_accuracy(confusion),
        "macro_f1": metrics.macro_f1(confusion),
    }


def scores_of(
    drawn: Bootstrap[Hashable], evaluation: Evaluation, targets: IntArray
) -> dict[Hashable, Interval]:
    """The intervals of what :func:`draw_scores` drew, and the metrics that have none."""
    rows = np.flatnonzero(targets >= 0)
    truth, probabilities = targets[rows], evaluation.probabilities[rows]
    values = intervals(drawn, level=LEVEL)
    values["ece"] = Interval(
        metrics.expected_calibration_error(metrics.reliability(truth, probabilities)),
        reason="drawing rows again adds noise to every bin, so a bootstrap of it is biased upwards",
    )
    if evaluation.embeddings is None:
        missing = Interval(None, reason="the model gave no embedding")
        return values | dict.fromkeys(EMBEDDING_METRICS, missing)
    if np.unique(truth, return_counts=True)[1].max() == 1:
        missing = Interval(None, reason="no class has two rows")
        return values | dict.fromkeys(EMBEDDING_METRICS, missing)
    if values["distance_ratio"].value is None:
        values["distance_ratio"] = Interval(
            None, reason=_without_ratio(evaluation.embeddings[rows], truth)
        )
    return values


def score_affect(
    evaluation: Evaluation, *, seed: int, draws: int
) -> dict[tuple[str, str], Interval]:
    """Every metric of valence and arousal, as :func:`~mien.metrics.regression.affect_metrics`.

    There must be rated rows.
    """
    return intervals(draw_affect(evaluation, seed=seed, draws=draws), level=LEVEL)


def draw_affect(evaluation: Evaluation, *, seed: int, draws: int) -> Bootstrap[tuple[str, str]]:
    """The bootstrap of these metrics over the rated rows; paired as :func:`draw_scores`."""
    rows = evaluation.rated
    if evaluation.valence_arousal is None or evaluation.valence_arousal_targets is None:
        raise ValueError("expected valence and arousal of the model and of the dataset")
    said = evaluation.valence_arousal[rows]
    truth = evaluation.valence_arousal_targets[rows]
    return bootstrap(
        lambda weights: affect_metrics(said, truth, weights=weights),
        rows.size,
        clusters=evaluation.clusters(rows),
        cluster_name="subject",
        draws=draws,
        seed=seed,
    )


def _without_ratio(embeddings: NDArray[np.floating[Any]], truth: IntArray) -> str:
    if np.unique(truth).size == 1:
        return "there is one class"
    alike = "all rows" if np.isnan(distance_ratio(embeddings, truth)) else "the rows of each class"
    return f"{alike} have the same embedding"
