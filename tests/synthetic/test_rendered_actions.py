"""Expressions, action units, valence and arousal, votes."""

import numpy as np
import pytest

from mien.labels import EXPRESSIONS
from mien.synthetic.actions import (
    FACE_UNITS,
    PROTOTYPES,
    RENDERED_UNITS,
    draw_expression,
    face_units,
)
from mien.synthetic.affect import CIRCUMPLEX, draw_votes, valence_arousal, vote_shares
from mien.synthetic.rendering.head import load_head


def drawn(label, count=200):
    return [draw_expression(label, np.random.default_rng((1, i))) for i in range(count)]


def test_every_action_unit_moves_the_mesh():
    names = load_head().units
    assert set(FACE_UNITS) == set(RENDERED_UNITS)
    for number in RENDERED_UNITS:
        units = face_units({number: (1.0, 1.0)})
        assert units and set(units) <= set(names)


def test_prototypes_are_those_of_emfacs():
    needed = {
        "happiness": {12},
        "surprise": {1, 2},
        "sadness": {15},
        "anger": {4},
        "disgust": {9},
        "fear": {1, 2, 4, 5, 20},
        "contempt": {14},
    }
    assert set(PROTOTYPES) == set(EXPRESSIONS)
    for name, units in needed.items():
        for variant in PROTOTYPES[name]:
            assert units <= set(variant) <= set(RENDERED_UNITS)


def test_contempt_is_on_one_side_and_happiness_on_both():
    for expression in drawn("contempt", 50):
        left, right = expression.actions[14]
        assert min(left, right) < 0.5 * max(left, right)
    leans = [np.subtract(*e.actions[12]) / sum(e.actions[12]) for e in drawn("happiness", 50)]
    assert max(map(abs, leans)) < 0.3 and len(set(leans)) == 50


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_a_mixture_sums_to_one_and_its_label_leads(label):
    expressions = drawn(label)
    for e in expressions:
        assert e.mixture.sum() == pytest.approx(1, abs=1e-6)
        assert e.mixture.min() >= 0
        assert all(0 <= e.action_unit(n) <= 1 for n in RENDERED_UNITS)
        others = np.delete(e.mixture, [0, EXPRESSIONS.index(label)])
        if label == "neutral":
            assert e.intensity == 0 and e.mixture[0] > 0.8
        else:
            assert 0.5 <= e.intensity <= 1
            assert e.mixture[0] == pytest.approx(1 - e.intensity, abs=1e-6)
            assert e.mixture[EXPRESSIONS.index(label)] > others.max()
    blended = np.mean(
        [(e.mixture > 0).sum() > (1 if label == "neutral" else 2) for e in expressions]
    )
    assert 0.2 < blended < 0.4


def test_valence_and_arousal_are_the_mixture_s_mean():
    for name, point in CIRCUMPLEX.items():
        pure = np.eye(8, dtype=np.float32)[EXPRESSIONS.index(name)]
        assert valence_arousal(pure) == pytest.approx(point)
    half = np.zeros(8, np.float32)
    half[:2] = 0.5
    assert valence_arousal(half) == pytest.approx((0.425, 0.225))
    assert all(-1 <= v <= 1 for v in np.ravel(list(CIRCUMPLEX.values())))


def test_votes_are_ten_and_mostly_right():
    right = []
    for label in EXPRESSIONS:
        for i, expression in enumerate(drawn(label, 50)):
            assert vote_shares(expression).sum() == pytest.approx(1)
            votes = draw_votes(expression, np.random.default_rng(i))
            assert votes.shape == (8,) and votes.sum() == 10
            right.append(votes.argmax() == EXPRESSIONS.index(label))
    assert 0.8 < np.mean(right) < 0.99
