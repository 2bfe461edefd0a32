import numpy as np
from evaluations import alone, expression, make, valence_arousal

from mien.reports.report import evaluate, write_report


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
