"""Every metric of an evaluation with its interval."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from mien.evaluation import metrics
from mien.evaluation.affect import affect_metrics
from mien.evaluation.arrays import Evaluation
from mien.evaluation.metrics import FloatArray, IntArray
from mien.evaluation.retrieval import retrieve
from mien.evaluation.uncertainty import Interval, bootstrap_intervals

LEVEL = 0.95
RETRIEVAL_METRICS = ("precision_at_1", "map_at_r")


def score(
    evaluation: Evaluation, targets: IntArray, *, seed: int, draws: int, per_class: bool = False
) -> dict[Hashable, Interval]:
    """Every metric of the rows with a target; class-wise ones under ``(name, class, ...)``."""
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

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        confusion = metrics.confusion_matrix(truth, predictions, classes, weights=weights)
        found: dict[Hashable, FloatArray] = {
            "accuracy": metrics.accuracy(confusion),
            "mean_class_accuracy": metrics.mean_class_accuracy(confusion),
            "macro_f1": metrics.macro_f1(confusion),
        }
        found["nll"] = metrics.weighted_means(weights, nll)
        if rated.size:
            found["vote_agreement"] = metrics.weighted_means(weights[:, rated], agreement)
            found["vote_kl"] = metrics.weighted_means(weights[:, rated], divergence)
        if per_class:
            for measure in (metrics.precision, metrics.recall, metrics.f1):
                columns = measure(confusion).T
                found |= {(measure.__name__, index): value for index, value in enumerate(columns)}
            shares = metrics.row_shares(confusion)
            found |= {("share", *cell): shares[:, *cell] for cell in np.ndindex(classes, classes)}
        return found

    values = bootstrap_intervals(
        statistics,
        rows.size,
        clusters=evaluation.clusters(rows),
        cluster_name="subject",
        draws=draws,
        level=LEVEL,
        seed=seed,
    )
    values["ece"] = Interval(
        metrics.expected_calibration_error(metrics.reliability(truth, probabilities)),
        reason="drawing rows again adds noise to every bin, so a bootstrap of it is biased upwards",
    )
    return values | _retrieval_intervals(evaluation, rows, truth, seed=seed, draws=draws)


def score_affect(
    evaluation: Evaluation, *, seed: int, draws: int
) -> dict[tuple[str, str], Interval]:
    """Every metric of valence and arousal, as :func:`~mien.evaluation.affect.affect_metrics`.

    There must be rated rows.
    """
    rows = evaluation.rated
    if evaluation.valence_arousal is None or evaluation.valence_arousal_targets is None:
        raise ValueError("expected valence and arousal of the model and of the dataset")
    said = evaluation.valence_arousal[rows]
    truth = evaluation.valence_arousal_targets[rows]
    return bootstrap_intervals(
        lambda weights: affect_metrics(said, truth, weights=weights),
        rows.size,
        clusters=evaluation.clusters(rows),
        cluster_name="subject",
        draws=draws,
        level=LEVEL,
        seed=seed,
    )


def _retrieval_intervals(
    evaluation: Evaluation, rows: IntArray, truth: IntArray, *, seed: int, draws: int
) -> dict[Hashable, Interval]:
    if evaluation.embeddings is None:
        return dict.fromkeys(
            RETRIEVAL_METRICS, Interval(None, reason="the model gave no embedding")
        )
    found = retrieve(evaluation.embeddings[rows], truth)
    if found.queries.size == 0:
        return dict.fromkeys(RETRIEVAL_METRICS, Interval(None, reason="no class has two rows"))

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        return {
            "precision_at_1": metrics.weighted_means(weights, found.precision_at_1),
            "map_at_r": metrics.weighted_means(weights, found.map_at_r),
        }

    return bootstrap_intervals(
        statistics,
        found.queries.size,
        clusters=evaluation.clusters(rows[found.queries]),
        cluster_name="subject",
        draws=draws,
        level=LEVEL,
        seed=seed,
    )
