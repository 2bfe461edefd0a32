import numpy as np
import pytest

from mien.metrics.aggregation import aggregate_clips, pool_clips

OWNERS = np.array([0, 0, 0, 1, 1])


@pytest.mark.parametrize("how", ["mean", "median", "trimmed"])
def test_distributions_of_clips_become_a_distribution_of_their_recording(how: str) -> None:
    clips = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.5, 0], [1, 0, 0]])
    pooled = pool_clips(clips, OWNERS, 2, how)
    np.testing.assert_allclose(pooled.sum(1), 1, atol=1e-12)
    columns = [aggregate_clips(column, OWNERS, 2, how) for column in clips.T]
    ratio = pooled / np.maximum(np.stack(columns, 1), 1e-12)
    np.testing.assert_allclose(ratio[0, :2], ratio[0, 0])


def test_other_columns_are_aggregated_as_they_are() -> None:
    clips = np.array([[-0.5, 0.2], [0.1, 0.4], [0.3, 0.9], [0.2, 0.2], [0.4, 0.0]])
    pooled = pool_clips(clips, OWNERS, 2, "median")
    np.testing.assert_allclose(pooled, [[0.1, 0.4], [0.3, 0.1]])
