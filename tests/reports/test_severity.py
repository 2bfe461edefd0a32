import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from mien.reports.severity import (
    Recordings,
    SeverityEvaluation,
    evaluate_severity,
    write_severity_report,
)
from mien.scales import RESEARCH_ONLY, SCALES, Scale
from mien.schema import MienError
from mien.statistics.baselines import agreement
from mien.statistics.conformal import calibrate, conformal_half_width, fewest_subjects
from mien.statistics.ordering import order_of_similarity, rank_correlation
from mien.statistics.recordings import fused_sessions

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


def recordings(rows: dict[str, tuple], **more) -> Recordings:
    subjects, tasks, scores, predictions = zip(*rows.values(), strict=True)
    said = None if None in predictions else np.array(predictions, float)
    return Recordings(
        videos=np.array(list(rows)),
        subjects=np.array(subjects),
        scores=np.array(scores, float),
        predictions=said,
        tasks=np.array(tasks),
        **more,
    )


def made(rows: dict[str, tuple] = TEST, train: dict[str, tuple] = TRAIN, **more):
    given = {"recordings": recordings(rows), "training": recordings(train)}
    return SeverityEvaluation(**(given | {"scale": SCALES["bdi-ii"], "split": "test"} | more))


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
    return {name: entry[name]["value"] for name in ("mae", "rmse", "pcc", "ccc")}


def test_the_numbers_are_those_computed_by_hand() -> None:
    report = evaluate_severity(made(), draws=200)
    # Errors 4, 2, 3, 10, 6: mean 25 / 5 = 5, root of (16 + 4 + 9 + 100 + 36) / 5 = 33.
    # Scores less their mean 24: -12, -6, 6, 16, -4, squares 488. Predictions less 24.2: -8.2, -8.2,
    # 8.8, 5.8, 1.8, squares 248.8. Products 286. CCC 2 * 286 / (488 + 248.8 + 5 * 0.2^2) = 572/737.
    assert values(report["metrics"]) == pytest.approx(
        {"mae": 5, "rmse": 33**0.5, "pcc": 286 / (488 * 248.8) ** 0.5, "ccc": 572 / 737}
    )
    assert (report["n"], report["subjects"]) == (5, 4)
    # Training scores 10, 20, 30, 60: mean 30, median 25.
    assert (report["training"]["mean"], report["training"]["median"]) == (30, 25)
    base = report["baselines"]
    # 30 misses by 18, 12, 0, 10, 10; 25 by 13, 7, 5, 15, 5.
    assert base["mean"]["mae"]["value"] == pytest.approx(50 / 5)
    assert base["median"]["mae"]["value"] == pytest.approx(45 / 5)
    assert base["mean"]["differences"]["mae"]["value"] == pytest.approx(5 - 10)
    assert base["mean"]["pcc"]["value"] is None
    assert base["mean"]["pcc"]["reason"] == "every prediction is the same"
    # 201 has (10 + 20) / 2 = 15 in training, 202 has 30, and the others get the mean 30:
    # misses 3, 3, 0, 10, 10. Root of (9 + 9 + 0 + 100 + 100) / 5.
    assert base["person"]["mae"]["value"] == pytest.approx(26 / 5)
    assert base["person"]["rmse"]["value"] == pytest.approx((218 / 5) ** 0.5)
    assert base["person"]["differences"]["mae"]["value"] == pytest.approx(5 - 5.2)
    assert base["person"]["differences"]["rmse"]["value"] == pytest.approx(33**0.5 - 43.6**0.5)
    assert base["person"]["known"] == 3
    # Of the seen the model misses 4, 2, 3 and the person 3, 3, 0; of the unseen 10, 6 and 10, 10.
    seen, unseen, unknown = (report["persons"][key] for key in ("seen", "unseen", "unknown"))
    assert [(own["n"], own["subjects"]) for own in (seen, unseen)] == [(3, 2), (2, 2)]
    assert (seen["mae"]["value"], unseen["mae"]["value"]) == (3, 8)
    assert seen["baselines"]["person"]["mae"]["value"] == pytest.approx(2)
    assert unseen["baselines"]["person"]["mae"]["value"] == pytest.approx(10)
    assert unknown["n"] == 0 and unknown["mae"]["reason"] == "there are no recordings"


def test_shared_subjects_are_the_first_warning() -> None:
    report = evaluate_severity(made(warnings=["The faces are rendered"]), draws=20)
    assert report["warnings"][0] == (
        "Subjects are shared: 2 of the 4 subjects of split test (3 of 5 recordings) are also in "
        "training, so the model may know the person instead of the severity; only the 2 "
        "recordings of unseen subjects tell about new people"
    )
    assert report["warnings"][1] == "The faces are rendered"
    assert "4 subjects" in report["warnings"][2]
    new = {video: row for video, row in TEST.items() if row[0] > "203"}
    apart = evaluate_severity(made(new), draws=20)
    assert not any("shared" in warning for warning in apart["warnings"])
    assert "this is the mean again" in apart["verdicts"][2]
    old = evaluate_severity(made({v: row for v, row in TEST.items() if row[0] < "203"}), draws=20)
    assert old["warnings"][0].endswith("no recording here tells about new people")


def test_unknown_subjects_are_neither_seen_nor_unseen() -> None:
    rows = TEST | {"x": ("", "Freeform", 20, 21), "y": ("", "Freeform", 20, 22)}
    report = evaluate_severity(made(rows, TRAIN | {"z": ("", "Freeform", 30, None)}), draws=20)
    assert [report["persons"][key]["n"] for key in ("seen", "unseen", "unknown")] == [3, 2, 2]
    assert report["baselines"]["person"]["known"] == 3
    assert "1 of 5 training recordings is not known" in report["warnings"][1]
    assert "2 of 7 recordings is not known" in report["warnings"][2]
    # Each counts as a subject of its own in the draws.
    assert report["clusters"] == 6
    nobody = {video: ("", *row[1:]) for video, row in TEST.items()}
    assert evaluate_severity(made(nobody), draws=20)["clustered_by"] is None


def test_on_training_data_a_recording_does_not_tell_its_own_score() -> None:
    rows = {video: (*row[:3], 20) for video, row in TRAIN.items()}
    report = evaluate_severity(made(rows, split="train"), draws=20)
    # 201: the other one has 20 and 10, misses 10, 10; 202 and 203 have none: |30 - 30|, |60 - 30|.
    assert report["baselines"]["person"]["mae"]["value"] == pytest.approx(50 / 4)
    assert report["baselines"]["person"]["known"] == 2


def test_a_subject_recorded_twice_is_no_more_evidence() -> None:
    rows = {f"{n}": (f"{n}", "", n, (n * 7) % 40) for n in range(12)}
    once = evaluate_severity(made(rows), draws=300)
    twice = evaluate_severity(made(rows | {f"{v}b": row for v, row in rows.items()}), draws=300)
    assert twice["n"] == 24
    for key in ("value", "low", "high"):
        assert twice["metrics"]["mae"][key] == pytest.approx(once["metrics"]["mae"][key])
    # Drawn one by one the copies pass for more: the interval shrinks by about the root of two.
    alone = {f"{v}b": (f"{row[0]}b", *row[1:]) for v, row in rows.items()}
    apart = evaluate_severity(made(rows | alone), draws=300)["metrics"]["mae"]
    wide = once["metrics"]["mae"]
    assert apart["high"] - apart["low"] < 0.85 * (wide["high"] - wide["low"])


def test_words_follow_the_paired_interval() -> None:
    good = {f"{n}": (f"{n}", "", 3 * n, 3 * n + 1) for n in range(20)}
    report = evaluate_severity(made(good), draws=100)
    assert report["verdicts"][0].startswith(
        "The model beats always saying the mean score of the training recordings: mean absolute "
        "error 1.00 against "
    )
    assert report["baselines"]["mean"]["differences"]["ccc"]["word"] == "better"
    bad = {f"{n}": (f"{n}", "", 28 + n % 4, 60) for n in range(20)}
    found = evaluate_severity(made(bad), draws=100)["baselines"]["mean"]["differences"]
    assert found["mae"]["word"] == found["rmse"]["word"] == "worse"
    # The model says the training mean itself: nothing is shown, in either direction.
    same = {f"{n}": (f"{n}", "", n, 30) for n in range(20)}
    report = evaluate_severity(made(same), draws=100)
    assert report["baselines"]["mean"]["differences"]["mae"]["word"] == "no difference shown"
    assert report["verdicts"][0].startswith("The model is not shown to beat")
    assert report["metrics"]["pcc"]["value"] is None
    assert report["metrics"]["pcc"]["reason"] == "every prediction is the same"
    assert report["metrics"]["ccc"]["value"] == 0


def test_seen_and_unseen_people_have_words_of_their_own() -> None:
    verdicts = evaluate_severity(made(), draws=50)["verdicts"]
    assert verdicts[3].startswith("On the 3 recordings of subjects also in training: the model is")
    assert "3.00 against 2.00, difference +1.00" in verdicts[3]
    assert verdicts[4].startswith("On the 2 recordings of subjects not in training: the model ")


def test_bands_tasks_and_sessions() -> None:
    report = evaluate_severity(made(), draws=20)
    # Bands 0, 14, 20, 29: truths 12 | 18 | 20 | 30, 40 and predictions 16, 16, 26, 33, 30.
    assert report["confusion"] == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]
    assert [own["mae"]["value"] for own in report["by_band"]] == [4, 2, 6, 6.5]
    assert [own["bias"]["value"] for own in report["by_band"]] == [4, -2, 6, -3.5]
    assert report["by_band"][1]["mae"]["low"] is None  # one subject carries it
    # Freeform misses 4, 2, 10, Northwind 3, 6.
    assert report["by_task"]["Freeform"]["mae"]["value"] == pytest.approx(16 / 3)
    assert report["by_task"]["Northwind"]["mae"]["value"] == pytest.approx(4.5)
    assert report["sessions"] is None
    # Both tasks of a session, 16 and 10 for a score of 12: their mean 13 misses by 1.
    both = TEST | {"201_2_Northwind": ("201", "Northwind", 12, 10)}
    report = evaluate_severity(made(both), draws=20)
    assert report["sessions"]["n"] == 5
    assert report["sessions"]["mae"]["value"] == pytest.approx((1 + 2 + 3 + 10 + 6) / 5)
    # Named sessions count for more than the names of videos.
    rows = recordings({"a": ("201", "F", 12, 16), "b": ("201", "N", 12, 10)})
    assert fused_sessions(rows) is None
    named = recordings(
        {"a": ("201", "F", 12, 16), "b": ("201", "N", 12, 10)}, sessions=np.array(["1", "1"])
    )
    fused = fused_sessions(named)
    assert fused is not None and fused.predictions.tolist() == [13]


def test_usable_shares_and_a_scale_without_bands() -> None:
    rows = recordings(TEST, usable=np.array([0.2, 0.5, 0.79, 1.0, np.nan]))
    report = evaluate_severity(made(recordings=rows, scale=Scale(name="own", top=63)), draws=20)
    assert [own["n"] for own in report["by_usable"]] == [1, 2, 0, 1]
    assert [own["mae"]["value"] for own in report["by_usable"]] == [4, 2.5, None, 10]
    assert report["by_band"] == report["confusion"] == []


def test_what_has_no_score_or_prediction_is_counted() -> None:
    rows = TEST | {"p": ("206", "", float("nan"), 3), "q": ("207", "", 8, float("nan"))}
    report = evaluate_severity(made(rows, left_out={"no face in any frame": 2}), draws=20)
    assert report["n"] == 5
    assert report["left_out"] == {"no face in any frame": 2, "no score": 1, "no prediction": 1}
    with pytest.raises(MienError, match="got none of 1"):
        evaluate_severity(made({"p": ("206", "", float("nan"), 3)}))


def test_without_training_scores_there_is_no_baseline() -> None:
    report = evaluate_severity(made(train={"p": ("206", "", float("nan"), None)}), draws=20)
    assert report["baselines"] == {}
    assert report["verdicts"] == [
        "No training recording has a score, so there is no baseline to beat."
    ]


@pytest.mark.parametrize("field", ["scores", "predictions"])
def test_values_off_the_scale_are_refused(field: str) -> None:
    rows = {"p": ("206", "", 64, 3)} if field == "scores" else {"p": ("206", "", 3, -1)}
    with pytest.raises(ValueError, match=f"expected {field} of recordings in \\[0, 63\\]"):
        made(rows)


# The conformal interval.


def test_each_subject_carries_one_share_of_the_errors() -> None:
    # Three subjects, coverage 1/2: each has mass 1/4. Errors 1, 2 of the first (1/8 each), 3 of
    # the second, 10 of the third: 1/8, 2/8, 4/8 is reached at 3. By recording it were 2 or 3 of 4.
    errors = np.array([1.0, 2, 3, 10])
    names = np.array(["a", "a", "b", "c"])
    assert conformal_half_width(errors, np.zeros(4), names, coverage=0.5) == 3
    # Nine recordings of the first weigh no more than one.
    many = np.array([1.0] * 9 + [3, 10])
    names = np.array(["a"] * 9 + ["b", "c"])
    assert conformal_half_width(many, np.zeros(11), names, coverage=0.5) == 3
    assert conformal_half_width(many, np.zeros(11), names, coverage=0.25) == 1


def test_too_few_subjects_give_no_interval() -> None:
    assert [fewest_subjects(coverage) for coverage in (0.5, 0.8, 0.9, 0.99)] == [1, 4, 9, 99]
    assert calibrate(people(9))["half_width"] == pytest.approx(4)
    found = calibrate(people(8, each=5))
    assert found["half_width"] is None
    assert found["reason"] == "8 subjects of valid cannot give an interval of 90 %: it takes 9"
    report = evaluate_severity(made(validation=people(8, each=5)), draws=20)
    assert report["conformal"]["half_width"] is None
    assert report["conformal"]["measured"]["all"]["value"] is None
    assert "no validation" in evaluate_severity(made(), draws=20)["conformal"]["reason"]


def test_the_interval_covers_new_subjects_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    inside, at_once = [], []
    for _ in range(1500):
        # Errors that are much alike within a person, and differ between people.
        each = rng.integers(1, 6, 20)
        size = np.repeat(rng.gamma(1.5, 2, 20), each)
        errors = size * rng.uniform(0.8, 1.2, size.size)
        names = np.repeat(np.arange(20), each).astype(str)
        old, new = names != "19", np.flatnonzero(names == "19")
        width = conformal_half_width(errors[old], np.zeros(old.sum()), names[old])
        inside.append((errors[new] <= width).mean())
        at_once.append((errors[new] <= width * 0.8).mean())
    # 1,500 draws: a standard error of 0.008. At most 1/20 more is promised.
    assert 0.9 - 0.02 < np.mean(inside) < 0.95 + 0.02
    assert np.mean(at_once) < 0.88


def test_the_measured_coverage_is_that_of_this_split() -> None:
    # Half width 4 (nine subjects, errors up to 4): of the misses 4, 2, 3, 10, 6 three are within.
    report = evaluate_severity(made(validation=people(9)), draws=100)["conformal"]
    assert report["half_width"] == pytest.approx(4)
    assert report["measured"]["all"]["value"] == pytest.approx(0.6)
    assert report["measured"]["seen"]["value"] == 1
    assert report["measured"]["unseen"]["value"] == 0
    assert report["warnings"] == []
    again = evaluate_severity(made(validation=people(9), split="valid"), draws=20)["conformal"]
    assert again["measured"]["all"]["reason"] == "the interval was calibrated on this very split"


def test_calibrating_on_people_of_the_split_or_of_training_is_said() -> None:
    shared = people(9, first=201)  # 201 to 209: 201 to 203 in training; 201, 202, 204, 205 in test
    warnings = evaluate_severity(made(validation=shared), draws=20)["conformal"]["warnings"]
    assert warnings[0].startswith("4 of the 9 subjects that the interval was calibrated on are")
    assert warnings[1].startswith("3 of the 9 subjects")


# The order of the embedding.


def test_the_rank_correlation_is_over_pairs() -> None:
    rng = np.random.default_rng(1)
    vectors, scores = rng.normal(size=(7, 4)), rng.integers(0, 10, 7).astype(float)
    owners = np.array([0, 0, 1, 2, 3, 3, 4])
    found = order_of_similarity(vectors, scores, owners, seed=0, draws=50)
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
    found = order_of_similarity(np.eye(6)[owners], scores, owners, seed=0, draws=50)
    assert found["other_subjects"]["value"] is None
    assert found["other_subjects"]["reason"] == "every similarity is the same"
    assert found["all_pairs"]["value"] > 0.3
    collapsed = order_of_similarity(np.ones((12, 3)), scores, owners, seed=0, draws=50)
    assert collapsed["all_pairs"]["value"] is None
    none = order_of_similarity(None, scores, owners, seed=0, draws=50)
    assert none["all_pairs"]["reason"] == "the model gave no embedding"


def test_copies_of_a_drawn_subject_make_no_pairs() -> None:
    angles = np.array([0.0, 0.3, 0.7])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    scores = np.array([0.0, 10.0, 5.0])
    found = order_of_similarity(vectors, scores, np.arange(3), seed=0, draws=300)
    # Similarities by angle .3, .7, .4 and gaps 10, 5, 5: ranks (3, 1, 2) and (1, 2.5, 2.5).
    assert found["other_subjects"]["value"] == pytest.approx(
        spearmanr([3, 1, 2], [1, 2.5, 2.5]).statistic
    )
    # A draw with a subject missing has one kind of pair or none: no correlation. Pairs of copies
    # (similarity 1, gap 0) would give it one.
    assert found["other_subjects"]["low"] is None
    assert "too few subjects" in found["other_subjects"]["reason"]


# The documents.


def test_the_report_is_whole_and_says_what_it_is_for(tmp_path: Path) -> None:
    evaluation = made(
        recordings=recordings(TEST, usable=np.linspace(0.5, 1, 5), embeddings=np.eye(5) + 0.1),
        validation=people(9),
        provenance={
            "model": "<b>m</b>",
            "dataset": "d",
            "license_terms": "T",
            "trained_on": "corpus X, EULA",
        },
    )
    page = write_severity_report(evaluation, evaluate_severity(evaluation, draws=20), tmp_path)
    text = page.read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["use"] == RESEARCH_ONLY and report["trained_on"] == "corpus X, EULA"
    assert text.index(RESEARCH_ONLY) < text.index("Trained on: corpus X, EULA") < text.index("<h2>")
    assert text.index("Subjects are shared: 2 of the 4") < text.index(RESEARCH_ONLY)
    assert "<b>m</b>" not in text and "&lt;b&gt;m" in text
    for part in ("Only the person", "Subject not in training", "Measured coverage", "By task"):
        assert part in text
    assert text.count("<svg class=") >= 3
    assert len(report["recordings"]) == 5
    assert report["recordings"][0]["baselines"] == {"mean": 30, "median": 25, "person": 15}


def test_the_whole_set_counts_never_a_mean_of_parts() -> None:
    # Two halves, each of perfect order but shifted: the mean of their CCC is not that of all.
    x, y = np.array([0.0, 2, 10, 12]), np.array([1.0, 3, 9, 11])
    halves = [float(agreement(x[rows], y[rows])["ccc"]) for rows in ([0, 1], [2, 3])]
    whole = float(agreement(x, y)["ccc"])
    # Means 6 and 6, variances 26 and 17, covariance 21: 42 / 43.
    assert whole == pytest.approx(42 / 43)
    assert abs(whole - np.mean(halves)) > 0.2


def test_the_documentation_names_what_a_report_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    section = page.split("## Depression severity\n")[1].split("\n## ")[0]
    named = re.findall(r"`(\w+)[`.]", " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)))
    report = evaluate_severity(made(), draws=20)
    common = {"task", "split", "scale", "n", "subjects", "clusters", "clustered_by", "intervals"}
    common |= {"left_out", "provenance", "warnings", "training", "confusion_shares"}
    assert set(named) - {"differences"} == set(report) - common
    assert "differences" in report["baselines"]["mean"]
