"""Labels of an expression: valence, arousal and the votes of simulated annotators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.labels import EXPRESSIONS
from mien.schema import FloatArray
from mien.synthetic.actions import Expression

CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happiness": (0.85, 0.45),
    "surprise": (0.15, 0.80),
    "sadness": (-0.75, -0.40),
    "anger": (-0.65, 0.70),
    "disgust": (-0.70, 0.35),
    "fear": (-0.60, 0.85),
    "contempt": (-0.50, 0.15),
}
"""Valence and arousal of each expression at full intensity, on Russell's circumplex (J. Pers.
Soc. Psychol. 39, 1980). The quadrants are his; the numbers are our choice."""

ANNOTATORS = 10
_MISTAKEN_FOR: dict[str, dict[str, float]] = {
    "neutral": {"sadness": 0.05, "contempt": 0.03},
    "happiness": {"contempt": 0.03},
    "surprise": {"fear": 0.12},
    "sadness": {"neutral": 0.08, "fear": 0.04},
    "anger": {"disgust": 0.12, "sadness": 0.03},
    "disgust": {"anger": 0.15, "contempt": 0.04},
    "fear": {"surprise": 0.20, "sadness": 0.05},
    "contempt": {"neutral": 0.12, "happiness": 0.08, "disgust": 0.05},
}


def valence_arousal(mixture: FloatArray) -> tuple[float, float]:
    """Return valence and arousal in [-1, 1], the mean of :data:`CIRCUMPLEX` over the mixture.

    Half a smile (0.5 happiness, 0.5 neutral) has half the valence of a full one, 0.425.
    """
    points = np.array([CIRCUMPLEX[name] for name in EXPRESSIONS])
    valence, arousal = np.asarray(mixture, np.float64) @ points
    return float(np.clip(valence, -1, 1)), float(np.clip(arousal, -1, 1))


def vote_shares(expression: Expression) -> NDArray[np.float64]:
    """Return the ``(8,)`` probabilities that an annotator names each expression; they sum to one.

    People rarely miss an expression, so neutral's share of the mixture is quartered. Part of each
    share goes to the expressions that it is commonly mistaken for; how much is our choice.
    """
    mixture = np.asarray(expression.mixture, np.float64)
    if expression.label != "neutral":
        mixture = mixture * np.where(np.arange(len(mixture)) == 0, 0.25, 1.0)
    confusion = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)))
    for row, name in enumerate(EXPRESSIONS):
        for other, share in _MISTAKEN_FOR[name].items():
            confusion[row, EXPRESSIONS.index(other)] = share
        confusion[row, row] = 1 - confusion[row].sum()
    shares: NDArray[np.float64] = mixture / mixture.sum() @ confusion
    return np.asarray(shares / shares.sum(), np.float64)


def draw_votes(expression: Expression, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw the ``(8,)`` votes of ten independent annotators."""
    return generator.multinomial(ANNOTATORS, vote_shares(expression)).astype(np.int64)
