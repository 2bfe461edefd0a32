import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluations import Page
from fake_models import FERPLUS, RGB, SIZE, VOTES, Oracle, make_dataset, one_hot
from PIL import Image

import mien.evaluation.evaluate
import mien.evaluation.predictions
from mien.data.dataset import VALENCE_AROUSAL_FIELDS, Dataset
from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.evaluation.models import open_model
from mien.evaluation.predictions import evaluation_of
from mien.evaluation.training_overlap import training_overlap
from mien.faces.partial_image import compose_partial_image
from mien.labels import label_space_of
from mien.schema import Preprocessing
from mien.synthetic import WARNING

GRAY = Preprocessing(size=SIZE, color="gray")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Oracle]:
    """Puts an oracle in the place of every model."""

    def use(table: list[list[float]], *given: Any, **options: Any) -> Oracle:
        oracle = Oracle(table)
        monkeypatch.setattr(
            mien.evaluation.evaluate, "open_model", lambda _: oracle.model(*given, **options)
        )
        return oracle

    return use


def expression_of(report: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = report["heads"]["expression"]
    return entry


def affect(rows: np.ndarray) -> np.ndarray:
    return np.stack([0.1 * rows, 0 * rows + 0.5], 1)


AFFECT_ROWS: list[dict[str, Any]] = [
    {"label": "anger", "valence": 0.0, "arousal": 0.5},
    {"label": "fear", "valence": 0.4, "arousal": 0.5},
    {"label": "fear"},
    {"valence": 0.2, "arousal": -0.1},
]


def test_each_head_is_measured_where_it_has_labels(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "d", AFFECT_ROWS, fields=VALENCE_AROUSAL_FIELDS)
    oracle = models(one_hot(4, 6, 6, 0))
    assert list(evaluate("m", data, tmp_path / "without")[0]["heads"]) == ["expression"]
    oracle.heads["valence_arousal"] = affect
    report, page = evaluate("m", data, tmp_path / "with")
    found = report["heads"]["valence_arousal"]
    assert (report["n"], expression_of(report)["n"], found["n"]) == (4, 3, 3)
    assert found["left_out"] == {"no valence and arousal": 1}
    # Predictions (0, .1, .3) against (0, .4, .2), and a constant.
    assert found["metrics"]["mae_valence"]["value"] == pytest.approx(0.4 / 3, abs=1e-7)
    assert found["metrics"]["ccc_arousal"]["value"] == 0
    assert Page(page.read_text("utf-8")).articles == ["expression", "valence_arousal"]


def test_a_head_without_labels_is_left_out_with_a_warning(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    fields = {"fields": VALENCE_AROUSAL_FIELDS}
    oracle = models(one_hot(4, 6, 6, 0))
    oracle.heads["valence_arousal"] = affect
    without = make_dataset(tmp_path / "a", AFFECT_ROWS[-1:] * 3, **fields)
    report, _ = evaluate("m", without, tmp_path / "out")
    assert list(report["heads"]) == ["valence_arousal"] and report["n"] == 3
    assert any("head expression" in warning for warning in report["warnings"])
    plain = make_dataset(tmp_path / "b", [{"label": "anger"}])
    report, _ = evaluate("m", plain, tmp_path / "out")
    assert list(report["heads"]) == ["expression"]
    assert any("head valence_arousal" in warning for warning in report["warnings"])
    nothing = make_dataset(tmp_path / "c", [{}, {}], **fields)
    with pytest.raises(MienError, match="an expression or valence and arousal in split 'test'"):
        evaluate("m", nothing, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    del oracle.heads["expression"]
    with pytest.raises(MienError, match="no --reference"):
        evaluate("m", without, tmp_path / "out", reference="train")
    # Other classes matter only to a model that names them.
    pets = make_dataset(
        tmp_path / "d", AFFECT_ROWS[-1:], space=label_space_of(["cat", "dog"]), **fields
    )
    assert list(evaluate("m", pets, tmp_path / "out")[0]["heads"]) == ["valence_arousal"]


def test_attention_maps_are_averaged_by_class_over_the_chunks(
    models: Callable[..., Oracle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mien.evaluation.predictions, "_CHUNK", 2)
    labels = ("anger", "fear", None, "anger", "fear")
    data = make_dataset(tmp_path / "d", [{"label": label} for label in labels])
    oracle = models(one_hot(4, 6, 0, 4, 6))
    _, page = evaluate("m", data, tmp_path / "without")
    assert page.read_text("utf-8").count('alt="Mean attention') == 0
    oracle.attention = lambda rows: (0.1 * rows + 0.2)[:, None, None] * np.ones((1, 3, 3))
    parts = []
    join = mien.evaluation.predictions.concatenate_outputs
    monkeypatch.setattr(
        mien.evaluation.predictions,
        "concatenate_outputs",
        lambda given: parts.extend(given) or join(given),
    )
    dataset = Dataset.open(data)
    evaluation = evaluation_of(oracle.model(), dataset, "m", split="test", rule="majority")
    means = evaluation.heads["expression"].attention
    assert len(parts) == 3 and all(part.attention is None for part in parts)
    assert means is not None and means.counts.tolist() == [0, 0, 0, 0, 2, 0, 2, 0]
    np.testing.assert_allclose(means.maps[4], 0.2 + 0.1 * (0 + 3) / 2)
    np.testing.assert_allclose(means.maps[6], 0.2 + 0.1 * (1 + 4) / 2)
    np.testing.assert_allclose(means.crops[4], dataset.crops[np.array([0, 3])].mean(0))
    _, page = evaluate("m", data, tmp_path / "with")
    assert page.read_text("utf-8").count('alt="Mean attention') == 2


def test_a_smaller_label_space_gets_renormalized_probabilities(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    space = label_space_of(["anger", "happiness", "neutral"])
    assert space.names == ("neutral", "happiness", "anger")
    data = make_dataset(tmp_path / "d", [{"label": "anger"}, {"label": "neutral"}], space=space)
    models(
        [[0.3, 0.4, 0.2, 0.1], [0.05, 0.85, 0.05, 0.05]],
        names=("anger", "disgust", "happiness", "neutral"),
    )
    report, _ = evaluate("m", data, tmp_path / "out")
    # Row 0: (neutral .1, happiness .2, anger .3) / .6; row 1: a third each, and the first wins.
    assert expression_of(report)["label_space"]["names"] == ["neutral", "happiness", "anger"]
    assert report["n"] == 2
    assert expression_of(report)["metrics"]["accuracy"]["value"] == 1.0
    expected = -(math.log(0.5) + math.log(1 / 3)) / 2
    assert expression_of(report)["metrics"]["nll"]["value"] == pytest.approx(expected, abs=1e-6)
    assert any("disgust" in warning for warning in report["warnings"])


def test_a_row_whose_mass_is_all_on_dropped_classes_counts_as_undecided(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    space = label_space_of(["anger", "neutral"])
    data = make_dataset(tmp_path / "d", [{"label": "anger"}, {"label": "neutral"}], space=space)
    models([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5]], names=("anger", "disgust", "neutral"))
    report, _ = evaluate("m", data, tmp_path / "out")
    # Row 0 is a half each, and the first class in order (neutral) wins: a mistake.
    assert expression_of(report)["metrics"]["accuracy"]["value"] == 0.5
    assert expression_of(report)["metrics"]["nll"]["value"] == pytest.approx(
        math.log(2) / 2, abs=1e-6
    )


def test_the_same_classes_in_another_order_are_only_reordered(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "fear"}, {"label": "anger"}])
    table = np.array(one_hot(FERPLUS.index("fear"), FERPLUS.index("anger")))
    backwards = tuple(reversed(FERPLUS.names))
    models(table[:, ::-1].tolist(), names=backwards)
    report, _ = evaluate("m", data, tmp_path / "out")
    assert expression_of(report)["metrics"]["accuracy"]["value"] == 1.0
    assert not any("scaled" in warning for warning in report["warnings"])


def test_classes_that_the_model_does_not_know_are_refused(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    space = label_space_of(["cat", "dog", "happiness"])
    data = make_dataset(tmp_path / "d", [{"label": "cat"}], space=space)
    models(one_hot(0))
    with pytest.raises(MienError, match=r"cat, dog"):
        evaluate("m", data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_both_rules_are_in_the_report(models: Callable[..., Oracle], tmp_path: Path) -> None:
    def votes(**counts: int) -> dict[str, list[int]]:
        return {"votes": [counts.get(name, 0) for name in VOTES]}

    data = make_dataset(
        tmp_path / "d",
        [
            votes(neutral=4, sadness=3, anger=3),  # majority neutral; 4 of 10 is no more than half
            votes(happiness=9, unknown=1),  # happiness by both rules
            votes(fear=6, surprise=4),  # fear by both rules
            votes(unknown=6, neutral=4),  # by neither
        ],
        votes=True,
    )
    names = FERPLUS.index
    models(one_hot(names("anger"), names("happiness"), names("fear"), names("neutral")))
    report, _ = evaluate("m", data, tmp_path / "out")
    assert (expression_of(report)["rule"], report["n"]) == ("majority", 3)
    assert expression_of(report)["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert sum(expression_of(report)["left_out"].values()) == 1
    other = expression_of(report)["other_rules"]["ferplus"]
    assert (other["n"], other["left_out"]) == (2, 2)
    assert other["metrics"]["accuracy"]["value"] == 1.0
    # Shares of the votes that the answers got: 3/10, 9/9, 6/10 (of expressions' votes).
    assert expression_of(report)["metrics"]["vote_agreement"]["value"] == pytest.approx(
        (0.3 + 1 + 0.6) / 3
    )

    swapped, _ = evaluate("m", data, tmp_path / "out", rule="ferplus")
    assert (expression_of(swapped)["rule"], expression_of(swapped)["n"]) == ("ferplus", 2)
    assert expression_of(swapped)["metrics"] == other["metrics"]
    assert (
        expression_of(swapped)["other_rules"]["majority"]["metrics"]
        == expression_of(report)["metrics"]
    )


def test_rows_without_a_label_are_left_out_with_a_reason(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    rows = [{"label": "anger"}, {"label": None}, {"label": "fear"}, {"label": None}]
    data = make_dataset(tmp_path / "d", rows)
    models(one_hot(FERPLUS.index("anger"), 0, 0, 0))
    report, _ = evaluate("m", data, tmp_path / "out")
    assert report["n"] == 2
    assert expression_of(report)["left_out"] == {"no label": 2}
    assert expression_of(report)["other_rules"] == {}
    assert expression_of(report)["metrics"]["accuracy"]["value"] == 0.5


def test_color_crops_become_gray_for_a_model_that_reads_gray(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger"}] * 3)
    stored = Dataset.open(data).crops[np.arange(3)]
    oracle = models(one_hot(*[0] * 256), preprocessing=GRAY)
    report, _ = evaluate("m", data, tmp_path / "out")
    [seen] = oracle.seen
    assert (seen == seen[..., :1]).all()
    for crop, color in zip(seen, stored, strict=True):
        luma = np.asarray(Image.fromarray(color).convert("L"), np.int16)
        assert np.abs(crop[..., 0] - luma).max() <= 1
    assert any("converted" in warning for warning in report["warnings"])


@pytest.mark.parametrize(
    ("made", "wanted", "named"),
    [
        (GRAY, RGB, "color 'gray' against 'rgb'"),
        (RGB, Preprocessing(size=32), "size 16 against 32"),
        (RGB, Preprocessing(size=SIZE, margin=0.2, mean=(0, 0, 0)), "margin 0.0 against 0.2;"),
    ],
)
def test_other_crops_are_refused(
    made: Preprocessing,
    wanted: Preprocessing,
    named: str,
    models: Callable[..., Oracle],
    tmp_path: Path,
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger"}], preprocessing=made)
    models(one_hot(0), preprocessing=wanted)
    with pytest.raises(MienError, match=named) as error:
        evaluate("my model.onnx", data, tmp_path / "out")
    assert "--like 'my model.onnx'" in str(error.value)


def test_channel_order_and_normalization_are_the_models_own(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger"}])
    models(one_hot(4), preprocessing=Preprocessing(size=SIZE, color="bgr", mean=(0, 0, 0)))
    report, _ = evaluate("m", data, tmp_path / "out")
    assert expression_of(report)["metrics"]["accuracy"]["value"] == 1.0


def test_rows_keep_their_order_across_chunks_and_splits(
    models: Callable[..., Oracle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mien.evaluation.predictions, "_CHUNK", 3)
    classes = [n % 8 for n in range(10)]
    rows = [
        {"label": FERPLUS.names[k], "split": "test" if n % 4 else "train"}
        for n, k in enumerate(classes)
    ]
    oracle = models(one_hot(*classes[:9], 0))
    report, page = evaluate("m", make_dataset(tmp_path / "d", rows), tmp_path / "out")
    assert [len(crops) for crops in oracle.seen] == [3, 3, 1]
    assert report["n"] == 7
    [mistake] = expression_of(report)["mistakes"]
    assert mistake["id"] == "face-9"
    assert page.read_text().count("data:image/") >= 1


def test_a_reference_split_is_embedded_and_labeled_alike(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    splits = ["train", "test"] * 6
    classes = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    rows = [
        {"label": FERPLUS.names[k] if n != 10 else None, "split": split}
        for n, (k, split) in enumerate(zip(classes, splits, strict=True))
    ]
    # The softmax is always wrong; the embedding turns with the number of the row, and a test row
    # lies nearer to the train row before it.
    oracle = models(one_hot(*[7] * 12))
    oracle.angles = lambda rows: rows / 10 - 0.03 * (rows % 2)
    data = make_dataset(tmp_path / "d", rows)
    report, page = evaluate("m", data, tmp_path / "out", reference="train")
    assert [len(crops) for crops in oracle.seen] == [6, 5], "rows without a label were embedded"
    found = expression_of(report)["reference"]
    assert (found["split"], found["n"]) == ("train", 5)
    nearest = found["classifiers"]["neighbors_1"]
    # All rows before a test row are of its class, but the last one has no label.
    assert nearest["metrics"]["accuracy"]["value"] == pytest.approx(5 / 6)
    assert nearest["differences"]["accuracy"]["value"] == pytest.approx(5 / 6)
    assert "--reference train" in report["provenance"]["command"]
    assert Page(page.read_text("utf-8")).row("Nearest neighbor")[1].startswith("83.3 ")
    without, page = evaluate("m", data, tmp_path / "out")
    assert expression_of(without)["reference"] is None
    with pytest.raises(MienError, match="another split than the one evaluated"):
        evaluate("m", data, tmp_path / "out", reference="test")
    with pytest.raises(MienError, match=r"\(test, train\), got 'valid'"):
        evaluate("m", data, tmp_path / "out", reference="valid")


def test_unknown_rules_and_splits_are_sentences(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger"}])
    models(one_hot(0))
    with pytest.raises(MienError, match="majority, ferplus"):
        evaluate("m", data, tmp_path / "out", rule="distribution")
    with pytest.raises(MienError, match=r"\(test\), got 'valid'"):
        evaluate("m", data, tmp_path / "out", split="valid")


def test_a_run_and_its_model_measure_the_same(
    toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    run, _ = evaluate(toy_run, toy_dataset, tmp_path / "run")
    model, _ = evaluate(toy_model, toy_dataset, tmp_path / "model")
    assert expression_of(run)["confusion"] == expression_of(model)["confusion"]
    for name, metric in expression_of(run)["metrics"].items():
        assert expression_of(model)["metrics"][name]["value"] == pytest.approx(
            metric["value"], abs=1e-4
        ), name
    written = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert written == run
    assert f"--data {toy_dataset}" in run["provenance"]["command"]
    assert "--rule majority" in run["provenance"]["command"]
    assert run["provenance"]["dataset"] == toy_dataset.name


def test_opening_says_what_evaluation_needs(toy_run: Path, toy_model: Path) -> None:
    run, model = open_model(toy_run), open_model(toy_model)
    assert run.info.heads.keys() == model.info.heads.keys() == {"expression"}
    assert run.info.preprocessing == model.info.preprocessing
    assert run.trained_on == model.trained_on and run.trained_on["checksum"]
    assert run.license_terms
    crops = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    first, second = run.predict(crops), model.predict(crops)
    np.testing.assert_allclose(first.embeddings, second.embeddings, atol=1e-4)
    np.testing.assert_allclose(first.heads["expression"], second.heads["expression"], atol=1e-4)


def test_the_default_folder_is_that_of_the_run(
    toy_run: Path, toy_model: Path, toy_dataset: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert evaluate(toy_run, toy_dataset)[1] == toy_run / "report" / "report.html"
    assert evaluate(toy_model, toy_dataset)[1] == Path("report") / "report.html"


@pytest.mark.parametrize("mode", ["stack", "mask"])
@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_a_model_of_partial_images_sees_them_and_fixed_regions_are_told(
    models: Callable[..., Oracle], tmp_path: Path, mode: str, color: str
) -> None:
    mesh = np.random.default_rng(1).uniform(0.1, 0.9, 956).astype(np.float32)
    rows = [{"label": "anger", "landmarks": mesh.tolist()}, {"label": "anger"}]
    # One more without landmarks in a split that is not asked for.
    rows.append({"label": "anger", "split": "train"})
    data = make_dataset(tmp_path / "d", rows)
    recipe = Preprocessing(size=SIZE, color=color, partial_image=mode)
    oracle = models(one_hot(*[0] * 256), preprocessing=recipe)
    report, _ = evaluate("m", data, tmp_path / "out")
    [seen] = oracle.seen
    whole = Dataset.open(data).crops[:2]
    if color == "gray":
        luma = [np.asarray(Image.fromarray(crop).convert("L")) for crop in whole]
        whole = np.repeat(np.stack(luma)[..., None], 3, axis=-1)
    for crop, one, landmarks in zip(seen, whole, (mesh.reshape(-1, 2) * SIZE, None), strict=True):
        expected = compose_partial_image(one, recipe, landmarks)
        off = np.abs(crop.astype(int) - expected)
        assert off.max() <= (0 if color == "rgb" else 2)
    [warning] = [text for text in report["warnings"] if "landmarks" in text]
    assert warning.startswith("1 of 2 faces had no landmarks: their regions are fixed fractions")


def test_a_model_of_whole_crops_needs_no_landmarks(
    models: Callable[..., Oracle], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger"}])
    models(one_hot(4))
    report, _ = evaluate("m", data, tmp_path / "out")
    assert not any("landmarks" in text for text in report["warnings"])


def test_a_report_on_rendered_faces_says_so(models: Callable[..., Oracle], tmp_path: Path) -> None:
    rows = [{"label": "anger"}, {"label": "fear"}]
    classes = [FERPLUS.index("anger"), FERPLUS.index("fear")]
    for corpus in ("rendered", "toy"):
        space = label_space_of(["anger", "fear"])
        data = make_dataset(tmp_path / corpus, rows, space=space, corpus=corpus)
        models(one_hot(*classes))
        report, page = evaluate("m", data, tmp_path / f"{corpus}-out")
        text = Page(page.read_text("utf-8")).text
        assert (WARNING in report["warnings"]) == (WARNING in text) == (corpus == "rendered")
        assert any("no class" in warning for warning in report["warnings"])


@pytest.mark.parametrize(
    ("trained_on", "split", "told"),
    [
        ({"corpus": "ferplus"}, "train", "trained on ferplus: rows of split train may be among"),
        ({"corpus": "ferplus"}, "valid", "may be among those that its epoch was chosen by"),
        ({"corpus": "ferplus", "checksum": "0"}, "train", "another preparation of ferplus"),
        ({"corpus": "fer2013"}, "train", "same pictures"),
        ({}, "train", ""),
        ({"corpus": "jaffe"}, "train", ""),
    ],
)
def test_rows_that_the_model_may_have_seen_are_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trained_on: dict[str, str],
    split: str,
    told: str,
) -> None:
    data = make_dataset(tmp_path / "d", [{"label": "anger", "split": split}], corpus="ferplus")
    model = Oracle(one_hot(4)).model()._replace(trained_on=trained_on)
    info = model.info.model_copy(update={"selected_on": {"split": "valid"}})
    monkeypatch.setattr(mien.evaluation.evaluate, "open_model", lambda _: model._replace(info=info))
    report, _ = evaluate("m", data, tmp_path / "out", split=split)
    notes = [text for text in report["warnings"] if "rained on" in text or "pictures" in text]
    assert bool(notes) == bool(told) and all(told in text for text in notes)


def test_the_shipped_model_says_what_it_was_trained_on(tmp_path: Path) -> None:
    data = Dataset.open(make_dataset(tmp_path / "d", [{"label": "anger"}], corpus="ferplus"))
    overlap = training_overlap(open_model("fer"), data, "train")
    assert overlap.trained_on == "corpus"
    assert "trained on ferplus" in overlap.notes[0]
