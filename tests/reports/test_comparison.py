import dataclasses
from pathlib import Path

import numpy as np
import pytest
from evaluations import (
    Page,
    alone,
    assert_self_contained,
    expression,
    make,
    read_documents,
    recordings,
    severity,
    valence_arousal,
)

from mien.errors import MienError
from mien.labels import LabelSpace
from mien.metrics import valence_arousal_metrics
from mien.reports.comparison import (
    Context,
    Entry,
    Member,
    compare,
    letter_of,
    measure,
    write_comparison,
)
from mien.reports.evaluation import Evaluation


def model(skill: float, seed: int = 0, n: int = 160, classes: int = 8, **changes) -> Evaluation:
    """A model of that skill on the rows of ``make``: the same targets, other scores."""
    base = make(n, classes, crops=None, **changes)
    rng = np.random.default_rng(100 + seed)
    targets = expression(base).targets
    scores = np.exp(rng.gumbel(size=(n, classes)) + skill * np.eye(classes)[targets])
    arrays = dataclasses.replace(
        expression(base), predictions=scores / scores.sum(1, keepdims=True)
    )
    return dataclasses.replace(
        base,
        heads={**base.heads, "expression": arrays},
        embeddings=None if base.embeddings is None else np.sqrt(scores),
    )


def entry(
    label: str,
    *evaluations: Evaluation,
    seeds: tuple[int | None, ...] = (),
    plane: bool = False,
) -> Entry:
    seeds = seeds or tuple(range(len(evaluations)))
    return Entry(
        label,
        [
            measure(evaluation, f"runs/{label}-{seed}", run_seed=seed, plane=plane, draws=100)
            for evaluation, seed in zip(evaluations, seeds, strict=True)
        ],
    )


def correct(evaluation: Evaluation) -> np.ndarray:
    arrays = expression(evaluation)
    return arrays.predictions.argmax(1) == arrays.targets


def written(entries: list[Entry], folder: Path, **context) -> tuple[dict, str]:
    """The document as another program reads it, and the page."""
    document = compare(entries, Context(**context), draws=100)
    return read_documents(write_comparison(entries, document, folder))


def compared(document: dict, head: str = "expression") -> dict:
    """The only comparison of a head, with what the document says of it."""
    [found], [pairing] = document["heads"][head]["comparisons"], document["comparisons"]
    return pairing | found | {"notes": [*pairing["notes"], *found["notes"]]}


def test_two_models(tmp_path: Path) -> None:
    weak, strong = model(1.0), model(4.0, 1)
    document, html = written([entry("weak", weak), entry("strong", strong)], tmp_path)
    found = compared(document)
    assert (found["entry"], found["to"], found["verdict"]) == ("B", "A", "better")
    right = [correct(e) for e in (weak, strong)]
    faces = found["metrics"]["accuracy"]
    assert faces["value"] == pytest.approx(right[1].mean() - right[0].mean())
    assert 0 < faces["low"] < faces["value"] < faces["high"]
    assert found["metrics"]["accuracy"]["over_seeds"] is None
    assert found["rows"]["only_entry_right"] == (right[1] & ~right[0]).sum()
    assert found["test"]["name"].startswith("McNemar") and found["test"]["p"] < 1e-6
    assert found["test"]["p_holm"] == found["test"]["p"]
    assert any("luck of the seed" in note for note in found["notes"])
    assert any("rows of one subject" in note for note in found["notes"])
    assert document["clustered_by"] == "subject" and document["heads"]["expression"]["n"] == 160
    change = np.array(found["confusion_change"])
    a, b = (np.array(side["confusion"]) for side in document["heads"]["expression"]["entries"])
    np.testing.assert_array_equal(change, b - a)
    assert change.sum() == 0 and np.trace(change) == right[1].sum() - right[0].sum()
    page = Page(html)
    assert "B strong is better than A weak." in page.text
    assert page.articles == ["expression"] and page.figures == ["forest"]
    difference = page.row("Accuracy")[1]
    assert difference.startswith(f"+{100 * faces['value']:.1f} +{100 * faces['low']:.1f} to ")
    values = [side["metrics"] for side in document["heads"]["expression"]["entries"]]
    for name, title, scale in (("accuracy", "Accuracy", 100), ("nll", "Log loss", 1)):
        cells = page.row(title, 1)[1:]
        digits = 1 if scale == 100 else 3
        shown = [f"{scale * side[name]['value']:.{digits}f} " for side in values]
        assert [cell.startswith(start) for cell, start in zip(cells, shown, strict=True)] == [
            True,
            True,
        ]
    neutral = [
        int(cell.replace("\u2212", "-").replace("\u00b7", "0")) for cell in page.row("neutral")[1:]
    ]
    assert neutral == change[0].tolist()


def test_the_other_way_round_all_signs_turn() -> None:
    weak, strong = model(1.0), model(4.0, 1)
    entries = [entry("weak", weak), entry("strong", strong)]
    there, back = compare(entries, Context()), compare(entries[::-1], Context())
    one, other = compared(there), compared(back)
    assert (one["verdict"], other["verdict"]) == ("better", "worse")
    for name, found in one["metrics"].items():
        turned = other["metrics"][name]
        assert found["value"] == pytest.approx(-turned["value"]), name
        assert found["low"] == pytest.approx(-turned["high"]), name
    assert {"nll", "map_at_r", "distance_ratio"} <= one["metrics"].keys()


def test_a_model_against_itself(tmp_path: Path) -> None:
    rows = model(2.0)
    document, html = written([entry("one", rows), entry("two", rows)], tmp_path)
    found = compared(document)
    assert found["verdict"] == "no difference shown" and found["test"]["p"] == 1
    assert not np.any(found["confusion_change"])
    page = Page(html)
    assert "No difference shown between B two and A one" in page.text
    assert set(page.row("neutral")[1:]) == {"\u00b7"}
    assert page.row("Accuracy")[1].startswith("0.0 ")


def test_runs_of_two_recipes_are_paired_by_seed(tmp_path: Path) -> None:
    weak = [model(1.0, seed) for seed in range(3)]
    strong = [model(3.0, 10 + seed) for seed in range(3)]
    entries = [entry("weak", *weak), entry("strong", *strong[::-1], seeds=(2, 1, 0))]
    document, html = written(entries, tmp_path)
    found = compared(document)
    assert found["seeds"] == [0, 1, 2] and found["verdict"] == "better"
    accuracies = [[np.mean(correct(e)) for e in side] for side in (strong, weak)]
    differences = np.subtract(*accuracies)
    over_seeds = found["metrics"]["accuracy"]["over_seeds"]
    assert over_seeds["value"] == pytest.approx(differences.mean())
    half = 4.302652729911275 * differences.std(ddof=1) / np.sqrt(3)
    assert over_seeds["high"] - over_seeds["low"] == pytest.approx(2 * half)
    faces = found["metrics"]["accuracy"]
    assert faces["value"] == pytest.approx(differences.mean())
    assert found["test"]["name"] == "paired t-test over seeds"
    assert document["heads"]["expression"]["entries"][0]["metrics"]["accuracy"][
        "value"
    ] == pytest.approx(np.mean(accuracies[1]))
    assert [member["seed"] for member in document["entries"][1]["members"]] == [2, 1, 0]
    page = Page(html)
    assert "over 3 seeds" in page.row("Accuracy")[1]
    runs = document["heads"]["expression"]["entries"][1]["members"]
    for run, seed in zip(runs, (2, 1, 0), strict=True):
        cells = page.row(f"B runs/strong-{seed}")
        assert cells[1] == str(seed)
        assert cells[2].startswith(f"{100 * run['metrics']['accuracy']['value']:.1f} ")


@pytest.mark.parametrize(
    ("seeds", "others", "paired", "test", "note"),
    [
        ((0, 1, 2), (1, 2, 5), [1, 2], "paired t-test over seeds", "2 runs whose seed"),
        ((0, 1), (1, 7), [], "McNemar's exact test", "one seed in common"),
        ((0, 1), (2, 3), [], None, "no seed is in both"),
        ((0,), (1, 2, 3), [1, 2, 3], "paired t-test over seeds", "the one run of first"),
        ((0, 1), (None,), [0, 1], "paired t-test over seeds", "the one run of other"),
    ],
)
def test_seeds_that_do_not_match(seeds, others, paired, test, note) -> None:
    first = [model(1.0, seed) for seed in seeds]
    other = [model(1.5, 20 + (seed or 0)) for seed in others]
    document = compare(
        [entry("first", *first, seeds=seeds), entry("other", *other, seeds=others)], Context()
    )
    found = compared(document)
    assert (found["seeds"], found["test"]["name"]) == (paired, test)
    assert any(text.startswith(note) for text in found["notes"]), found["notes"]
    assert (found["metrics"]["accuracy"]["over_seeds"] is not None) == (len(paired) > 1)
    if test is None:
        assert found["verdict"] == "no difference shown" and found["test"]["p_holm"] is None


def test_several_comparisons_are_corrected(tmp_path: Path) -> None:
    rows = model(1.5)
    entries = [entry("base", rows)]
    entries += [entry(f"try-{k}", model(1.5 + 0.3 * k, k)) for k in range(1, 4)]
    document, html = written(entries, tmp_path)
    tests = [found["test"] for found in document["heads"]["expression"]["comparisons"]]
    p = np.array([test["p"] for test in tests])
    adjusted = [test["p_holm"] for test in tests]
    assert min(adjusted) == pytest.approx(min(1, 3 * p.min()))
    assert (np.array(adjusted) >= p).all()
    assert "after Holm over 3" in Page(html).text
    assert [side["letter"] for side in document["entries"]] == ["A", "B", "C", "D"]
    assert len(Page(html).row("Accuracy")) == 4


ONE_SUBJECT = {"subjects": np.array(["me"] * 160)}
DEGENERATE = {
    "no embeddings": {"embeddings": None},
    "no subjects": {"subjects": None},
    "one subject": ONE_SUBJECT,
    "one class": {"targets": np.zeros(160, int)},
    "a row each": {"n": 8, "targets": np.arange(8)},
    "two rows": {"n": 2},
    "rows without a target": {"targets": np.where(np.arange(160) % 2, 3, -1)},
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_comparisons_make_whole_pages(case: str, tmp_path: Path) -> None:
    options = (
        {"subjects": None, **DEGENERATE[case]} if "n" in DEGENERATE[case] else DEGENERATE[case]
    )
    targets = options.get("targets")
    if targets is not None and targets.min() < 0:
        first, other = (
            with_targets(model(skill, seed), targets) for seed, skill in enumerate((1.0, 2.0))
        )
    else:
        first, other = (model(skill, seed, **options) for seed, skill in enumerate((1.0, 2.0)))
    few = len(first.ids) < 10
    document, html = written([entry("a", first, plane=few), entry("b", other)], tmp_path)
    found = compared(document)
    for name, difference in found["metrics"].items():
        assert difference["low"] is not None or difference["reason"], name
    if case == "one subject":
        assert found["verdict"] == "no difference shown"
        assert any("1 subject:" in warning for warning in document["warnings"])
    assert Page(html).articles == ["expression"]


def with_targets(evaluation: Evaluation, targets: np.ndarray) -> Evaluation:
    arrays = dataclasses.replace(expression(evaluation), targets=targets)
    return dataclasses.replace(evaluation, heads={"expression": arrays})


def test_a_collapsed_embedding_is_seen(tmp_path: Path) -> None:
    rows = model(2.0)
    flat = dataclasses.replace(rows, embeddings=np.ones((160, 4)))
    document, html = written([entry("good", rows), entry("flat", flat, plane=True)], tmp_path)
    side = document["heads"]["expression"]["entries"][1]
    assert side["members"][0]["embedding"] == {"effective_rank": 0, "spread": 0}
    ratio = side["metrics"]["distance_ratio"]
    assert ratio["value"] is None and "same embedding" in ratio["reason"]
    assert "effective rank 0.0" in Page(html).text


def test_page_is_self_contained_and_its_figures_do_not_clash(tmp_path: Path) -> None:
    entries = [entry("a", model(2.0), plane=True), entry("b", model(3.0, 1), plane=True)]
    _, html = written(entries, tmp_path)
    assert Page(html).figures == ["forest", "map", "map"]
    assert_self_contained(html)


def test_texts_from_outside_are_escaped(tmp_path: Path) -> None:
    evil = '<img src=x onerror="1">&$title'
    changes = {
        "classes": 3,
        "label_space": LabelSpace(name=evil, names=(evil, "$x_1$", "笑顔")),
        "split": evil,
        "rule": evil,
        "reasons": {evil: 2},
    }
    entries = [
        entry(evil, model(2.0, **changes), model(2.0, 3, **changes)),
        entry("b", model(1.0, 1, **changes)),
    ]
    context = {
        "provenance": {"dataset": evil, "license_terms": evil, evil: evil},
        "left_out": {evil: 2},
        "warnings": [evil],
    }
    _, html = written(entries, tmp_path, **context)
    assert "<img src=x" not in html
    assert Page(html).text.count(evil) > 10


def test_what_cannot_be_compared() -> None:
    rows = model(2.0)
    with pytest.raises(ValueError, match="two entries, got 1"):
        compare([entry("a", rows)], Context())
    other = with_targets(rows, (expression(rows).targets + 1) % 8)
    with pytest.raises(ValueError, match="the same rows and targets"):
        compare([entry("a", rows), entry("b", other)], Context())
    nobody = with_targets(rows, np.full(160, -1))
    with pytest.raises(MienError, match=r"split 'test'.*no labels for expression"):
        compare([entry("a", nobody), entry("b", nobody)], Context())


def test_letters_go_on() -> None:
    assert [letter_of(index) for index in (0, 25, 26, 53)] == ["A", "Z", "A1", "B2"]


def test_no_embedding_is_kept() -> None:
    measured = entry("a", model(2.0)).members[0]
    assert isinstance(measured, Member)
    arrays = [v for v in vars(measured.heads["expression"]).values() if isinstance(v, np.ndarray)]
    assert [array.shape for array in arrays] == [(160,)] * 3
    of_severity = measure(scored(2.0), "x", draws=20).heads["severity"]
    assert of_severity.recordings.embeddings is None


# Valence and arousal.


def with_affect(noise: float, seed: int = 0) -> Evaluation:
    """A model whose valence and arousal have an error of that size; a tenth is unlabeled."""
    targets = valence_arousal(160).targets
    error = np.random.default_rng(200 + seed).normal(0, noise, targets.shape)
    arrays = valence_arousal(160, predictions=np.nan_to_num(targets) + error)
    return model(2.0, seed, others={"valence_arousal": arrays})


def test_valence_and_arousal_are_compared(tmp_path: Path) -> None:
    rough, fine = with_affect(0.6), with_affect(0.1, 1)
    document, html = written([entry("rough", rough), entry("fine", fine)], tmp_path)
    of_head = document["heads"]["valence_arousal"]
    assert (of_head["n"], document["heads"]["expression"]["n"]) == (144, 160)
    found = compared(document, "valence_arousal")
    arrays = [e.heads["valence_arousal"] for e in (rough, fine)]
    rows = arrays[0].labeled
    expected = [valence_arousal_metrics(a.predictions[rows], a.targets[rows]) for a in arrays]
    page = Page(html)
    for name, title in (
        ("mean_ccc", "Mean CCC"),
        ("ccc_valence", "CCC of valence"),
        ("ccc_arousal", "CCC of arousal"),
    ):
        values = [side["metrics"][name]["value"] for side in of_head["entries"]]
        assert values == pytest.approx([float(value[name]) for value in expected]), name
        difference = found["metrics"][name]
        assert difference["value"] == pytest.approx(values[1] - values[0]), name
        assert 0 < difference["low"] < difference["value"] < difference["high"], name
        assert difference["over_seeds"] is None
        cells = page.row(title)[1:]
        starts = [f"{values[0]:.3f} ", f"{values[1]:.3f} ", f"+{difference['value']:.3f} "]
        assert all(cell.startswith(start) for cell, start in zip(cells, starts, strict=True))
    assert page.articles == ["expression", "valence_arousal"]


def test_seeds_of_valence_and_arousal_are_paired(tmp_path: Path) -> None:
    first = entry("rough", *(with_affect(0.5, seed) for seed in range(3)))
    # In another order, so that only pairing by seed gives the value below.
    other = entry("fine", *(with_affect(0.2, seed) for seed in (2, 0, 1)), seeds=(2, 0, 1))
    document, _ = written([first, other], tmp_path)
    found = compared(document, "valence_arousal")["metrics"]["ccc_valence"]
    values = {
        side.label: {
            m.seed: m.heads["valence_arousal"].drawn.values["ccc_valence"] for m in side.members
        }
        for side in (first, other)
    }
    each = np.array([values["fine"][seed] - values["rough"][seed] for seed in range(3)])
    assert found["over_seeds"]["value"] == pytest.approx(each.mean())
    half = found["over_seeds"]["high"] - found["over_seeds"]["value"]
    assert half == pytest.approx(4.302652729749464 * each.std(ddof=1) / np.sqrt(3))  # t, 2 df
    assert found["value"] == pytest.approx(each.mean())
    mean = document["heads"]["valence_arousal"]["entries"][0]["metrics"]["ccc_valence"]["value"]
    assert mean == pytest.approx(np.mean(list(values["rough"].values())))


def test_only_shared_heads_are_compared(tmp_path: Path) -> None:
    plain, both = entry("plain", model(2.0)), entry("both", with_affect(0.2))
    document, html = written([plain, both], tmp_path)
    assert list(document["heads"]) == Page(html).articles == ["expression"]
    [warning] = document["warnings"]
    assert "valence_arousal" in warning and "runs/plain-0 lacks it" in warning
    only = alone("valence_arousal", valence_arousal(160))
    document, html = written([entry("a", only), entry("b", only)], tmp_path / "only")
    assert Page(html).articles == ["valence_arousal"]
    with pytest.raises(MienError, match=r"a head in common.*runs/plain-0 expression; runs/a-0"):
        compare([plain, entry("a", only)], Context())


def test_heads_without_labels_are_not_compared(tmp_path: Path) -> None:
    unknown = valence_arousal(160, targets=np.full((160, 2), np.nan))
    entries = [
        entry(name, model(2.0, seed, others={"valence_arousal": unknown}))
        for seed, name in enumerate("ab")
    ]
    document, _ = written(entries, tmp_path)
    assert list(document["heads"]) == ["expression"]
    assert any("valence_arousal" in warning for warning in document["warnings"])


def test_valence_and_arousal_of_other_rows_are_not_compared() -> None:
    one, two = with_affect(0.2), with_affect(0.2, 1)
    arrays = two.heads["valence_arousal"]
    moved = dataclasses.replace(arrays, targets=np.roll(arrays.targets, 10, 0))
    assert moved.labeled.sum() == one.heads["valence_arousal"].labeled.sum()
    other = dataclasses.replace(two, heads={**two.heads, "valence_arousal": moved})
    with pytest.raises(ValueError, match="the same rows and targets"):
        compare([entry("one", one), entry("two", other)], Context())


# Severity.


def scored(noise: float, seed: int = 0, first: int = 10) -> Evaluation:
    """40 recordings of 20 subjects, ten of whom are in training, with errors of that size."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 40)
    errors = np.random.default_rng(300 + seed).normal(0, noise, 40)
    rows = {
        f"{first + n // 2}_{n}": (f"{first + n // 2}", "", score, float(np.clip(score + e, 0, 63)))
        for n, (score, e) in enumerate(zip(scores, errors, strict=True))
    }
    training = {f"{n}_t": (f"{n}", "", 3 * n, None) for n in range(20)}
    return severity(recordings(rows, embeddings=rng.normal(size=(40, 3))), recordings(training))


def test_severity_is_compared_by_its_errors(tmp_path: Path) -> None:
    rough, fine = scored(12.0), scored(2.0, 1)
    document, html = written([entry("rough", rough), entry("fine", fine)], tmp_path)
    head, found = document["heads"]["severity"], compared(document, "severity")
    assert (document["unit"], head["n"], head["subjects"], head["unseen"]) == (
        "recording",
        40,
        20,
        20,
    )
    errors = [
        np.abs(e.heads["severity"].predictions - e.heads["severity"].targets).mean()
        for e in (rough, fine)
    ]
    mae = found["metrics"]["mae"]
    assert mae["value"] == pytest.approx(errors[1] - errors[0])
    assert mae["low"] < mae["value"] < mae["high"] < 0
    # Less error is better, less concordance is worse.
    assert (mae["verdict"], found["metrics"]["ccc"]["verdict"]) == ("better", "better")
    assert found["verdict"] == "better" and set(found["unseen"]) == {"mae", "rmse", "ccc"}
    back = compared(
        compare([entry("fine", fine), entry("rough", rough)], Context(), draws=100), "severity"
    )
    assert back["verdict"] == "worse" and back["metrics"]["mae"]["value"] == -mae["value"]
    assert document["warnings"][0].startswith("Subjects are shared: 10 of the 20")
    page = Page(html)
    assert page.articles == ["severity"] and "B fine is better than A rough." in page.text
    assert page.row("fine less rough")[1].startswith(f"\u2212{-mae['value']:.2f} ")
    values = [side["members"][0]["metrics"]["mae"]["value"] for side in head["entries"]]
    assert values == pytest.approx(errors)
    for letter, value in zip("AB", values, strict=True):
        assert page.row(f"{letter} ")[1].startswith(f"{value:.2f} ")


def test_recordings_without_a_prediction_of_one_model_count_for_none(tmp_path: Path) -> None:
    one, two = scored(5.0), scored(5.0, 1)
    arrays = two.heads["severity"]
    predictions = arrays.predictions.copy()
    predictions[:3] = np.nan
    missing = dataclasses.replace(arrays, predictions=predictions)
    two = dataclasses.replace(two, heads={"severity": missing})
    document, _ = written([entry("one", one), entry("two", two)], tmp_path)
    head = document["heads"]["severity"]
    assert head["n"] == 37 and head["left_out"] == {"no score or prediction": 3}
    with pytest.raises(ValueError, match="the same recordings"):
        compare([entry("one", one), entry("other", scored(5.0, 1, first=11))], Context())


def test_seeds_and_subjects_are_crossed(tmp_path: Path) -> None:
    first = entry("rough", *(scored(9.0, seed) for seed in range(3)))
    other = entry("fine", *(scored(6.0, seed) for seed in (12, 10, 11)), seeds=(2, 0, 1))
    document, _ = written([first, other], tmp_path)
    crossed = compared(document, "severity")["metrics"]["mae"]
    assert "reason" not in crossed
    single, _ = written([entry("a", scored(9.0)), entry("b", scored(6.0, 10))], tmp_path / "one")
    assert "luck" in compared(single, "severity")["metrics"]["mae"]["reason"]
    strangers = entry("fine", scored(6.0, 10), scored(6.0, 11), seeds=(8, 9))
    nothing, _ = written([first, strangers], tmp_path / "none")
    found = compared(nothing, "severity")
    assert found["metrics"] == {} and found["verdict"] == "no difference shown"
