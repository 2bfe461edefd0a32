"""Action units: presence from intensities, metrics over the units, and thresholds."""

import itertools

import numpy as np
import pytest
from head_cases import CASES

from mien.heads import Validation
from mien.heads.action_units import ActionUnitInfo, presence
from mien.labels import ACTION_UNITS
from mien.schema import Prediction, Status

HEAD = CASES["action_units"].head
INFO = ActionUnitInfo()
METRICS = {metric.name: metric.function for metric in HEAD.metrics}
COUNT = len(ACTION_UNITS)


def test_a_unit_is_present_from_an_intensity_of_two_of_five() -> None:
    annotated, present = presence(np.float32([[0, 0.2, 0.4, 1, np.nan]]))
    assert annotated.tolist() == [[True, True, True, True, False]]
    assert present.tolist() == [[False, False, True, True, False]]


def of_first_unit(targets: list[float], probabilities: list[float]) -> tuple[np.ndarray, ...]:
    """All other units are not annotated."""
    rows = len(targets)
    truth, said = np.full((rows, COUNT), np.nan), np.full((rows, COUNT), 0.5)
    truth[:, 0], said[:, 0] = targets, probabilities
    return truth, said


def test_metrics_are_means_over_the_units_that_have_both_kinds_of_rows() -> None:
    targets, probabilities = of_first_unit([1, 0, 1, 0, np.nan], [0.9, 0.6, 0.4, 0.1, 0.9])
    # Of the four pairs of a row with and a row without the unit, three are in order.
    assert METRICS["mean_unit_auc"](targets, probabilities) == 3 / 4
    # One found of two, and one decision of two is right.
    assert METRICS["mean_unit_f1"](targets, probabilities) == 1 / 2
    targets[:, 1], probabilities[:, 1] = [0, 0, 1, 1, np.nan], [0.1, 0.2, 0.8, 0.9, 0.5]
    targets[:, 2] = 1  # nothing to tell apart
    assert METRICS["mean_unit_auc"](targets, probabilities) == 7 / 8
    assert METRICS["mean_unit_f1"](targets, probabilities) == 3 / 4
    assert METRICS["mean_unit_auc"](np.full((3, COUNT), np.nan), probabilities[:3]) == 0


def test_a_threshold_has_the_highest_f1_of_all() -> None:
    generator = np.random.default_rng(0)
    targets = (generator.random((40, COUNT)) < 0.3).astype(np.float32)
    probabilities = np.round(0.25 * targets + 0.75 * generator.random((40, COUNT)), 2)
    arrays = Validation(
        {"action_units": targets}, {}, {"action_units": probabilities}, np.full(40, "")
    )
    thresholds = HEAD.calibrate(INFO, arrays).thresholds

    def f1(unit: int, threshold: float) -> float:
        decided, present = probabilities[:, unit] >= threshold, targets[:, unit] == 1
        return 2 * (decided & present).sum() / (decided.sum() + present.sum())

    for unit, threshold in enumerate(thresholds):
        best = max(f1(unit, step / 1000) for step in range(1001))
        assert f1(unit, threshold) == pytest.approx(best)
    assert len(set(thresholds)) > 1


def test_a_unit_that_valid_says_nothing_of_keeps_one_half() -> None:
    targets, probabilities = of_first_unit([1, 1, 1], [0.1, 0.2, 0.3])
    arrays = Validation(
        {"action_units": targets}, {}, {"action_units": probabilities}, np.full(3, "")
    )
    assert HEAD.calibrate(INFO, arrays).thresholds == (0.5,) * COUNT


def test_an_info_has_a_threshold_in_0_to_1_for_each_of_distinct_units() -> None:
    for changes in (
        {"thresholds": (0.5,)},
        {"thresholds": (1.5,) * COUNT},
        {"units": ("AU1",) * COUNT},
    ):
        with pytest.raises(ValueError, match="expected"):
            ActionUnitInfo(**changes)


def test_it_reads_a_probability_of_each_unit() -> None:
    outputs = np.linspace(0, 1, 2 * COUNT, dtype=np.float32).reshape(2, COUNT)
    read = HEAD.read(INFO, {"action_units": outputs}, 1)["action_units"]
    assert list(read) == list(ACTION_UNITS)
    assert all(one < other for one, other in itertools.pairwise(read.values()))


def test_intensities_are_not_written_as_probabilities() -> None:
    values = dict.fromkeys(ACTION_UNITS, 0.1) | {"AU6": 0.5, "AU12": 0.834}
    prediction = Prediction(Status.OK, action_units=values)
    assert HEAD.phrase(INFO, prediction) == "AU6 50 %, AU12 83 %"
    strong = INFO.model_copy(update={"measure": "intensity", "thresholds": (0.2,) * COUNT})
    assert HEAD.phrase(strong, prediction) == "AU6 0.50, AU12 0.83"


def test_a_row_of_nan_says_nothing() -> None:
    outputs = np.full((2, COUNT), np.nan, np.float32)
    outputs[1] = 0.5
    assert HEAD.read(INFO, {"action_units": outputs}, 0) == {"action_units": {}}
    assert len(HEAD.read(INFO, {"action_units": outputs}, 1)["action_units"]) == COUNT
