"""Metrics: pure functions of arrays, and the catalog of those that models are measured by."""

from mien.metrics.aggregation import aggregate_clips
from mien.metrics.attention import ClassMaps, MapSums
from mien.metrics.catalog import classification_metrics
from mien.metrics.classification import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    f1,
    macro_f1,
    mean_class_accuracy,
    negative_log_likelihoods,
    precision,
    recall,
    reliability,
    vote_agreements,
    vote_divergences,
)
from mien.metrics.geometry import distance_ratio, effective_rank, spread
from mien.metrics.metric import Metric
from mien.metrics.neighbors import centroid_predictions, neighbor_predictions
from mien.metrics.regression import (
    agreement,
    concordance,
    correlation,
    mean_absolute_error,
    moments,
    root_mean_squared_error,
    sign_agreement,
    valence_arousal_metrics,
)
from mien.metrics.retrieval import retrieve

__all__ = [
    "ClassMaps",
    "MapSums",
    "Metric",
    "accuracy",
    "aggregate_clips",
    "agreement",
    "centroid_predictions",
    "classification_metrics",
    "concordance",
    "confusion_matrix",
    "correlation",
    "distance_ratio",
    "effective_rank",
    "expected_calibration_error",
    "f1",
    "macro_f1",
    "mean_absolute_error",
    "mean_class_accuracy",
    "moments",
    "negative_log_likelihoods",
    "neighbor_predictions",
    "precision",
    "recall",
    "reliability",
    "retrieve",
    "root_mean_squared_error",
    "sign_agreement",
    "spread",
    "valence_arousal_metrics",
    "vote_agreements",
    "vote_divergences",
]
