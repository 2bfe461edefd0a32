import numpy as np
import pytest

from mien.statistics.gaps import gap_test, group_means


def clustered(rng: np.random.Generator, gap: float = 0.0) -> tuple[np.ndarray, ...]:
    """Rows of 80 subjects of uneven size, of whom each third is in the group."""
    sizes = rng.integers(1, 40, 80)
    clusters = np.repeat(np.arange(80), sizes)
    inside = (rng.permutation(80) % 3 == 0)[clusters]
    chances = np.clip(rng.normal(0.7, 0.15, 80), 0, 1)[clusters] - gap * inside
    return (rng.random(len(clusters)) < chances).astype(float), inside, clusters


def test_means_and_gaps_of_known_rows() -> None:
    values = np.tile([1.0, 1.0, 0.0, 0.0, 1.0, 0.0], 10)
    members = np.tile(np.array([[1, 0]] * 3 + [[0, 1]] * 3, bool), (10, 1))
    means, gaps = group_means(values, members, draws=200)
    assert [each.value for each in means] == pytest.approx([2 / 3, 1 / 3])
    assert [each.value for each in gaps] == pytest.approx([1 / 3, -1 / 3])
    assert gaps[0].low < 1 / 3 < gaps[0].high


@pytest.mark.slow
@pytest.mark.parametrize("by_subject", [True, False])
def test_the_test_keeps_its_size(by_subject: bool) -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for seed in range(300):
        values, inside, clusters = clustered(rng)
        if not by_subject:
            inside = rng.random(len(values)) < 0.4
        refused += gap_test(values, inside, clusters=clusters, permutations=199, seed=seed) <= 0.05
    # 2.5 and 97.5 % of 300 at 5 % are 8 and 23.
    assert 7 <= refused <= 24


def test_rows_of_one_subject_are_not_independent() -> None:
    rng = np.random.default_rng(1)
    alone, whole = 0, 0
    for seed in range(100):
        values, inside, clusters = clustered(rng)
        alone += gap_test(values, inside, permutations=99, seed=seed) <= 0.05
        whole += gap_test(values, inside, clusters=clusters, permutations=99, seed=seed) <= 0.05
    assert alone > 2 * whole


def test_a_gap_of_ten_points_is_found() -> None:
    rng = np.random.default_rng(2)
    shown = 0
    for seed in range(20):
        inside = rng.random(2000) < 0.5
        values = (rng.random(2000) < 0.7 - 0.1 * inside).astype(float)
        shown += gap_test(values, inside, permutations=199, seed=seed) <= 0.05
    assert shown >= 19


def test_groups_within_subjects() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(30), 20)
    inside = np.tile(np.arange(20) < 10, 30)
    skill = rng.uniform(0.3, 0.9, 30)[clusters]
    values = (rng.random(600) < skill - 0.15 * inside).astype(float)
    assert gap_test(values, inside, clusters=clusters, permutations=999) < 0.01
    with pytest.raises(ValueError, match="inside and outside"):
        gap_test(values, np.ones(600, bool))
