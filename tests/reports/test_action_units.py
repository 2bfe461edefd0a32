from pathlib import Path

import numpy as np
import pytest
from evaluations import Page, alone, make, read_documents
from sklearn import metrics as sklearn_metrics

from mien.heads.action_units import ActionUnitInfo
from mien.labels import ACTION_UNITS
from mien.reports.comparison import Context, Entry, compare, measure, write_comparison
from mien.reports.evaluation import Evaluation
from mien.reports.report import evaluate, write_report
from mien.reports.sections.action_units import ActionUnitArrays

N = 80
THRESHOLDS = tuple(0.3 + 0.02 * unit for unit in range(12))


def arrays(noise: float = 0.3, seed: int = 0, **changes) -> ActionUnitArrays:
    """Intensities with every tenth row and a third of AU2 not annotated."""
    rng = np.random.default_rng(0)
    targets = rng.choice([0.0, 0.2, 0.4, 1.0], (N, 12), p=[0.5, 0.2, 0.2, 0.1])
    errors = np.random.default_rng(50 + seed).normal(0, noise, (N, 12))
    probabilities = np.clip(targets + errors, 0, 1)
    targets[::10], targets[::3, 1] = np.nan, np.nan
    given = {
        "info": ActionUnitInfo(thresholds=THRESHOLDS),
        "targets": targets,
        "predictions": probabilities,
    }
    return ActionUnitArrays(**(given | changes))


def entry_of(evaluation: Evaluation, draws: int = 50) -> dict:
    return evaluate(evaluation, draws=draws)["heads"]["action_units"]


def expected(given: ActionUnitArrays, unit: int) -> dict[str, float]:
    """By scikit-learn, over the annotated rows of the unit and at its threshold."""
    annotated = ~np.isnan(given.targets[:, unit])
    present = given.targets[annotated, unit] >= 0.4
    values = given.predictions[annotated, unit]
    predicted = values >= given.info.thresholds[unit]
    return {
        "base_rate": present.mean(),
        "auc": sklearn_metrics.roc_auc_score(present, values),
        "f1": sklearn_metrics.f1_score(present, predicted),
        "accuracy": sklearn_metrics.accuracy_score(present, predicted),
        "f1_at_half": sklearn_metrics.f1_score(present, values >= 0.5),
    }


def mean_f1(given: ActionUnitArrays) -> float:
    return float(np.mean([expected(given, unit)["f1"] for unit in range(12)]))


def test_each_unit_and_the_means(tmp_path: Path) -> None:
    given = arrays()
    evaluation = make(N, others={"action_units": given})
    page = write_report(evaluation, evaluate(evaluation, draws=50), tmp_path)
    report, html = read_documents(page)
    entry = report["heads"]["action_units"]
    assert (entry["n"], entry["left_out"]) == (72, {"no action unit annotated": 8})
    assert list(entry["per_unit"]) == list(ACTION_UNITS)
    by_hand = [expected(given, unit) for unit in range(12)]
    columns = ("base_rate", "auc", "f1", "accuracy")
    shown = Page(html)
    for unit, (name, found) in enumerate(entry["per_unit"].items()):
        annotated = ~np.isnan(given.targets[:, unit])
        assert found["n"] == annotated.sum() and found["threshold"] == THRESHOLDS[unit]
        assert found["present"] == (given.targets[annotated, unit] >= 0.4).sum()
        for metric in columns:
            value = by_hand[unit][metric]
            assert found[metric]["value"] == pytest.approx(value), (name, metric)
            assert found[metric]["low"] <= value <= found[metric]["high"]
        cells = shown.row(f"{name} ")[1:]
        assert cells[:2] == [str(found["n"]), f"{found['threshold']:.2f}"]
        for cell, metric in zip(cells[2:6], columns, strict=True):
            assert cell.startswith(f"{100 * found[metric]['value']:.1f} ")
    metrics = {name: value["value"] for name, value in entry["metrics"].items()}
    for name, of_unit in {
        "mean_unit_auc": "auc",
        "mean_unit_f1": "f1_at_half",
        "mean_unit_f1_calibrated": "f1",
        "mean_unit_accuracy_calibrated": "accuracy",
    }.items():
        assert metrics[name] == pytest.approx(np.mean([unit[of_unit] for unit in by_hand])), name
    assert shown.articles == ["expression", "action_units"]


def test_units_without_both_kinds_of_rows_are_no_part_of_the_means() -> None:
    targets = arrays().targets
    targets[:, 0], targets[:, 3] = np.nan, np.where(np.isnan(targets[:, 3]), np.nan, 0)
    given = arrays(targets=targets)
    report = evaluate(alone("action_units", given), draws=20)
    entry = report["heads"]["action_units"]
    first, fourth = (entry["per_unit"][ACTION_UNITS[unit]] for unit in (0, 3))
    assert first["n"] == 0 and first["auc"]["reason"] == "no row is annotated"
    assert fourth["f1"]["value"] is None and "in no annotated row" in fourth["f1"]["reason"]
    assert fourth["base_rate"]["value"] == 0
    rest = [expected(given, unit)["f1"] for unit in (1, 2, *range(4, 12))]
    mean = entry["metrics"]["mean_unit_f1_calibrated"]["value"]
    assert mean == pytest.approx(np.mean(rest))
    assert "10 of 12 action units" in report["warnings"][0]
    absent = np.where(np.isnan(targets), np.nan, 0.0)
    entry = entry_of(alone("action_units", arrays(targets=absent)))
    assert all(value["value"] is None and value["reason"] for value in entry["metrics"].values())


def test_subjects_are_drawn_with_all_their_rows() -> None:
    given = arrays()
    # Copies of a row are no more evidence where they are of one person.
    twice = arrays(
        targets=np.repeat(given.targets[: N // 2], 2, 0),
        predictions=np.repeat(given.predictions[: N // 2], 2, 0),
    )
    widths = []
    for names in (np.repeat(np.arange(N // 2), 2), np.arange(N)):
        evaluation = alone("action_units", twice, subjects=names.astype(str))
        f1 = entry_of(evaluation, draws=300)["metrics"]["mean_unit_f1_calibrated"]
        widths.append(f1["high"] - f1["low"])
    assert widths[0] > 1.2 * widths[1]
    one = entry_of(alone("action_units", given, subjects=np.array(["me"] * N)))
    assert one["metrics"]["mean_unit_f1"]["reason"].startswith("there is one subject")


def side(label: str, *noises: float) -> Entry:
    members = [
        measure(alone("action_units", arrays(noise, seed)), f"{label}-{seed}", run_seed=seed)
        for seed, noise in enumerate(noises)
    ]
    return Entry(label, members)


def test_the_mean_f1_decides_a_comparison(tmp_path: Path) -> None:
    rough, fine = side("rough", 0.6), side("fine", 0.1)
    document = compare([rough, fine], Context())
    document, html = read_documents(write_comparison([rough, fine], document, tmp_path))
    head = document["heads"]["action_units"]
    [found] = head["comparisons"]
    values = [of_side["metrics"]["mean_unit_f1_calibrated"]["value"] for of_side in head["entries"]]
    assert values == pytest.approx([mean_f1(arrays(0.6)), mean_f1(arrays(0.1))])
    difference = found["metrics"]["mean_unit_f1_calibrated"]
    assert difference["value"] == pytest.approx(values[1] - values[0])
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert found["verdict"] == "better" and difference["over_seeds"] is None
    page = Page(html)
    assert [cell.split()[0] for cell in page.row("Mean F1, calibrated")[1:]] == [
        f"{100 * values[0]:.1f}",
        f"{100 * values[1]:.1f}",
        f"+{100 * difference['value']:.1f}",
    ]
    assert "B fine is better than A rough." in page.text
    for other, verdict in ((rough, "worse"), (side("again", 0.1), "no difference shown")):
        [found] = compare([fine, other], Context())["heads"]["action_units"]["comparisons"]
        assert found["verdict"] == verdict


def test_seeds_have_to_agree() -> None:
    # Better with two seeds and worse with one: shown over rows, and not over seeds.
    document = compare([side("a", 0.5, 0.5, 0.1), side("b", 0.1, 0.1, 0.3)], Context())
    [found] = document["heads"]["action_units"]["comparisons"]
    difference = found["metrics"]["mean_unit_f1_calibrated"]
    assert difference["low"] > 0 > difference["over_seeds"]["low"]
    assert found["verdict"] == "no difference shown"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.zeros((N, 3))}, r"targets of shape \(80, 12\)"),
        ({"predictions": np.full((N, 12), 1.2)}, "predictions in"),
        ({"predictions": np.full((N, 12), np.nan)}, "predictions in"),
        ({"targets": np.full((N, 12), 2.0)}, "targets in"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alone("action_units", arrays(**changes))
