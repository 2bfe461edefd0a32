from pathlib import Path

import numpy as np
import pytest
from evaluations import alone, expression, make, recordings, valence_arousal

from mien.heads import HEADS
from mien.heads.severity import SeverityInfo
from mien.reports.evaluation import Evaluation, SeverityArrays
from mien.reports.report import evaluate, write_report
from mien.reports.sections.action_units import ActionUnitArrays
from mien.scales import SCALES


def grouped(groups: dict[str, np.ndarray], n: int = 400, worse: np.ndarray | None = None):
    """Expressions of persons with two rows each; ``worse`` rows are predicted at random."""
    arrays = expression(make(n))
    predictions = np.where(np.eye(8)[arrays.targets] > 0, 0.93, 0.01)
    if worse is not None:
        wrong = worse & (np.arange(n) % 3 == 0)
        predictions[wrong] = np.roll(predictions[wrong], 1, axis=1)
    base = type(arrays)(info=arrays.info, targets=arrays.targets, predictions=predictions, rule="m")
    return alone("expression", base, groups=groups)


def test_no_groups_no_section(tmp_path) -> None:
    evaluation = make()
    report = evaluate(evaluation, draws=20)
    assert report["groups"] == []
    assert 'id="groups"' not in write_report(evaluation, report, tmp_path).read_text("utf-8")


def test_the_worst_group_and_its_gap(tmp_path) -> None:
    sex = np.where(np.arange(400) // 2 % 2 == 0, "female", "male").astype(object)
    sex[:4] = ""
    evaluation = grouped({"sex": sex}, worse=sex == "male")
    report = evaluate(evaluation, draws=100)
    (entry,) = report["groups"]
    assert (entry["head"], entry["column"], entry["worst"]) == ("expression", "sex", "male")
    assert entry["unknown"] == 4
    female, male = entry["groups"]
    assert (female["n"], female["subjects"], female["small"]) == (198, 99, False)
    assert female["gap"]["value"] == -male["gap"]["value"] > 0
    # One test, so Holm raises nothing.
    assert female["p"] == female["p_adjusted"] == male["p_adjusted"] < 0.05
    page = write_report(evaluation, report, tmp_path).read_text("utf-8")
    assert "Worst group that is not small: male." in page


def test_holm_counts_every_test_of_the_report() -> None:
    numbers = np.arange(400) // 2
    age = np.array(["0-19", "20-39", "40-69", "70+"], object)[numbers % 4]
    sex = np.array(["female", "male"], object)[numbers // 4 % 2]
    report = evaluate(grouped({"age_group": age, "sex": sex}), draws=20)
    ages, sexes = report["groups"]
    tested = [group["p"] for group in [*ages["groups"], sexes["groups"][0]]]
    assert len(tested) == 5
    smallest = min([*ages["groups"], sexes["groups"][0]], key=lambda group: group["p"])
    assert smallest["p_adjusted"] == min(1.0, 5 * smallest["p"])


def test_small_groups_are_marked_and_not_tested(tmp_path) -> None:
    race = np.full(400, "a", object)
    race[:200], race[:12] = "b", "few"
    evaluation = grouped({"race": race})
    (entry,) = evaluate(evaluation, draws=20)["groups"]
    marked = {group["name"]: (group["small"], group["p"] is None) for group in entry["groups"]}
    assert marked == {"a": (False, False), "b": (False, False), "few": (True, True)}
    report = evaluate(evaluation, draws=20)
    assert "small group" in write_report(evaluation, report, tmp_path).read_text("utf-8")


def test_names_that_tell_rows_apart_are_no_groups() -> None:
    names = np.array([f"site {row}" for row in range(400)], object)
    same = np.full(400, "all", object)
    assert evaluate(grouped({"site": names, "group": same}), draws=20)["groups"] == []


def test_errors_have_the_largest_as_the_worst() -> None:
    arrays = valence_arousal(200)
    side = np.where(np.arange(200) // 2 % 2 == 0, "left", "right").astype(object)
    predictions = np.array(arrays.predictions)
    predictions[side == "left"] += 1
    changed = type(arrays)(targets=arrays.targets, predictions=predictions)
    (entry,) = evaluate(alone("valence_arousal", changed, groups={"angle": side}), draws=20)[
        "groups"
    ]
    assert entry["worst"] == "left" and not entry["greater_is_better"]


def of_head(head: str, n: int = 120) -> Evaluation:
    """Rows of one head, of two sexes with 30 persons each."""
    rng = np.random.default_rng(3)
    groups = {"sex": np.where(np.arange(n) // 2 % 2 == 0, "female", "male").astype(object)}
    if head == "expression":
        return alone(head, expression(make(n)), groups=groups)
    if head == "valence_arousal":
        return alone(head, valence_arousal(n), groups=groups)
    if head == "action_units":
        targets, given = rng.integers(0, 2, (n, 12)).astype(float), rng.random((n, 12))
        return alone(head, ActionUnitArrays(targets=targets, predictions=given), groups=groups)
    scores = rng.integers(0, 60, n).astype(float)
    training = recordings({"t": ("someone", "", 20, None)})
    arrays = SeverityArrays(
        info=SeverityInfo(scale=SCALES["bdi-ii"]),
        targets=scores,
        predictions=np.clip(scores + rng.normal(0, 5, n), 0, 63),
        training=training,
    )
    return alone(head, arrays, groups=groups, unit="recording")


@pytest.mark.parametrize("head", HEADS)
def test_every_head_compares_the_groups_that_the_rows_have(head: str, tmp_path: Path) -> None:
    evaluation = of_head(head)
    report = evaluate(evaluation, draws=20)
    (entry,) = report["groups"]
    assert (entry["head"], entry["column"]) == (head, "sex")
    assert all(0 < group["p_adjusted"] <= 1 for group in entry["groups"])
    assert all(group["gap"]["low"] is not None for group in entry["groups"])
    page = write_report(evaluation, report, tmp_path).read_text("utf-8")
    assert 'id="groups"' in page and "female" in page
