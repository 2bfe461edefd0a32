from pathlib import Path

import numpy as np
import pytest
from evaluations import Page, read_documents, recordings, severity

from mien.errors import MienError
from mien.reports.evaluation import Evaluation
from mien.reports.report import evaluate, write_report
from mien.scales import RESEARCH_ONLY, Scale
from mien.statistics.recordings import Recordings, average_sessions

TEST = {  # video: subject, task, score, prediction
    "201_2_Freeform": ("201", "Freeform", 12, 16),
    "201_3_Freeform": ("201", "Freeform", 18, 16),
    "202_2_Northwind": ("202", "Northwind", 30, 33),
    "204_1_Freeform": ("204", "Freeform", 40, 30),
    "205_1_Northwind": ("205", "Northwind", 20, 26),
}
TRAIN = {
    "201_1_Freeform": ("201", "Freeform", 10, None),
    "201_1_Northwind": ("201", "Northwind", 20, None),
    "202_1_Freeform": ("202", "Freeform", 30, None),
    "203_1_Freeform": ("203", "Freeform", 60, None),
}


def made(rows: dict[str, tuple] = TEST, train: dict[str, tuple] = TRAIN, **more) -> Evaluation:
    return severity(recordings(rows), recordings(train), **more)


def measured(evaluation: Evaluation, draws: int = 20) -> dict:
    """The head's entry of a report."""
    return evaluate(evaluation, draws=draws)["heads"]["severity"]


def people(count: int, *, first: int = 300, each: int = 1, off: float = 4.0) -> Recordings:
    """``count`` subjects with errors of 0 to ``off``, growing with the subject."""
    rows = {
        f"{first + person}_{number}": (
            str(first + person), "", 20, 20 + off * (person + 1) / count
        )
        for person in range(count)
        for number in range(each)
    }  # fmt: skip
    return recordings(rows)


def values(entry: dict) -> dict[str, float]:
    return {name: entry["metrics"][name]["value"] for name in ("mae", "rmse", "pcc", "ccc")}


def test_the_numbers_are_those_computed_by_hand() -> None:
    report = measured(made(), 200)
    # Errors 4, 2, 3, 10, 6: mean 25 / 5 = 5, root of (16 + 4 + 9 + 100 + 36) / 5 = 33.
    # Scores less their mean 24: -12, -6, 6, 16, -4, squares 488. Predictions less 24.2: -8.2, -8.2,
    # 8.8, 5.8, 1.8, squares 248.8. Products 286. CCC 2 * 286 / (488 + 248.8 + 5 * 0.2^2) = 572/737.
    assert values(report) == pytest.approx(
        {"mae": 5, "rmse": 33**0.5, "pcc": 286 / (488 * 248.8) ** 0.5, "ccc": 572 / 737}
    )
    assert (report["n"], report["subjects"]) == (5, 4)
    # Training scores 10, 20, 30, 60: mean 30, median 25.
    assert (report["training"]["mean"], report["training"]["median"]) == (30, 25)
    base = report["baselines"]
    # 30 misses by 18, 12, 0, 10, 10; 25 by 13, 7, 5, 15, 5.
    assert base["mean"]["metrics"]["mae"]["value"] == pytest.approx(50 / 5)
    assert base["median"]["metrics"]["mae"]["value"] == pytest.approx(45 / 5)
    assert base["mean"]["differences"]["mae"]["value"] == pytest.approx(5 - 10)
    assert base["mean"]["metrics"]["pcc"]["value"] is None
    assert base["mean"]["metrics"]["pcc"]["reason"] == "every prediction is the same"
    # 201 has (10 + 20) / 2 = 15 in training, 202 has 30, and the others get the mean 30:
    # misses 3, 3, 0, 10, 10. Root of (9 + 9 + 0 + 100 + 100) / 5.
    assert base["subject"]["metrics"]["mae"]["value"] == pytest.approx(26 / 5)
    assert base["subject"]["metrics"]["rmse"]["value"] == pytest.approx((218 / 5) ** 0.5)
    assert base["subject"]["differences"]["mae"]["value"] == pytest.approx(5 - 5.2)
    assert base["subject"]["differences"]["rmse"]["value"] == pytest.approx(33**0.5 - 43.6**0.5)
    assert base["subject"]["known"] == 3
    # Of the seen the model misses 4, 2, 3 and the person 3, 3, 0; of the unseen 10, 6 and 10, 10.
    seen, unseen, unknown = (report["subject_groups"][key] for key in ("seen", "unseen", "unknown"))
    assert [(own["n"], own["subjects"]) for own in (seen, unseen)] == [(3, 2), (2, 2)]
    assert (seen["metrics"]["mae"]["value"], unseen["metrics"]["mae"]["value"]) == (3, 8)
    assert seen["baselines"]["subject"]["metrics"]["mae"]["value"] == pytest.approx(2)
    assert unseen["baselines"]["subject"]["metrics"]["mae"]["value"] == pytest.approx(10)
    assert unknown["n"] == 0 and unknown["metrics"]["mae"]["reason"] == "there are no recordings"


def test_shared_subjects_are_the_first_warning() -> None:
    report = evaluate(made(warnings=["The faces are rendered"]), draws=20)
    assert report["warnings"][0] == (
        "Subjects are shared: 2 of the 4 subjects of split test (3 of 5 recordings) are also in "
        "training, so the model may know the person instead of the severity; only the 2 "
        "recordings of unseen subjects tell about new people"
    )
    assert report["warnings"][1] == "The faces are rendered"
    assert "4 subjects" in report["warnings"][2]
    new = {video: row for video, row in TEST.items() if row[0] > "203"}
    apart = evaluate(made(new), draws=20)
    assert not any("shared" in warning for warning in apart["warnings"])
    assert "this is the mean again" in apart["heads"]["severity"]["verdicts"][2]
    old = evaluate(made({v: row for v, row in TEST.items() if row[0] < "203"}), draws=20)
    assert old["warnings"][0].endswith("no recording here tells about new people")


def test_unknown_subjects_are_neither_seen_nor_unseen() -> None:
    rows = TEST | {"x": ("", "Freeform", 20, 21), "y": ("", "Freeform", 20, 22)}
    report = evaluate(made(rows, TRAIN | {"z": ("", "Freeform", 30, None)}), draws=20)
    assert [
        report["heads"]["severity"]["subject_groups"][key]["n"]
        for key in ("seen", "unseen", "unknown")
    ] == [
        3,
        2,
        2,
    ]
    assert report["heads"]["severity"]["baselines"]["subject"]["known"] == 3
    assert "1 of 5 training recordings is not known" in report["warnings"][1]
    assert "2 of 7 recordings is not known" in report["warnings"][2]
    # Each counts as a subject of its own in the draws.
    assert report["clusters"] == 6
    nobody = {video: ("", *row[1:]) for video, row in TEST.items()}
    assert evaluate(made(nobody), draws=20)["clustered_by"] is None


def test_on_training_data_a_recording_does_not_tell_its_own_score() -> None:
    rows = {video: (*row[:3], 20) for video, row in TRAIN.items()}
    report = measured(made(rows, split="train"), 20)
    # 201: the other one has 20 and 10, misses 10, 10; 202 and 203 have none: |30 - 30|, |60 - 30|.
    assert report["baselines"]["subject"]["metrics"]["mae"]["value"] == pytest.approx(50 / 4)
    assert report["baselines"]["subject"]["known"] == 2


def test_a_subject_recorded_twice_is_no_more_evidence() -> None:
    rows = {f"{n}": (f"{n}", "", n, (n * 7) % 40) for n in range(12)}
    once = measured(made(rows), 300)
    twice = measured(made(rows | {f"{v}b": row for v, row in rows.items()}), 300)
    assert twice["n"] == 24
    for key in ("value", "low", "high"):
        assert twice["metrics"]["mae"][key] == pytest.approx(once["metrics"]["mae"][key])
    # Drawn one by one the copies pass for more: the interval shrinks by about the root of two.
    alone = {f"{v}b": (f"{row[0]}b", *row[1:]) for v, row in rows.items()}
    apart = measured(made(rows | alone), 300)["metrics"]["mae"]
    wide = once["metrics"]["mae"]
    assert apart["high"] - apart["low"] < 0.85 * (wide["high"] - wide["low"])


def test_words_follow_the_paired_interval() -> None:
    good = {f"{n}": (f"{n}", "", 3 * n, 3 * n + 1) for n in range(20)}
    report = measured(made(good), 100)
    assert report["verdicts"][0].startswith(
        "The model beats always predicting the mean score of the training recordings: mean "
        "absolute error 1.00 against "
    )
    assert report["baselines"]["mean"]["differences"]["ccc"]["verdict"] == "better"
    bad = {f"{n}": (f"{n}", "", 28 + n % 4, 60) for n in range(20)}
    found = measured(made(bad), 100)["baselines"]["mean"]["differences"]
    assert found["mae"]["verdict"] == found["rmse"]["verdict"] == "worse"
    # The model says the training mean itself: nothing is shown, in either direction.
    same = {f"{n}": (f"{n}", "", n, 30) for n in range(20)}
    report = measured(made(same), 100)
    assert report["baselines"]["mean"]["differences"]["mae"]["verdict"] == "no difference shown"
    assert report["verdicts"][0].startswith("The model is not shown to beat")
    assert report["metrics"]["pcc"]["value"] is None
    assert report["metrics"]["pcc"]["reason"] == "every prediction is the same"
    assert report["metrics"]["ccc"]["value"] == 0


def test_seen_and_unseen_people_have_words_of_their_own() -> None:
    verdicts = measured(made(), 50)["verdicts"]
    assert verdicts[3].startswith("On the 3 recordings of subjects also in training: the model is")
    assert "3.00 against 2.00, difference +1.00" in verdicts[3]
    assert verdicts[4].startswith("On the 2 recordings of subjects not in training: the model ")


def test_bands_tasks_and_sessions() -> None:
    report = measured(made(), 20)
    # Bands 0, 14, 20, 29: truths 12 | 18 | 20 | 30, 40 and predictions 16, 16, 26, 33, 30.
    assert report["confusion"] == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]
    assert [own["mae"]["value"] for own in report["by_band"]] == [4, 2, 6, 6.5]
    assert [own["bias"]["value"] for own in report["by_band"]] == [4, -2, 6, -3.5]
    assert report["by_band"][1]["mae"]["low"] is None  # one subject carries it
    # Freeform misses 4, 2, 10, Northwind 3, 6.
    assert report["by_task"]["Freeform"]["metrics"]["mae"]["value"] == pytest.approx(16 / 3)
    assert report["by_task"]["Northwind"]["metrics"]["mae"]["value"] == pytest.approx(4.5)
    assert report["sessions"] is None
    # Both tasks of a session, 16 and 10 for a score of 12: their mean 13 misses by 1.
    both = TEST | {"201_2_Northwind": ("201", "Northwind", 12, 10)}
    report = measured(made(both), 20)
    assert report["sessions"]["n"] == 5
    assert report["sessions"]["metrics"]["mae"]["value"] == pytest.approx((1 + 2 + 3 + 10 + 6) / 5)
    # Named sessions count for more than the names of videos.
    rows = recordings({"a": ("201", "F", 12, 16), "b": ("201", "N", 12, 10)})
    assert average_sessions(rows) is None
    named = recordings(
        {"a": ("201", "F", 12, 16), "b": ("201", "N", 12, 10)}, sessions=np.array(["1", "1"])
    )
    fused = average_sessions(named)
    assert fused is not None and fused.predictions.tolist() == [13]


def test_usable_shares_and_a_scale_without_bands() -> None:
    rows = recordings(TEST, usable=np.array([0.2, 0.5, 0.79, 1.0, np.nan]))
    report = measured(severity(rows, recordings(TRAIN), scale=Scale(name="own", top=63)))
    assert [own["n"] for own in report["by_usable"]] == [1, 2, 0, 1]
    assert [own["mae"]["value"] for own in report["by_usable"]] == [4, 2.5, None, 10]
    assert report["by_band"] == report["confusion"] == []


def test_what_has_no_score_or_prediction_is_counted() -> None:
    rows = TEST | {"p": ("206", "", float("nan"), 3), "q": ("207", "", 8, float("nan"))}
    report = evaluate(made(rows, left_out={"no face in any frame": 2}), draws=20)
    assert report["n"] == report["heads"]["severity"]["n"] == 5
    assert report["left_out"] == {"no face in any frame": 2}
    assert report["heads"]["severity"]["left_out"] == {"no score": 1, "no prediction": 1}
    with pytest.raises(MienError, match="got none of 1"):
        measured(made({"p": ("206", "", float("nan"), 3)}))


def test_without_training_scores_there_is_no_baseline() -> None:
    report = measured(made(train={"p": ("206", "", float("nan"), None)}), 20)
    assert report["baselines"] == {}
    assert report["verdicts"] == [
        "No training recording has a score, so there is no baseline to beat."
    ]


@pytest.mark.parametrize(
    ("rows", "train", "name"),
    [
        ({"p": ("206", "", 64, 3)}, TRAIN, "targets"),
        ({"p": ("206", "", 3, -1)}, TRAIN, "predictions"),
        (TEST, {"p": ("206", "", 64, None)}, "training scores"),
    ],
)
def test_values_off_the_scale_are_refused(rows: dict, train: dict, name: str) -> None:
    with pytest.raises(ValueError, match=rf"expected {name} in \[0, 63\]"):
        made(rows, train)


def test_without_an_interval_there_is_a_reason() -> None:
    report = measured(made(validation=people(8, each=5)), 20)
    assert report["conformal"]["half_width"] is None
    assert report["conformal"]["covered"]["all"]["value"] is None
    assert "no validation" in measured(made(), 20)["conformal"]["reason"]


def test_the_measured_coverage_is_that_of_this_split() -> None:
    # Half width 4 (nine subjects, errors up to 4): of the misses 4, 2, 3, 10, 6 three are within.
    report = measured(made(validation=people(9)), 100)["conformal"]
    assert report["half_width"] == pytest.approx(4)
    assert report["covered"]["all"]["value"] == pytest.approx(0.6)
    assert report["covered"]["seen"]["value"] == 1
    assert report["covered"]["unseen"]["value"] == 0
    assert report["warnings"] == []
    again = measured(made(validation=people(9), split="valid"), 20)["conformal"]
    assert again["covered"]["all"]["reason"] == "the interval was calibrated on this very split"


def test_calibrating_on_people_of_the_split_or_of_training_is_said() -> None:
    shared = people(9, first=201)  # 201 to 209: 201 to 203 in training; 201, 202, 204, 205 in test
    warnings = measured(made(validation=shared), 20)["conformal"]["warnings"]
    assert warnings[0].startswith("4 of the 9 subjects that the interval was calibrated on are")
    assert warnings[1].startswith("3 of the 9 subjects")


def test_the_page_says_first_what_the_score_is_for(tmp_path: Path) -> None:
    evaluation = severity(
        recordings(TEST, usable=np.linspace(0.5, 1, 5), embeddings=np.eye(5) + 0.1),
        recordings(TRAIN),
        validation=people(9),
        provenance={"model": "<b>m</b>", "dataset": "d", "trained_on": "corpus X, EULA"},
    )
    report = evaluate(evaluation, draws=20)
    report, html = read_documents(write_report(evaluation, report, tmp_path))
    entry = report["heads"]["severity"]
    assert report["unit"] == "recording" and entry["use"] == RESEARCH_ONLY
    page = Page(html)
    assert page.text.index(RESEARCH_ONLY) < page.text.index("Trained on: corpus X, EULA")
    assert page.text.index("Subjects are shared: 2 of the 4") < page.text.index(RESEARCH_ONLY)
    assert "<b>m</b>" not in html and "<b>m</b>" in page.text
    assert page.articles == ["severity"]
    assert page.figures == ["severity", "residuals", "subjects"]
    # By hand: errors 5 of the model, 10, 9 and 5.2 of the baselines.
    assert page.row("The model")[1].startswith("5.00 ")
    for title, mae in (("Training mean", "10.00 "), ("Training median", "9.00 ")):
        assert page.row(title)[1].startswith(mae)
    assert page.row("Only the subject")[1].startswith("5.20")
    assert page.row("the model less that")[1].startswith("\u22125.00 ")
    assert page.row("Recordings")[1:] == ["3 2 subjects", "2 2 subjects"]
    assert [cell.split()[0] for cell in page.row("MAE", 0)[1:]] == ["3.00", "8.00"]
    assert page.row("Measured coverage")[1].startswith("60.0")
    pairs = entry["rank_correlation"]
    assert page.row("Pairs") == ["Pairs", str(pairs["other_subjects"]["pairs"]), "10"]
    assert len(entry["recordings"]) == 5
    assert entry["recordings"][0]["baselines"] == {"mean": 30, "median": 25, "subject": 15}
