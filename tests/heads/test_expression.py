"""Expression: metrics by hand, its temperature, what it reads and when it would rather not say."""

import numpy as np
import pytest
from head_cases import CASES, SPACE

from mien.heads import Validation
from mien.heads.expression import NEAR_TIE, Abstention, Calibration, ExpressionInfo, leading
from mien.schema import Prediction, Status
from mien.statistics.calibration import temperature_scale

HEAD = CASES["expression"].head
INFO = ExpressionInfo(label_space=SPACE)

TARGETS = np.array([0, 0, 0, 1])
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.2, 0.6, 0.2], [0.1, 0.9, 0.0]])


def arrays(targets: np.ndarray, logits: np.ndarray) -> Validation:
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Validation(
        {"expression": targets},
        {"expression": logits},
        {"expression": shares},
        np.full(len(targets), ""),
    )


def test_metrics_are_those_of_the_most_probable_class() -> None:
    values = {metric.name: metric.function(TARGETS, PROBABILITIES) for metric in HEAD.metrics}
    assert values["accuracy"] == 3 / 4
    # Two of three neutral faces and the happy one; anger has no row.
    assert values["mean_class_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert values["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    expected = -np.log([0.8, 0.5, 0.2, 0.9]).mean()
    assert values["nll"] == pytest.approx(expected)
    assert 0 <= values["ece"] <= 1
    assert HEAD.metrics[0].name == "accuracy"
    assert {m.name for m in HEAD.metrics if not m.greater_is_better} == {"ece", "nll"}


def test_its_temperature_is_that_of_the_raw_outputs_of_valid() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 3, 300)
    logits = 4 * (generator.normal(size=(300, 3)) + np.eye(3)[targets])
    info = HEAD.calibrate(INFO, arrays(targets, logits))
    assert info.calibration.temperature == temperature_scale(logits, targets) > 1.5
    assert info.calibration.method == "temperature scaling on valid"
    assert info.label_space == INFO.label_space


def test_without_rows_its_temperature_stays_one() -> None:
    nothing = arrays(np.zeros(0, np.int64), np.zeros((0, 3)))
    assert HEAD.calibrate(INFO, nothing) == INFO
    assert INFO.calibration == Calibration(temperature=1.0, method="none")


def test_it_reads_the_most_probable_class() -> None:
    read = HEAD.read(INFO, {"expression": np.float32(PROBABILITIES)}, 2)
    assert read["expression"] == "happiness"
    assert read["confidence"] == pytest.approx(0.6)
    assert read["probabilities"] == pytest.approx({"neutral": 0.2, "happiness": 0.6, "anger": 0.2})


def fields(neutral: float, happiness: float) -> dict[str, object]:
    shares = {"neutral": neutral, "happiness": happiness, "anger": 1 - neutral - happiness}
    return {"confidence": max(shares.values()), "probabilities": shares}


def test_below_its_threshold_it_would_rather_not_say() -> None:
    careful = INFO.model_copy(update={"abstain_below": 0.7})
    assert HEAD.doubt(careful, fields(0.7, 0.2)) == ""
    assert HEAD.doubt(careful, fields(0.699, 0.2)) == "not sure: 69 % neutral; answers from 70 %"
    assert HEAD.doubt(INFO, fields(0.34, 0.33)) == ""


def test_a_near_tie_says_both_names() -> None:
    careful = INFO.model_copy(update={"abstain_below": 0.7})
    doubt = HEAD.doubt(careful, fields(0.41, 0.395))
    assert doubt == "not sure: 41 % neutral, 39 % happiness; answers from 70 %"
    tie = Prediction(Status.OK, expression="neutral", **fields(0.41, 0.395))
    assert HEAD.phrase(INFO, tie) == "neutral 41 % or happiness 40 %"
    clear = Prediction(Status.OK, expression="neutral", **fields(0.41 + NEAR_TIE, 0.41))
    assert HEAD.phrase(INFO, clear) == "neutral 51 %"
    assert HEAD.phrase(INFO, Prediction(Status.OK)) == ""
    assert list(leading({"only": 1.0})) == ["only"]


def test_how_a_threshold_was_chosen_is_part_of_what_it_says_of_itself() -> None:
    chosen = Abstention(accuracy=0.9, level=0.95, rows=1000, answered=0.8, right=0.93)
    info = INFO.model_copy(update={"abstain_below": 0.6, "abstention": chosen})
    assert ExpressionInfo.model_validate(info.model_dump(mode="json")) == info
    with pytest.raises(ValueError, match="accuracy"):
        Abstention(accuracy=1.0, level=0.95, rows=1000, answered=0.8, right=0.93)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_threshold_is_a_share(value: float) -> None:
    with pytest.raises(ValueError, match="abstain_below"):
        ExpressionInfo(label_space=SPACE, abstain_below=value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e7, float("nan")])
def test_a_temperature_is_positive_and_finite(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        Calibration(temperature=temperature)


def test_a_rare_class_gains_and_one_that_was_never_seen_stays() -> None:
    info = ExpressionInfo(
        label_space=SPACE, shares=(0.75, 0.25, 0.0), calibration=Calibration(balance=0.5)
    )
    assert info.offsets == pytest.approx((0.5 * np.log(4 / 3), 0.5 * np.log(4), 0.0))
    assert ExpressionInfo(label_space=SPACE, shares=(0.75, 0.25, 0.0)).offsets == (0, 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": (0.5, 0.5)},
        {"shares": (0.5, 0.6, -0.1)},
        {"calibration": Calibration(balance=0.25)},
    ],
    ids=["too few", "negative", "no shares to balance by"],
)
def test_shares_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected (a share|shares)"):
        ExpressionInfo(label_space=SPACE, **wrong)
