import base64
import dataclasses
import importlib.util
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from evaluations import (
    SPACE,
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
from PIL import Image

from mien.errors import MienError
from mien.labels import LabelSpace
from mien.metrics import neighbor_predictions, valence_arousal_metrics
from mien.reports.evaluation import Evaluation, Reference
from mien.reports.report import evaluate, write_report

BASIC = {"accuracy", "mean_class_accuracy", "macro_f1"}
BASIC |= {"precision_at_1", "map_at_r", "distance_ratio"}


def run(evaluation: Evaluation, folder: Path) -> tuple[dict, str]:
    """The report as another program reads it, and the page."""
    return read_documents(write_report(evaluation, evaluate(evaluation, draws=100), folder))


def of_expression(evaluation: Evaluation, draws: int = 50) -> dict:
    return evaluate(evaluation, draws=draws)["heads"]["expression"]


def changed(evaluation: Evaluation, **changes) -> Evaluation:
    """The evaluation with other arrays of expressions."""
    arrays = dataclasses.replace(expression(evaluation), **changes)
    return dataclasses.replace(evaluation, heads={**evaluation.heads, "expression": arrays})


def test_report_and_page_of_an_ordinary_evaluation(tmp_path: Path) -> None:
    evaluation = make()
    report, html = run(evaluation, tmp_path)
    assert (report["split"], report["unit"], report["n"]) == ("test", "face", 80)
    assert (report["clustered_by"], report["clusters"]) == ("subject", 40)
    assert report["intervals"] == {"level": 0.95, "draws": 100, "seed": 0}
    entry = report["heads"]["expression"]
    assert entry["label_space"] == {"name": "ferplus", "names": list(SPACE.names)}
    assert set(entry["metrics"]) == BASIC | {"ece", "nll"}
    for name, value in entry["metrics"].items():
        assert name == "ece" or value["low"] <= value["value"] <= value["high"], name
    arrays = expression(evaluation)
    predicted = arrays.predictions.argmax(1)
    assert entry["metrics"]["accuracy"]["value"] == np.mean(predicted == arrays.targets)
    assert sum(map(sum, entry["confusion"])) == 80
    target, other = SPACE.index("anger"), SPACE.index("fear")
    assert entry["confusion"][target][other] == np.sum(
        (arrays.targets == target) & (predicted == other)
    )
    anger = entry["per_class"]["anger"]
    assert anger["n"] == np.sum(arrays.targets == target)
    assert anger["recall"]["value"] == entry["confusion_shares"][target][target]["value"]
    page = Page(html)
    assert page.articles == ["expression"] and page.figures == ["reliability", "map"]
    accuracy = entry["metrics"]["accuracy"]
    assert page.row("Accuracy")[1:3] == [
        f"{100 * accuracy['value']:.1f}\u2009%".replace("\u2009", " "),
        f"{100 * accuracy['low']:.1f} \u2013 {100 * accuracy['high']:.1f}",
    ]
    assert page.row("Log loss")[1] == f"{entry['metrics']['nll']['value']:.3f}"
    anger_row = page.row("anger")
    assert anger_row[1] == str(anger["n"])
    for cell, name in zip(anger_row[2:5], ("precision", "recall", "f1"), strict=True):
        assert cell.startswith(f"{100 * anger[name]['value']:.1f} "), name
    shares = page.row("anger", 1)[1:]
    assert [int(cell.split()[1]) for cell in shares] == entry["confusion"][target]


def test_pages_are_self_contained(tmp_path: Path) -> None:
    for name, evaluation in {
        "faces": make(others={"valence_arousal": valence_arousal()}),
        "recordings": severity(
            recordings({"a": ("p", "", 3, 5), "b": ("q", "", 9, 5)}),
            recordings({"c": ("r", "", 5, None)}),
        ),
    }.items():
        _, html = run(evaluation, tmp_path / name)
        assert_self_contained(html)


def test_mistakes_are_the_most_confident_ones_with_their_pictures(tmp_path: Path) -> None:
    evaluation = make()
    report, html = run(evaluation, tmp_path)
    mistakes = report["heads"]["expression"]["mistakes"]
    arrays = expression(evaluation)
    wrong = np.flatnonzero(arrays.predictions.argmax(1) != arrays.targets)
    order = wrong[np.argsort(-arrays.predictions.max(1)[wrong])][:24]
    assert [mistake["row"] for mistake in mistakes] == order.tolist()
    images = Page(html).images
    assert len(images) == len(order)
    for mistake, image in zip(mistakes, images, strict=True):
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        pixels = Image.open(io.BytesIO(data))
        np.testing.assert_array_equal(pixels, evaluation.crops[mistake["row"]])
        assert mistake["target"] == SPACE.names[arrays.targets[mistake["row"]]]
        assert mistake["target"] in image["alt"] and mistake["prediction"] in image["alt"]
        assert evaluation.ids[mistake["row"]] in image["alt"]


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    evaluation = make()
    targets = expression(evaluation).targets.copy()
    targets[:5] = -1
    report, html = run(changed(evaluation, targets=targets, left_out={"tie": 3, "no": 0}), tmp_path)
    entry = report["heads"]["expression"]
    arrays = expression(evaluation)
    rest = dataclasses.replace(
        evaluation,
        ids=evaluation.ids[5:],
        embeddings=evaluation.embeddings[5:],
        subjects=evaluation.subjects[5:],
        crops=evaluation.crops[5:],
        heads={
            "expression": dataclasses.replace(
                arrays, targets=arrays.targets[5:], predictions=arrays.predictions[5:]
            )
        },
    )
    without = of_expression(rest, draws=100)
    assert entry["n"] == report["n"] == 75
    assert entry["left_out"] == {"tie": 3, "no target": 2} and without["left_out"] == {}
    assert Page(html).row("tie") == ["tie", "3"]
    assert entry["metrics"] == without["metrics"]
    assert [m["id"] for m in entry["mistakes"]] == [m["id"] for m in without["mistakes"]]


def test_another_rule_is_the_same_as_another_evaluation(tmp_path: Path) -> None:
    evaluation = make()
    targets = expression(evaluation).targets.copy()
    targets[::3] = -1
    others = {"strict": targets, "none": np.full_like(targets, -1)}
    report, html = run(changed(evaluation, other_targets=others), tmp_path)
    rules = report["heads"]["expression"]["other_rules"]
    strict = of_expression(changed(evaluation, targets=targets), draws=100)
    assert rules["strict"] == {"n": strict["n"], "left_out": 27, "metrics": strict["metrics"]}
    assert rules["none"] == {"n": 0, "left_out": 80, "metrics": {}}
    assert Page(html).row("Rows") == ["Rows", "80", "53", "0"]


def test_votes_bring_their_own_metrics() -> None:
    evaluation = make()
    arrays = expression(evaluation)
    votes = np.eye(8, dtype=int)[arrays.targets] * 10
    votes[:4] = 0
    metrics = of_expression(changed(evaluation, votes=votes))["metrics"]
    right = arrays.predictions.argmax(1) == arrays.targets
    assert metrics["vote_agreement"]["value"] == pytest.approx(right[4:].mean())
    nll = -np.log(arrays.predictions[np.arange(80), arrays.targets])[4:]
    assert metrics["vote_kl"]["value"] == pytest.approx(nll.mean(), rel=1e-6)


def test_subjects_change_the_interval_and_not_the_value() -> None:
    # All rows of a person are alike, so there is less evidence than rows.
    many = np.repeat(np.arange(10), 8)
    evaluation = make(10)
    arrays = expression(evaluation)
    repeated = make(
        80,
        targets=arrays.targets[many],
        predictions=arrays.predictions[many],
        embeddings=evaluation.embeddings[many],
        subjects=None,
    )
    rows = evaluate(repeated)
    people = evaluate(dataclasses.replace(repeated, subjects=many.astype(str)))
    first, second = (
        report["heads"]["expression"]["metrics"]["accuracy"] for report in (rows, people)
    )
    assert first["value"] == second["value"]
    assert second["high"] - second["low"] > 2 * (first["high"] - first["low"])
    assert any("10 subjects" in warning for warning in people["warnings"])
    assert rows["clustered_by"] is None and rows["clusters"] is None


def test_rows_of_unknown_subjects_are_alone() -> None:
    subjects = np.array(["a", "a", "", "", None, "b"], dtype=object)
    assert evaluate(make(6, subjects=subjects), draws=20)["clusters"] == 5
    nobody = make(6, subjects=np.array([""] * 6))
    assert evaluate(nobody, draws=20)["clustered_by"] is None


def test_classifiers_of_the_embedding(tmp_path: Path) -> None:
    others, evaluation = make(120), make()
    labels = np.where(np.arange(120) < 100, expression(others).targets, -1)
    reference = Reference(others.embeddings, labels, "train")
    report, html = run(changed(evaluation, reference=reference), tmp_path)
    entry = report["heads"]["expression"]
    found = entry["reference"]
    assert (found["split"], found["n"]) == ("train", 100)
    softmax = found["classifiers"].pop("softmax")
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        assert softmax["metrics"][name] == entry["metrics"][name]
    assert list(found["classifiers"]) == ["neighbors_1", "neighbors_5", "centroids"]
    rows = (others.embeddings[:100], labels[:100], evaluation.embeddings)
    for k, title in ((1, "Nearest neighbor"), (5, "Five nearest")):
        of_k = found["classifiers"][f"neighbors_{k}"]
        right = neighbor_predictions(*rows, k=k) == expression(evaluation).targets
        assert of_k["metrics"]["accuracy"]["value"] == right.mean()
        change = of_k["differences"]["accuracy"]
        difference = right.mean() - softmax["metrics"]["accuracy"]["value"]
        assert change["value"] == pytest.approx(difference)
        assert change["low"] <= change["value"] <= change["high"]
        shown = f"{100 * change['value']:+.1f} ".replace("-", "\u2212")
        assert Page(html).row(title)[4].startswith(shown)


def test_a_reference_without_neighbors() -> None:
    few = Reference(np.eye(8)[:3], np.arange(3), "train")
    report = of_expression(make(reference=few))
    assert list(report["reference"]["classifiers"]) == ["softmax", "neighbors_1", "centroids"]
    for changes, label in (({}, -1), ({"embeddings": None}, 0)):
        reference = Reference(np.eye(8)[:1], np.array([label]), "train")
        with pytest.raises(MienError, match=r"split 'train'.*leave out --reference"):
            evaluate(make(reference=reference, **changes))


ONE_CLASS = {"targets": np.zeros(12, int), "predictions": np.eye(8)[[0] * 9 + [1] * 3]}
DEGENERATE = {
    "one row": (1, 8, {}),
    "two rows": (2, 8, {}),
    "three rows": (3, 8, {"embeddings": np.eye(3)}),
    "one class": (12, 8, ONE_CLASS),
    "two classes": (30, 2, {}),
    "no embeddings": (30, 8, {"embeddings": None}),
    "flat embeddings": (30, 8, {"embeddings": np.ones((30, 4), np.float32)}),
    "two points": (30, 8, {"embeddings": np.arange(60).reshape(30, 2) % 2 + 1.0}),
    "one dimension": (30, 8, {"embeddings": np.linspace(1, 2, 30)[:, None]}),
    "zero vectors": (30, 8, {"embeddings": np.zeros((30, 1))}),
    "no subjects": (30, 8, {"subjects": None}),
    "one subject": (30, 8, {"subjects": np.array(["me"] * 30)}),
    "no crops": (30, 8, {"crops": None}),
    "gray crops": (30, 8, {"crops": np.zeros((30, 9, 9), np.uint8)}),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_evaluations_make_whole_reports(case: str, tmp_path: Path) -> None:
    n, classes, changes = DEGENERATE[case]
    report, html = run(make(n, classes, **changes), tmp_path)
    entry = report["heads"]["expression"]
    assert set(entry["metrics"]) >= BASIC
    for found in [*entry["metrics"].values(), *entry["per_class"].values()]:
        for interval in [found] if "value" in found else [found[key] for key in ("recall", "f1")]:
            missing = interval["value"] is None or interval["low"] is None
            assert not missing or interval["reason"]
            assert (interval["low"] is None) == (interval["high"] is None)
    page = Page(html)
    # A projection takes three rows and an embedding.
    assert ("map" in page.figures) == (n > 2 and changes.get("embeddings", 1) is not None)
    assert bool(page.images) == (bool(entry["mistakes"]) and case != "no crops")


def test_heads_side_by_side(tmp_path: Path) -> None:
    arrays = valence_arousal()
    report, html = run(make(others={"valence_arousal": arrays}), tmp_path)
    plain, _ = run(make(), tmp_path / "plain")
    found = report["heads"].pop("valence_arousal")
    assert report == plain
    rows = ~np.isnan(arrays.targets[:, 0])
    assert (found["n"], found["left_out"]) == (72, {"no valence and arousal": 8})
    expected = valence_arousal_metrics(arrays.predictions[rows], arrays.targets[rows])
    assert list(found["metrics"])[:3] == ["mean_ccc", "ccc_valence", "ccc_arousal"]
    assert found["metrics"].keys() == expected.keys()
    for name, value in expected.items():
        entry = found["metrics"][name]
        assert entry["value"] == pytest.approx(value, abs=1e-12)
        assert entry["low"] < value < entry["high"]
    zeros = (arrays.targets == 0).sum(0)
    assert zeros.any() and list(found["zero_targets"].values()) == zeros.tolist()
    page = Page(html)
    assert page.articles == ["expression", "valence_arousal"]
    assert page.figures.count("circumplex") == 1
    for row, name in (("CCC", "ccc"), ("PCC", "pcc"), ("RMSE", "rmse"), ("MAE", "mae")):
        for cell, dimension in zip(page.row(row)[1:], ("valence", "arousal"), strict=True):
            shown = f"{found['metrics'][f'{name}_{dimension}']['value']:.3f} "
            assert cell.startswith(shown), (name, dimension)
    assert f"{zeros[1]} of 72 rows have arousal 0" in page.text


def test_a_head_without_labels_is_left_out_with_a_warning(tmp_path: Path) -> None:
    nobody = np.full(80, -1)
    both = make(
        targets=nobody, reasons={"no label": 80}, others={"valence_arousal": valence_arousal()}
    )
    report, html = run(both, tmp_path)
    whole = evaluate(make(others={"valence_arousal": valence_arousal()}), draws=100)
    assert list(report["heads"]) == Page(html).articles == ["valence_arousal"]
    assert report["heads"]["valence_arousal"] == whole["heads"]["valence_arousal"]
    assert (report["n"], report["clusters"]) == (72, 40)
    [warning] = report["warnings"]
    assert "head expression" in warning and "split test" in warning
    unknown = valence_arousal(targets=np.full((80, 2), np.nan))
    report = evaluate(make(others={"valence_arousal": unknown}), draws=20)
    assert list(report["heads"]) == ["expression"]
    assert any("head valence_arousal" in warning for warning in report["warnings"])
    with pytest.raises(MienError, match=r"split 'test'.*got none of 3"):
        evaluate(make(3, targets=np.full(3, -1)))


FLAT = np.full((80, 2), 0.3)


@pytest.mark.parametrize(
    "changes",
    [
        {"predictions": np.zeros((80, 2))},
        {"targets": FLAT, "predictions": np.full((80, 2), 2.0)},
        {"targets": FLAT, "predictions": FLAT},
        {"targets": np.vstack([FLAT[:1], np.full((79, 2), np.nan)])},
        {},
    ],
)
def test_degenerate_valence_and_arousal(changes: dict, tmp_path: Path) -> None:
    subjects = {} if changes else {"subjects": np.array(["me"] * 80)}
    report, html = run(alone("valence_arousal", valence_arousal(**changes), **subjects), tmp_path)
    for entry in report["heads"]["valence_arousal"]["metrics"].values():
        missing = entry["value"] is None or entry["low"] is None
        assert not missing or entry["reason"]
    assert Page(html).articles == ["valence_arousal"]


def test_reasons_speak_of_subjects() -> None:
    metrics = of_expression(make(30, subjects=np.array(["me"] * 30)))["metrics"]
    for name in ("accuracy", "map_at_r"):
        assert metrics[name]["reason"] == "there is one subject, so nothing to resample"


def test_a_single_class_is_warned_of() -> None:
    report = evaluate(make(12, **ONE_CLASS), draws=50)
    assert "contempt" in report["warnings"][0]
    entry = report["heads"]["expression"]
    assert entry["metrics"]["accuracy"]["value"] == 0.75
    assert entry["metrics"]["mean_class_accuracy"]["value"] == 0.75
    assert entry["per_class"]["contempt"]["recall"]["value"] is None
    assert entry["per_class"]["surprise"]["precision"]["value"] is None


def test_perfect_predictions(tmp_path: Path) -> None:
    targets = np.arange(40) % 8
    report, html = run(make(40, targets=targets, predictions=np.eye(8)[targets]), tmp_path)
    entry = report["heads"]["expression"]
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        value = entry["metrics"][name]
        assert (value["value"], value["low"], value["high"]) == (1, 1, 1)
        assert "same in every draw" in value["reason"]
    assert entry["mistakes"] == [] and Page(html).images == []


GRAPH = {
    "nodes": [*SPACE.names, "valence", "arousal"],
    "adjacency": (np.eye(10) * 0.5 + np.eye(10, k=8) * 0.25).tolist(),
    "correlation": np.linspace(-1, 1, 100).reshape(10, 10).tolist(),
}


def test_the_graph_of_a_model(tmp_path: Path) -> None:
    report, html = run(make(graph=GRAPH), tmp_path)
    assert report["graph"] == GRAPH
    page = Page(html)
    assert page.figures.count("graph") == 1 and "graph" in page.ids
    happiness = page.row("happiness", -1)
    assert happiness == ["happiness", *(f"{value:+.2f}" for value in GRAPH["correlation"][1][-2:])]
    plain, html = run(make(), tmp_path / "plain")
    assert plain["graph"] is None and "graph" not in Page(html).ids


def test_texts_from_outside_are_escaped(tmp_path: Path) -> None:
    evil = '<img src=x onerror="1">&$title{{ 7 }}'
    names = (evil, "$x_1$", "笑顔")
    evaluation = make(
        30,
        3,
        ids=[f"{evil}{row}" for row in range(30)],
        label_space=LabelSpace(name=evil, names=names),
        split=evil,
        rule=evil,
        provenance={"model": evil, "license_terms": evil, "trained_on": evil, evil: evil},
        reasons={evil: 2},
        left_out={evil: 1},
        warnings=[evil],
    )
    evaluation = changed(evaluation, other_targets={evil: expression(evaluation).targets})
    html = write_report(evaluation, evaluate(evaluation, draws=20), tmp_path).read_text("utf-8")
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x") > 10
    assert "$x_1$" in html and "笑顔" in html


def test_warnings_come_first(tmp_path: Path) -> None:
    _, html = run(make(warnings=["This split chose the model"]), tmp_path)
    text = Page(html).text
    assert text.index("This split chose the model.") < text.index("80")


def test_same_arrays_same_files(tmp_path: Path) -> None:
    first, second = run(make(), tmp_path / "a"), run(make(), tmp_path / "b")
    assert first == second


def test_a_failure_leaves_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = make(12)
    report, html = run(evaluation, tmp_path)
    changed_report = evaluate(evaluation, draws=20)
    with pytest.raises(ValueError, match="JSON"):
        write_report(evaluation, changed_report | {"n": float("nan")}, tmp_path)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(MienError, match="disk full"):
        write_report(evaluation, changed_report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (tmp_path / "report.html").read_text() == html
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("package", ["scipy", "jinja2"])
def test_a_missing_extra_names_the_install_line(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(MienError, match=rf'no {package}: run pip install "mien\[train\]"'):
        evaluate(make(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.full(4, 8)}, r"expression: expected targets in \[-1, 8\)"),
        ({"targets": np.zeros(4)}, "integer targets"),
        ({"targets": np.zeros(3, int)}, r"targets \(4,\)"),
        ({"other_targets": {"x": np.full(4, 8)}}, r"targets of rule x in \[-1, 8\)"),
        ({"predictions": np.full((4, 8), 0.2)}, "sum to one"),
        ({"predictions": np.full((4, 8), np.nan)}, "sum to one"),
        ({"predictions": np.full((4, 7), 1 / 7)}, r"predictions of shape \(4, 8\)"),
        ({"reference": Reference(np.eye(2), np.full(2, 9), "x")}, "labels of the reference in"),
        ({"embeddings": np.ones(4)}, "embeddings"),
        ({"embeddings": np.ones((3, 2))}, "embeddings"),
        ({"subjects": np.array(["a"])}, "subjects"),
        ({"votes": np.ones((4, 10))}, "votes"),
        ({"crops": np.zeros((3, 8, 8, 3), np.uint8)}, "4 crops, got 3"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(4, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictions": np.zeros((80, 3))}, r"valence_arousal: expected predictions of shape"),
        ({"predictions": np.full((80, 2), np.nan)}, "finite predictions"),
        ({"targets": np.zeros(80)}, r"targets of shape \(80, 2\)"),
        ({"targets": np.full((80, 2), 1.5)}, r"targets in \[-1, 1\]"),
        ({"targets": np.array([[0.1, np.nan]] * 80)}, "NaN for both of a row"),
    ],
)
def test_valence_and_arousal_that_do_not_fit(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(others={"valence_arousal": valence_arousal(**changes)})


@pytest.mark.skipif(os.name != "posix", reason="needs the permissions of POSIX")
def test_a_report_is_private_because_it_shows_faces(tmp_path: Path) -> None:
    run(make(), tmp_path / "report")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "report").iterdir()}
    assert modes == {0o600}
