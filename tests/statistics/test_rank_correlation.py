import numpy as np
import pytest
from scipy.stats import spearmanr

from mien.statistics.rank_correlation import rank_correlation, similarity_rank_correlation


def test_the_rank_correlation_is_over_pairs() -> None:
    rng = np.random.default_rng(1)
    vectors, scores = rng.normal(size=(7, 4)), rng.integers(0, 10, 7).astype(float)
    owners = np.array([0, 0, 1, 2, 3, 3, 4])
    found = similarity_rank_correlation(vectors, scores, owners, seed=0, draws=50)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(7) for j in range(i + 1, 7)]
    for name, own in (
        ("all_pairs", pairs),
        ("other_subjects", [(i, j) for i, j in pairs if owners[i] != owners[j]]),
    ):
        cosine = [float(unit[i] @ unit[j]) for i, j in own]
        nearness = [-abs(scores[i] - scores[j]) for i, j in own]
        assert found[name]["pairs"] == len(own)
        assert found[name]["value"] == pytest.approx(spearmanr(cosine, nearness).statistic)
    assert found["all_pairs"]["pairs"] - found["other_subjects"]["pairs"] == 2


def test_weights_of_the_rank_correlation_are_repetitions() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 5, 30).astype(float), rng.integers(0, 5, 30).astype(float)
    times = rng.integers(0, 4, 30)
    expected = spearmanr(np.repeat(x, times), np.repeat(y, times)).statistic
    assert rank_correlation(x, y, times.astype(float)) == pytest.approx(expected)


def test_an_embedding_of_identities_has_order_only_within_people() -> None:
    # Each person is a direction of its own, with one score: likeness says who, not how severe.
    scores = np.repeat([5.0, 40.0, 10.0, 30.0, 20.0, 60.0], 2)
    owners = np.repeat(np.arange(6), 2)
    found = similarity_rank_correlation(np.eye(6)[owners], scores, owners, seed=0, draws=50)
    assert found["other_subjects"]["value"] is None
    assert found["other_subjects"]["reason"] == "every similarity is the same"
    assert found["all_pairs"]["value"] > 0.3
    collapsed = similarity_rank_correlation(np.ones((12, 3)), scores, owners, seed=0, draws=50)
    assert collapsed["all_pairs"]["value"] is None
    none = similarity_rank_correlation(None, scores, owners, seed=0, draws=50)
    assert none["all_pairs"]["reason"] == "the model gave no embedding"


def test_copies_of_a_drawn_subject_make_no_pairs() -> None:
    angles = np.array([0.0, 0.3, 0.7])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    scores = np.array([0.0, 10.0, 5.0])
    found = similarity_rank_correlation(vectors, scores, np.arange(3), seed=0, draws=300)
    # Similarities by angle .3, .7, .4 and gaps 10, 5, 5: ranks (3, 1, 2) and (1, 2.5, 2.5).
    assert found["other_subjects"]["value"] == pytest.approx(
        spearmanr([3, 1, 2], [1, 2.5, 2.5]).statistic
    )
    # A draw with a subject missing has one kind of pair or none: no correlation. Pairs of copies
    # (similarity 1, gap 0) would give it one.
    assert found["other_subjects"]["low"] is None
    assert "too few subjects" in found["other_subjects"]["reason"]
