import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from evaluations import Page, affect, make

from mien.labels import LabelSpace
from mien.metrics.regression import affect_metrics
from mien.reports.comparison import (
    Assessed,
    Entry,
    assess,
    compare,
    letter_of,
    write_comparison,
)
from mien.schema import MienError
from mien.statistics.arrays import Evaluation


def said(skill: float, seed: int = 0, n: int = 160, classes: int = 8, **changes) -> Evaluation:
    """A model of that skill on the rows of ``make``: the same truth, other scores."""
    base = make(n, classes, crops=None, **changes)
    rng = np.random.default_rng(100 + seed)
    scores = np.exp(rng.gumbel(size=(n, classes)) + skill * np.eye(classes)[base.targets])
    return dataclasses.replace(
        base,
        probabilities=scores / scores.sum(1, keepdims=True),
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
            assess(evaluation, f"runs/{label}-{seed}", run_seed=seed, plane=plane, draws=100)
            for evaluation, seed in zip(evaluations, seeds, strict=True)
        ],
    )


def written(entries: list[Entry], rows: Evaluation, folder: Path) -> tuple[dict, str]:
    """The document as another program reads it, and the page."""
    page = write_comparison(entries, compare(entries, rows), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["compare.html", "compare.json"]

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} in compare.json")

    text = (folder / "compare.json").read_text()
    return json.loads(text, parse_constant=no_constant), page.read_text()


def test_two_models(tmp_path: Path) -> None:
    weak, strong = said(1.0), said(4.0, 1)
    document, html = written([entry("weak", weak), entry("strong", strong)], weak, tmp_path)
    [found] = document["comparisons"]
    assert (found["entry"], found["to"], found["verdict"]) == ("B", "A", "better")
    right = [e.probabilities.argmax(1) == e.targets for e in (weak, strong)]
    faces = found["metrics"]["accuracy"]["over_faces"]
    assert faces["value"] == pytest.approx(right[1].mean() - right[0].mean())
    assert 0 < faces["low"] < faces["value"] < faces["high"]
    assert found["metrics"]["accuracy"]["over_seeds"] is None
    assert found["rows"]["only_this_right"] == (right[1] & ~right[0]).sum()
    assert found["test"]["name"].startswith("McNemar") and found["test"]["p"] < 1e-6
    assert found["test"]["p_holm"] == found["test"]["p"]
    assert any("luck of the seed" in note for note in found["notes"])
    assert any("rows of one subject" in note for note in found["notes"])
    assert document["clustered_by"] == "subject" and document["n"] == 160
    change = np.array(found["confusion_change"])
    a, b = (np.array(side["confusion"]) for side in document["entries"])
    np.testing.assert_array_equal(change, b - a)
    assert change.sum() == 0 and np.trace(change) == right[1].sum() - right[0].sum()
    text = Page(html).text
    assert "B strong is better than A weak." in text
    assert f"+{100 * faces['value']:.1f}" in text


def test_the_other_way_round_all_signs_turn() -> None:
    weak, strong = said(1.0), said(4.0, 1)
    entries = [entry("weak", weak), entry("strong", strong)]
    there, back = compare(entries, weak), compare(entries[::-1], weak)
    mine, theirs = there["comparisons"][0], back["comparisons"][0]
    assert (mine["verdict"], theirs["verdict"]) == ("better", "worse")
    for name, found in mine["metrics"].items():
        turned = theirs["metrics"][name]["over_faces"]
        assert found["over_faces"]["value"] == pytest.approx(-turned["value"]), name
        assert found["over_faces"]["low"] == pytest.approx(-turned["high"]), name
    assert {"nll", "map_at_r", "distance_ratio"} <= mine["metrics"].keys()


def test_a_model_against_itself(tmp_path: Path) -> None:
    rows = said(2.0)
    document, html = written([entry("one", rows), entry("two", rows)], rows, tmp_path)
    [found] = document["comparisons"]
    assert found["verdict"] == "no difference shown" and found["test"]["p"] == 1
    assert not np.any(found["confusion_change"])
    text = Page(html).text
    assert "No difference shown between B two and A one" in text
    assert "No pair of classes changed." in text


def test_runs_of_two_recipes_are_paired_by_seed(tmp_path: Path) -> None:
    weak = [said(1.0, seed) for seed in range(3)]
    strong = [said(3.0, 10 + seed) for seed in range(3)]
    entries = [entry("weak", *weak), entry("strong", *strong[::-1], seeds=(2, 1, 0))]
    document, html = written(entries, weak[0], tmp_path)
    [found] = document["comparisons"]
    assert found["seeds"] == [0, 1, 2] and found["verdict"] == "better"
    accuracies = [
        [np.mean(e.probabilities.argmax(1) == e.targets) for e in side] for side in (strong, weak)
    ]
    differences = np.subtract(*accuracies)
    over_seeds = found["metrics"]["accuracy"]["over_seeds"]
    assert over_seeds["value"] == pytest.approx(differences.mean())
    half = 4.302652729911275 * differences.std(ddof=1) / np.sqrt(3)
    assert over_seeds["high"] - over_seeds["low"] == pytest.approx(2 * half)
    faces = found["metrics"]["accuracy"]["over_faces"]
    assert faces["value"] == pytest.approx(differences.mean())
    assert found["test"]["name"] == "paired t-test over seeds"
    assert document["entries"][0]["metrics"]["accuracy"]["value"] == pytest.approx(
        np.mean(accuracies[1])
    )
    assert [member["seed"] for member in document["entries"][1]["members"]] == [2, 1, 0]
    text = Page(html).text
    assert "Each run" in text and "over 3 seeds" in text and "runs/weak-2" in text


@pytest.mark.parametrize(
    ("seeds", "others", "paired", "test", "note"),
    [
        ((0, 1, 2), (1, 2, 5), [1, 2], "paired t-test over seeds", "2 runs whose seed"),
        ((0, 1), (1, 7), [], "McNemar's exact test", "one seed in common"),
        ((0, 1), (2, 3), [], None, "no seed is in both"),
        ((0,), (1, 2, 3), [1, 2, 3], "paired t-test over seeds", "the one run of first"),
        ((0, 1), (None,), [None, None], "paired t-test over seeds", "the one run of other"),
    ],
)
def test_seeds_that_do_not_match(seeds, others, paired, test, note) -> None:
    first = [said(1.0, seed) for seed in seeds]
    other = [said(1.5, 20 + (seed or 0)) for seed in others]
    document = compare(
        [entry("first", *first, seeds=seeds), entry("other", *other, seeds=others)], first[0]
    )
    [found] = document["comparisons"]
    assert (found["seeds"], found["test"]["name"]) == (paired, test)
    assert any(text.startswith(note) for text in found["notes"]), found["notes"]
    assert (found["metrics"]["accuracy"]["over_seeds"] is not None) == (len(paired) > 1)
    if test is None:
        assert found["verdict"] == "no difference shown" and found["test"]["p_holm"] is None


def test_several_comparisons_are_corrected(tmp_path: Path) -> None:
    rows = said(1.5)
    entries = [entry("base", rows)]
    entries += [entry(f"try-{k}", said(1.5 + 0.3 * k, k)) for k in range(1, 4)]
    document, html = written(entries, rows, tmp_path)
    p = np.array([found["test"]["p"] for found in document["comparisons"]])
    adjusted = [found["test"]["p_holm"] for found in document["comparisons"]]
    assert min(adjusted) == pytest.approx(min(1, 3 * p.min()))
    assert (np.array(adjusted) >= p).all()
    assert "after Holm over 3" in Page(html).text
    assert [side["letter"] for side in document["entries"]] == ["A", "B", "C", "D"]
    assert "3 models against base" in Page(html).text


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
        first, other = (said(skill, seed) for seed, skill in enumerate((1.0, 2.0)))
        first, other = (dataclasses.replace(e, targets=targets) for e in (first, other))
    else:
        first, other = (said(skill, seed, **options) for seed, skill in enumerate((1.0, 2.0)))
    document, html = written(
        [entry("a", first, plane=first.targets.size < 10), entry("b", other)], first, tmp_path
    )
    [found] = document["comparisons"]
    for name, entries in found["metrics"].items():
        faces = entries["over_faces"]
        assert faces["low"] is not None or faces["reason"], name
    if case == "one subject":
        assert found["verdict"] == "no difference shown"
        assert any("1 subject:" in warning for warning in document["warnings"])
    text = Page(html).text
    assert "nan" not in text.lower().split() and "None" not in text


def test_a_collapsed_embedding_is_seen(tmp_path: Path) -> None:
    rows = said(2.0)
    flat = dataclasses.replace(rows, embeddings=np.ones((160, 4)))
    document, html = written([entry("good", rows), entry("flat", flat, plane=True)], rows, tmp_path)
    shape = document["entries"][1]["members"][0]["embedding"]
    assert shape == {"effective_rank": 0, "spread": 0}
    ratio = document["entries"][1]["metrics"]["distance_ratio"]
    assert ratio["value"] is None and "same embedding" in ratio["reason"]
    assert "effective rank 0.0" in Page(html).text


def test_page_is_self_contained_and_its_figures_do_not_clash(tmp_path: Path) -> None:
    rows = said(2.0)
    entries = [entry("a", rows, plane=True), entry("b", said(3.0, 1), plane=True)]
    _, html = written(entries, rows, tmp_path)
    page = Page(html)
    assert html.count('<svg class="map"') == 2 and html.count('<svg class="forest"') == 1
    outside = r"""https?://|['"(=]//|@import|<script|<link|url\((?!#)"""
    assert not re.search(outside, html)
    assert len(page.ids) == len(set(page.ids)), "ids of two figures clash"
    used = set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {link[1:] for link in page.links if link[0] == "#"}
    assert used <= set(page.ids)
    assert not re.search(r"#0a0[bc]\d\d", html), "a color did not become the page's"
    assert "${" not in html and not re.search(r"\$[a-z]", html)


def test_texts_from_outside_are_escaped(tmp_path: Path) -> None:
    evil = '<img src=x onerror="1">&$title'
    changes = {
        "classes": 3,
        "label_space": LabelSpace(name=evil, names=(evil, "$x_1$", "笑顔")),
        "split": evil,
        "rule": evil,
        "provenance": {"dataset": evil, "license_terms": evil, evil: evil},
        "left_out": {evil: 2},
        "warnings": [evil],
    }
    rows = said(2.0, **changes)
    entries = [entry(evil, rows, said(2.0, 3, **changes)), entry("b", said(1.0, 1, **changes))]
    _, html = written(entries, rows, tmp_path)
    assert "<img src=x" not in html
    assert Page(html).text.count(evil) > 10


def test_what_cannot_be_compared() -> None:
    rows = said(2.0)
    with pytest.raises(ValueError, match="two entries, got 1"):
        compare([entry("a", rows)], rows)
    other = dataclasses.replace(rows, targets=(rows.targets + 1) % 8)
    with pytest.raises(ValueError, match="on the rows of"):
        compare([entry("a", rows), entry("b", other)], rows)
    with pytest.raises(MienError, match="expected rows with a target in split 'test'"):
        assess(dataclasses.replace(rows, targets=np.full(160, -1)), "x")


def test_letters_go_on() -> None:
    assert [letter_of(index) for index in (0, 25, 26, 53)] == ["A", "Z", "A1", "B2"]


def test_no_embedding_is_kept() -> None:
    kept = entry("a", said(2.0)).members[0]
    sizes = [value.shape for value in vars(kept).values() if isinstance(value, np.ndarray)]
    assert isinstance(kept, Assessed) and sizes == [(160,), (160,)]


def rated(noise: float, seed: int = 0) -> Evaluation:
    """A model whose valence and arousal have an error of that size; a tenth is not rated."""
    truth = affect(160)["valence_arousal_targets"]
    error = np.random.default_rng(200 + seed).normal(0, noise, truth.shape)
    return dataclasses.replace(
        said(2.0, seed),
        valence_arousal=np.nan_to_num(truth) + error,
        valence_arousal_targets=truth,
    )


def test_valence_and_arousal_are_compared(tmp_path: Path) -> None:
    rough, fine = rated(0.6), rated(0.1, 1)
    document, html = written([entry("rough", rough), entry("fine", fine)], rough, tmp_path)
    assert document["rated"] == 144 and document["n"] == 160
    rows = rough.rated
    ccc = [
        affect_metrics(e.valence_arousal[rows], e.valence_arousal_targets[rows])
        for e in (rough, fine)
    ]
    [found] = document["comparisons"]
    for name, key in (
        ("mean_ccc", ("mean", "ccc")),
        ("valence_ccc", ("valence", "ccc")),
        ("arousal_ccc", ("arousal", "ccc")),
    ):
        own = [side["valence_arousal"][name]["value"] for side in document["entries"]]
        assert own == pytest.approx([float(values[key]) for values in ccc]), name
        faces = found["valence_arousal"][name]["over_faces"]
        assert faces["value"] == pytest.approx(ccc[1][key] - ccc[0][key]), name
        assert 0 < faces["low"] < faces["value"] < faces["high"], name
        assert found["valence_arousal"][name]["over_seeds"] is None
    text = Page(html).text
    assert "Valence and arousal" in text and "over the 144 rows with both" in text
    mean = found["valence_arousal"]["mean_ccc"]["over_faces"]["value"]
    assert f"+{mean:.3f}" in text


def test_seeds_of_valence_and_arousal_are_paired(tmp_path: Path) -> None:
    first = entry("rough", *(rated(0.5, seed) for seed in range(3)))
    # In another order, so that only pairing by seed gives the value below.
    other = entry("fine", *(rated(0.2, seed) for seed in (2, 0, 1)), seeds=(2, 0, 1))
    document, _ = written([first, other], rated(0.5), tmp_path)
    [found] = document["comparisons"]
    both = found["valence_arousal"]["valence_ccc"]
    values = {
        side.label: {m.seed: m.affect.values["valence", "ccc"] for m in side.members}
        for side in (first, other)
    }
    each = np.array([values["fine"][seed] - values["rough"][seed] for seed in range(3)])
    assert both["over_seeds"]["value"] == pytest.approx(each.mean())
    half = both["over_seeds"]["high"] - both["over_seeds"]["value"]
    assert half == pytest.approx(4.302652729749464 * each.std(ddof=1) / np.sqrt(3))  # t, 2 df
    assert both["over_faces"]["value"] == pytest.approx(each.mean())
    mean = document["entries"][0]["valence_arousal"]["valence_ccc"]["value"]
    assert mean == pytest.approx(np.mean(list(values["rough"].values())))


def test_a_model_without_valence_and_arousal_has_a_dash(tmp_path: Path) -> None:
    plain = dataclasses.replace(rated(0.2), valence_arousal=None)
    document, html = written([entry("plain", plain), entry("both", rated(0.2))], plain, tmp_path)
    assert document["entries"][0]["valence_arousal"] is None
    assert document["entries"][1]["valence_arousal"]["mean_ccc"]["value"] > 0.5
    assert document["comparisons"][0]["valence_arousal"] is None
    assert "Valence and arousal" in Page(html).text
    document, html = written([entry("one", plain), entry("two", plain)], plain, tmp_path)
    assert document["rated"] == 0 and "Valence and arousal" not in Page(html).text


def test_valence_and_arousal_of_other_rows_are_not_compared() -> None:
    one, two = rated(0.2), rated(0.2, 1)
    truth = two.valence_arousal_targets
    moved = dataclasses.replace(two, valence_arousal_targets=np.roll(truth, 10, 0))
    assert moved.rated.size == one.rated.size
    with pytest.raises(ValueError, match="on the rows of"):
        compare([entry("one", one), entry("two", moved)], one)
