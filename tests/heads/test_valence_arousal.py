"""Valence and arousal: which is which, and their concordance by hand."""

import numpy as np
import pytest
from head_cases import CASES

from mien.heads.valence_arousal import ValenceArousalInfo

HEAD = CASES["valence_arousal"].head
METRICS = {metric.name: metric.function for metric in HEAD.metrics}


def concordance(predictions: np.ndarray, targets: np.ndarray) -> float:
    covariance = ((predictions - predictions.mean()) * (targets - targets.mean())).mean()
    gap = (predictions.mean() - targets.mean()) ** 2
    return float(2 * covariance / (predictions.var() + targets.var() + gap))


def test_metrics_are_lin_s_of_each_column_and_their_mean() -> None:
    generator = np.random.default_rng(0)
    targets = generator.uniform(-1, 1, (50, 2))
    predictions = targets * [0.5, 1] + generator.normal(0, [0.1, 0.5], (50, 2))
    valence, arousal = (concordance(predictions[:, k], targets[:, k]) for k in (0, 1))
    assert METRICS["ccc_valence"](targets, predictions) == pytest.approx(valence)
    assert METRICS["ccc_arousal"](targets, predictions) == pytest.approx(arousal)
    assert METRICS["mean_ccc"](targets, predictions) == pytest.approx((valence + arousal) / 2)
    assert abs(valence - arousal) > 0.02


def test_two_equal_constants_count_as_no_agreement() -> None:
    constant = np.full((4, 2), 0.5)
    assert METRICS["mean_ccc"](constant, constant) == 0


def test_it_reads_valence_first() -> None:
    read = HEAD.read(ValenceArousalInfo(), {"valence_arousal": np.float32([[0.5, -0.25]])}, 0)
    assert read == {"valence": 0.5, "arousal": -0.25}
    assert HEAD.columns == ("valence", "arousal") == tuple(HEAD.fields(ValenceArousalInfo()))
