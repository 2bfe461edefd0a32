import numpy as np

from mien.scales import SCALES
from mien.statistics.groups import errors_by_band
from mien.statistics.recordings import Recordings


def test_bands_end_one_point_below_the_next() -> None:
    scores = np.array([0.0, 13.0, 14.0, 19.0, 20.0, 28.0, 29.0, 63.0])
    recordings = Recordings(
        ids=np.array([f"video-{row}" for row in range(8)]),
        subjects=np.array([f"subject-{row}" for row in range(8)]),
        scores=scores,
        predictions=scores + 1,
    )
    bands = errors_by_band(SCALES["bdi-ii"], recordings, seed=0, draws=20)
    limits = [(band["name"], band["from"], band["to"], band["n"]) for band in bands]
    assert limits == [
        ("minimal", 0, 13, 2),
        ("mild", 14, 19, 2),
        ("moderate", 20, 28, 2),
        ("severe", 29, 63, 2),
    ]
