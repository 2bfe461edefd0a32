import base64
import dataclasses
import doctest
import importlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from evaluations import SPACE, Page, affect, make
from PIL import Image

from mien.labels import LabelSpace
from mien.metrics.neighbors import neighbor_predictions
from mien.metrics.regression import affect_metrics
from mien.reports.report import Evaluation, Reference, evaluate, write_report
from mien.schema import MienError

SIX = {"accuracy", "mean_class_accuracy", "macro_f1"}
SIX |= {"precision_at_1", "map_at_r", "distance_ratio"}


def run(evaluation: Evaluation, folder: Path, **options) -> tuple[dict, str]:
    """The report as another program reads it, and the page."""
    page = write_report(evaluation, evaluate(evaluation, draws=100, **options), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} in report.json")

    text = (folder / "report.json").read_text()
    return json.loads(text, parse_constant=no_constant), page.read_text()


def test_report_and_page_of_an_ordinary_evaluation(tmp_path: Path) -> None:
    evaluation = make()
    report, html = run(evaluation, tmp_path)
    assert report.keys() >= {"split", "n", "label_space", "rule", "metrics", "per_class"}
    assert report["label_space"] == {"name": "ferplus", "names": list(SPACE.names)}
    assert (report["split"], report["n"], report["clustered_by"]) == ("test", 80, "subject")
    assert set(report["metrics"]) == SIX | {"ece", "nll"}
    for name, entry in report["metrics"].items():
        assert name == "ece" or entry["low"] <= entry["value"] <= entry["high"], name
    predicted = evaluation.probabilities.argmax(1)
    assert report["metrics"]["accuracy"]["value"] == np.mean(predicted == evaluation.targets)
    assert sum(map(sum, report["confusion"])) == 80
    truth, read = SPACE.index("anger"), SPACE.index("fear")
    assert report["confusion"][truth][read] == np.sum(
        (evaluation.targets == truth) & (predicted == read)
    )
    anger = report["per_class"]["anger"]
    assert anger["n"] == np.sum(evaluation.targets == truth)
    assert anger["recall"]["value"] == report["confusion_shares"][truth][truth]["value"]
    page = Page(html)
    assert "ferplus" in page.text
    assert f"{100 * report['metrics']['accuracy']['value']:.1f}" in page.text


def test_page_is_self_contained(tmp_path: Path) -> None:
    _, html = run(make(), tmp_path)
    page = Page(html)
    outside = r"""https?://|['"(=]//|@import|<script|<link|url\((?!#)"""
    assert not re.search(outside, html)
    assert page.links and all(link.startswith(("#", "data:image/png")) for link in page.links)
    assert len(page.ids) == len(set(page.ids)), "ids of two figures clash"
    used = set(re.findall(r"url\(#([^)]+)\)", html)) | {
        ref[1:] for ref in page.links if ref[0] == "#"
    }
    assert used <= set(page.ids), "a figure refers to an id that was cut out"
    assert not re.search(r"#0a0[bc]\d\d", html), "a color did not become the page's"


def test_mistakes_are_the_most_confident_ones_with_their_pictures(tmp_path: Path) -> None:
    evaluation = make()
    report, html = run(evaluation, tmp_path)
    predicted = evaluation.probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != evaluation.targets)
    order = wrong[np.argsort(-evaluation.probabilities.max(1)[wrong])][:24]
    assert [entry["row"] for entry in report["mistakes"]] == order.tolist()
    images = Page(html).images
    assert len(images) == len(order)
    for entry, image in zip(report["mistakes"], images, strict=True):
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(Image.open(io.BytesIO(data)), evaluation.crops[entry["row"]])
        assert entry["truth"] in image["alt"] and entry["prediction"] in image["alt"]
        assert evaluation.ids[entry["row"]] in image["alt"]


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    evaluation = make()
    targets = evaluation.targets.copy()
    targets[:5] = -1
    reasons = {"tie": 3, "nobody": 0}
    report = evaluate(dataclasses.replace(evaluation, targets=targets, left_out=reasons), draws=50)
    rest = {
        name: getattr(evaluation, name)[5:]
        for name in ("ids", "targets", "probabilities", "embeddings", "subjects", "crops")
    }
    alone = evaluate(dataclasses.replace(evaluation, **rest), draws=50)
    assert report["n"] == 75
    assert report["left_out"] == {"tie": 3, "no target": 2}
    assert report["metrics"] == alone["metrics"]
    assert alone["left_out"] == {}
    assert [entry["id"] for entry in report["mistakes"]] == [
        entry["id"] for entry in alone["mistakes"]
    ]


def test_another_rule_is_the_same_as_another_evaluation(tmp_path: Path) -> None:
    evaluation = make()
    targets = evaluation.targets.copy()
    targets[::3] = -1
    nobody = np.full_like(targets, -1)
    report, html = run(evaluation, tmp_path, other_targets={"strict": targets, "none": nobody})
    own = evaluate(dataclasses.replace(evaluation, targets=targets), draws=100)
    strict = report["other_rules"]["strict"]
    assert strict == {"n": own["n"], "left_out": 27, "metrics": own["metrics"]}
    assert report["other_rules"]["none"] == {"n": 0, "left_out": 80, "metrics": {}}
    assert "strict" in Page(html).text


def test_votes_bring_their_own_metrics() -> None:
    evaluation = make()
    votes = np.eye(8, dtype=int)[evaluation.targets] * 10
    votes[:4] = 0
    metrics = evaluate(dataclasses.replace(evaluation, votes=votes), draws=50)["metrics"]
    right = evaluation.probabilities.argmax(1) == evaluation.targets
    assert metrics["vote_agreement"]["value"] == pytest.approx(right[4:].mean())
    nll = -np.log(evaluation.probabilities[np.arange(80), evaluation.targets])[4:]
    assert metrics["vote_kl"]["value"] == pytest.approx(nll.mean(), rel=1e-6)


def test_subjects_change_the_interval_and_not_the_value() -> None:
    # All rows of a person are alike, so there is less evidence than rows.
    many = np.repeat(np.arange(10), 8)
    evaluation = make(10)
    repeated = {
        name: np.asarray(getattr(evaluation, name))[many]
        for name in ("ids", "targets", "probabilities", "embeddings", "crops")
    }
    rows = evaluate(dataclasses.replace(evaluation, **repeated, subjects=None))
    people = evaluate(dataclasses.replace(evaluation, **repeated, subjects=many.astype(str)))
    first, second = rows["metrics"]["accuracy"], people["metrics"]["accuracy"]
    assert first["value"] == second["value"]
    assert second["high"] - second["low"] > 2 * (first["high"] - first["low"])
    assert any("10 subjects" in warning for warning in people["warnings"])
    assert rows["clustered_by"] is None and rows["clusters"] is None


def test_rows_of_unknown_subjects_are_alone() -> None:
    subjects = np.array(["a", "a", "", "", None, "b"], dtype=object)
    evaluation = make(6, subjects=subjects)
    assert evaluate(evaluation, draws=20)["clusters"] == 5
    nobody = make(6, subjects=np.array([""] * 6))
    assert evaluate(nobody, draws=20)["clustered_by"] is None


def test_an_embedding_read_by_its_neighbors(tmp_path: Path) -> None:
    known = make(120)
    evaluation = make()
    labels = np.where(np.arange(120) < 100, known.targets, -1)
    given = Reference(known.embeddings, labels, "train")
    report, html = run(evaluation, tmp_path, reference=given)
    found = report["reference"]
    assert (found["split"], found["n"]) == ("train", 100)
    softmax = found["readings"].pop("softmax")
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        assert softmax["metrics"][name] == report["metrics"][name]
    assert list(found["readings"]) == ["neighbors_1", "neighbors_5", "centroids"]
    rows = (known.embeddings[:100], labels[:100], evaluation.embeddings)
    for k in (1, 5):
        entry = found["readings"][f"neighbors_{k}"]
        right = neighbor_predictions(*rows, k=k) == evaluation.targets
        assert entry["metrics"]["accuracy"]["value"] == right.mean()
        change = entry["differences"]["accuracy"]
        expected = right.mean() - softmax["metrics"]["accuracy"]["value"]
        assert change["value"] == pytest.approx(expected)
        assert change["low"] <= change["value"] <= change["high"]
    text = Page(html).text
    assert "Neighbors beside the softmax" in text and "100 labeled rows of split train" in text


def test_a_reference_that_cannot_be_read_against() -> None:
    few = Reference(np.eye(8)[:3], np.arange(3), "train")
    report = evaluate(make(), reference=few, draws=20)
    assert list(report["reference"]["readings"]) == ["softmax", "neighbors_1", "centroids"]
    for evaluation, labels in ((make(), [-1]), (make(embeddings=None), [0])):
        with pytest.raises(MienError, match=r"split 'train'.*leave out --reference"):
            evaluate(evaluation, reference=Reference(np.eye(8)[:1], np.array(labels), "train"))


ONE_CLASS = {"targets": np.zeros(12, int), "probabilities": np.eye(8)[[0] * 9 + [1] * 3]}
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
    assert set(report["metrics"]) >= SIX
    for entry in [*report["metrics"].values(), *report["per_class"].values()]:
        for interval in [entry] if "value" in entry else [entry[key] for key in ("recall", "f1")]:
            missing = interval["value"] is None or interval["low"] is None
            assert not missing or interval["reason"]
            assert (interval["low"] is None) == (interval["high"] is None)
    text = Page(html).text
    assert "nan" not in text.lower().split() and "None" not in text


def test_valence_and_arousal_beside_expressions(tmp_path: Path) -> None:
    given = affect()
    report, html = run(make(**given), tmp_path)
    plain, before = run(make(), tmp_path / "plain")
    assert plain.pop("valence_arousal") is None and 'class="circumplex"' not in before
    found = report.pop("valence_arousal")
    assert report == plain
    rated = ~np.isnan(given["valence_arousal_targets"][:, 0])
    assert (found["n"], found["left_out"]) == (72, 8)
    expected = affect_metrics(*(values[rated] for values in given.values()))
    for (dimension, name), value in expected.items():
        entry = found["mean_ccc"] if dimension == "mean" else found[dimension][name]
        assert entry["value"] == pytest.approx(value, abs=1e-12)
        assert entry["low"] < value < entry["high"]
    zeros = (given["valence_arousal_targets"] == 0).sum(0)
    assert [found[name]["zero_targets"] for name in ("valence", "arousal")] == zeros.tolist()
    assert zeros.any()
    text = Page(html).text
    assert f"{found['mean_ccc']['value']:.3f}" in text and "Confusion" in text
    assert f"{zeros[1]} of 72 rows have arousal 0, which has no sign." in text
    assert html.count('class="circumplex"') == 1
    assert not re.search(r"#0a0[bc]\d\d|\$|<!-- ", html)


def test_valence_and_arousal_alone(tmp_path: Path) -> None:
    nobody = np.full(80, -1)
    evaluation = make(targets=nobody, left_out={"no label": 80}, **affect())
    report, html = run(evaluation, tmp_path, other_targets={"strict": nobody})
    both = evaluate(make(**affect()), draws=100)
    assert report["valence_arousal"] == both["valence_arousal"]
    assert report["n"] == 0 and report["metrics"] == {} and report["confusion"] == []
    assert report["left_out"] == {"no label": 80} and report["clusters"] == 40
    text = Page(html).text
    assert "72 rows" in text and "all of this page is about valence and arousal" in text
    assert "Confusion" not in text and "Metrics" not in text and "None" not in text


def test_a_reference_needs_expressions_in_the_split() -> None:
    nobody = make(targets=np.full(80, -1), **affect())
    reference = Reference(nobody.embeddings, make().targets, "train")
    with pytest.raises(MienError, match="rows with an expression in split 'test'"):
        evaluate(nobody, reference=reference, draws=20)


def test_valence_and_arousal_of_one_side_are_no_section() -> None:
    for name, values in affect().items():
        assert evaluate(make(**{name: values}), draws=20)["valence_arousal"] is None
    unknown = {"valence_arousal_targets": np.full((80, 2), np.nan)}
    assert evaluate(make(**(affect() | unknown)), draws=20)["valence_arousal"] is None


FLAT = np.full((80, 2), 0.3)


@pytest.mark.parametrize(
    "changes",
    [
        {"valence_arousal": np.zeros((80, 2))},
        {"valence_arousal_targets": FLAT, "valence_arousal": np.full((80, 2), 2.0)},
        {"valence_arousal_targets": FLAT, "valence_arousal": FLAT},
        {"valence_arousal_targets": np.vstack([FLAT[:1], np.full((79, 2), np.nan)])},
        {"subjects": np.array(["me"] * 80)},
    ],
)
def test_degenerate_valence_and_arousal(changes: dict, tmp_path: Path) -> None:
    evaluation = make(embeddings=None, **(affect() | changes))
    report, html = run(evaluation, tmp_path)
    found = report["valence_arousal"]
    entries = [found["mean_ccc"], *(e for d in ("valence", "arousal") for e in found[d].values())]
    for entry in entries:
        if isinstance(entry, dict):
            missing = entry["value"] is None or entry["low"] is None
            assert not missing or entry["reason"]
    assert "nan" not in Page(html).text.lower().split() and "None" not in Page(html).text


def test_reasons_speak_of_subjects() -> None:
    report = evaluate(make(30, subjects=np.array(["me"] * 30)), draws=20)
    for name in ("accuracy", "map_at_r"):
        assert report["metrics"][name]["reason"] == "there is one subject, so nothing to resample"


def test_a_single_class_is_warned_of() -> None:
    report = evaluate(make(12, **ONE_CLASS), draws=50)
    assert "contempt" in report["warnings"][0]
    assert report["metrics"]["accuracy"]["value"] == 0.75
    assert report["metrics"]["mean_class_accuracy"]["value"] == 0.75
    assert report["per_class"]["contempt"]["recall"]["value"] is None
    assert report["per_class"]["surprise"]["precision"]["value"] is None


def test_perfect_predictions(tmp_path: Path) -> None:
    targets = np.arange(40) % 8
    evaluation = make(40, targets=targets, probabilities=np.eye(8)[targets])
    report, html = run(evaluation, tmp_path)
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        entry = report["metrics"][name]
        assert (entry["value"], entry["low"], entry["high"]) == (1, 1, 1)
        assert "same in every draw" in entry["reason"]
    assert report["mistakes"] == [] and "every row was read as its target" in Page(html).text


def test_texts_from_outside_are_escaped(tmp_path: Path) -> None:
    evil = '<img src=x onerror="1">&$title'
    names = (evil, "$x_1$", "笑顔")
    evaluation = make(
        30,
        3,
        ids=[f"{evil}{row}" for row in range(30)],
        label_space=LabelSpace(name=evil, names=names),
        split=evil,
        rule=evil,
        provenance={"model": evil, "license_terms": evil, evil: evil},
        left_out={evil: 2},
        warnings=[evil],
    )
    _, html = run(evaluation, tmp_path, other_targets={evil: evaluation.targets})
    page = Page(html)
    assert "<img src=x" not in html
    assert all(image["src"].startswith("data:") for image in page.images)
    assert page.text.count(evil) > 10
    assert "$x_1$" in page.text and "笑顔" in page.text


def test_warnings_come_first(tmp_path: Path) -> None:
    _, html = run(make(warnings=["This split chose the model"]), tmp_path)
    text = Page(html).text
    assert text.index("This split chose the model.") < text.index("rows")


def test_same_arrays_same_files(tmp_path: Path) -> None:
    first, second = run(make(), tmp_path / "a"), run(make(), tmp_path / "b")
    assert first == second


def test_a_failure_leaves_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = make(12)
    report, html = run(evaluation, tmp_path)
    changed = evaluate(evaluation, draws=20)
    with pytest.raises(ValueError, match="JSON"):
        write_report(evaluation, changed | {"n": float("nan")}, tmp_path)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(evaluation, changed, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (tmp_path / "report.html").read_text() == html
    assert len(list(tmp_path.iterdir())) == 2


def test_no_target_at_all_is_the_users_to_solve() -> None:
    with pytest.raises(MienError, match=r"expected rows with a target in split 'test', got none"):
        evaluate(make(3, targets=np.full(3, -1)))


def test_a_missing_extra_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "scipy" or None)
    with pytest.raises(MienError, match=r'pip install "mien\[train\]"'):
        evaluate(make(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.full(4, 8)}, r"targets in \[-1, 8\)"),
        ({"targets": np.zeros(4)}, "integer targets"),
        ({"targets": np.zeros(3, int)}, r"targets \(4,\)"),
        ({"probabilities": np.full((4, 8), 0.2)}, "sum to one"),
        ({"probabilities": np.full((4, 8), np.nan)}, "sum to one"),
        ({"probabilities": np.full((4, 7), 1 / 7)}, r"probabilities of shape \(4, 8\)"),
        ({"embeddings": np.ones(4)}, "embeddings"),
        ({"embeddings": np.ones((3, 2))}, "embeddings"),
        ({"subjects": np.array(["a"])}, "subjects"),
        ({"votes": np.ones((4, 10))}, "votes"),
        ({"crops": np.zeros((3, 8, 8, 3), np.uint8)}, "4 crops, got 3"),
        ({"valence_arousal": np.zeros((4, 3))}, r"valence_arousal of shape \(4, 2\)"),
        ({"valence_arousal": np.full((4, 2), np.nan)}, "finite valence_arousal"),
        ({"valence_arousal_targets": np.zeros(4)}, r"targets of shape \(4, 2\)"),
        ({"valence_arousal_targets": np.full((4, 2), 1.5)}, r"targets in \[-1, 1\]"),
        ({"valence_arousal_targets": np.array([[0.1, np.nan]] * 4)}, "NaN for both of a row"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(4, **changes)


def test_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), "docs/evaluation.md", "exec"), {})
    assert (tmp_path / "report" / "report.html").is_file()
    # What a report of severity has is in test_severity.py.
    faces = re.sub(r"## Depression severity\n.*?(?=\n## )", "", page, flags=re.DOTALL)
    rows = re.findall(r"^\| (`.*?) \|", faces, flags=re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    report = evaluate(make(20, votes=np.ones((20, 8)), **affect(20)), draws=20)
    assert named == {*report["metrics"], "mean_ccc", *report["valence_arousal"]["valence"]}


@pytest.mark.parametrize("name", ["metrics", "uncertainty", "retrieval"])
def test_examples_in_docstrings(name: str) -> None:
    module = importlib.import_module(f"mien.evaluation.{name}")
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.failed == 0
    assert result.attempted or name == "retrieval"
