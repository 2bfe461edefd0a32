"""The head of a recipe, from its settings to a run that is read back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.concat import open_datasets
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.labels import LabelSpace
from mien.networks.graph import emotion_adjacency, emotion_correlation
from mien.networks.network import build_network
from mien.schema import MienError
from mien.training.fit import fit
from mien.training.head import Head, graph_of
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_run, predict_crops

from .test_fit import read_metrics

SPACE = LabelSpace(name="three", names=("neutral", "happiness", "anger"))
SMALL = [
    "backbone={name: test_resnet}",
    "embedding={size: 8, pooling: max}",
    "sampler.batch_size=24",
    "schedule.epochs=2",
    "augmentation={rotation: 0, shift: 0, scale: 0, contrast: 0}",
]
GRAPH = [*SMALL, "head.hidden=8"]


def labeled(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, rows)
    affect = np.array([[0, -0.3], [0.8, 0.2], [-0.6, 0.5]])[labels]
    return labels, np.float32(affect + rng.normal(0, 0.1, affect.shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["head.valence_arousal=false"], "head.valence_arousal to true or head.kind to linear"),
        (["head={kind: linear}"], "concordance needs valence and arousal"),
        (["losses=[{loss: cross-entropy}]"], "nothing would train head.valence_arousal"),
        (
            ["head={kind: linear}", "losses=[{loss: cross-entropy}]", "select=mean_ccc"],
            "select=mean_ccc needs valence and arousal",
        ),
        (["losses=[{loss: concordance}]"], "without a cross-entropy term"),
        (["mixup=0.2"], "no single label for concordance"),
        (["head.adjacency=labls"], "labels, identity or a .json file"),
        (["head.treshold=1"], "did you mean 'threshold'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(changes: list[str], message: str) -> None:
    with pytest.raises(MienError) as caught:
        load_recipe("emotion-gcn", changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_documented_controls_are_recipes() -> None:
    assert load_recipe("emotion-gcn", ["head.kind=linear"]).head.valence_arousal
    alone = ["head.kind=linear", "head.valence_arousal=false"]
    recipe = load_recipe("emotion-gcn", [*alone, "losses=[{loss: cross-entropy, balanced: true}]"])
    assert recipe.embedding.pooling == "max"
    assert load_recipe("emotion-gcn", ["head.adjacency=identity"]).head.kind == "graph"


def test_a_recipe_without_a_head_makes_the_network_it_always_made() -> None:
    recipe = load_recipe("softmax", SMALL)
    torch.manual_seed(0)
    network = build_network(recipe.architecture(5))
    old = {key: value for key, value in recipe.architecture(5).items() if key != "head"}
    torch.manual_seed(0)
    before = build_network(old)
    assert set(network.state_dict()) == set(before.state_dict())
    assert {"classifier.weight", "classifier.bias"} <= set(network.state_dict())
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_the_graph_comes_from_the_labels_a_file_or_nowhere(tmp_path: Path) -> None:
    labels, affect = labeled()
    found = graph_of(Head(kind="graph", valence_arousal=True), SPACE, labels, affect)
    expected = emotion_correlation(labels, affect, classes=3)
    np.testing.assert_array_equal(found.correlation, expected)
    np.testing.assert_array_equal(found.adjacency, emotion_adjacency(expected))
    assert found.nodes == (*SPACE.names, "valence", "arousal")
    file = tmp_path / "rho.json"
    order = [4, 2, 1, 0, 3]  # another order, other spellings, and a node too many
    nodes = ["Arousal", "angry", "happy", "neutral", "valence", "fear"]
    matrix = np.eye(6)
    matrix[:5, :5] = expected[np.ix_(order, order)]
    file.write_text(json.dumps({"nodes": nodes, "correlation": matrix.tolist()}))
    head = Head(kind="graph", valence_arousal=True, adjacency=str(file), threshold=0.3)
    read = graph_of(head, SPACE, labels, affect)
    np.testing.assert_allclose(read.correlation, expected)
    np.testing.assert_array_equal(read.adjacency, emotion_adjacency(expected, threshold=0.3))
    head = Head(kind="graph", valence_arousal=True, adjacency="identity")
    assert graph_of(head, SPACE, labels, affect).described()["correlation"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ('{"nodes": ["neutral"], "correlation": [[1, 2]]}', "shape"),
        ('{"nodes": ["a", "b"], "correlation": [[1, 0], [0.5, 1]]}', "symmetric"),
        ('{"nodes": ["a", "b"], "correlation": [[1, 0], [0, 1]]}', "got none of neutral"),
    ],
)
def test_a_bad_file_is_a_sentence(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "rho.json"
    file.write_text(text)
    head = Head(kind="graph", valence_arousal=True, adjacency=str(file))
    with pytest.raises(MienError, match=message):
        graph_of(head, SPACE, *labeled())


def test_labels_that_give_no_graph_are_a_sentence(toy_dataset: Path, tmp_path: Path) -> None:
    labels, affect = labeled()
    with pytest.raises(MienError, match=r"head\.adjacency=labels.*at least two rows"):
        graph_of(
            Head(kind="graph", valence_arousal=True), SPACE, labels, np.full_like(affect, np.nan)
        )
    with pytest.raises(MienError, match="valence and arousal for the term concordance"):
        fit(load_recipe("multi-task", SMALL), Dataset.open(toy_dataset), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def graph_run(
    affect_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recipe]:
    folder = tmp_path_factory.mktemp("graph")
    words = folder / "words.txt"
    rng = np.random.default_rng(0)
    names = (*Dataset.open(affect_dataset).label_space.names, "valence", "arousal")
    words.write_text(
        "".join(f"{name} {' '.join(map(str, rng.normal(size=4)))}\n" for name in names)
    )
    recipe = load_recipe("emotion-gcn", [*GRAPH, f"head.nodes={words}", "select=mean_ccc"])
    return fit(recipe, Dataset.open(affect_dataset), folder / "run", threads=1), recipe


def test_a_run_keeps_its_graph_and_is_chosen_by_concordance(
    graph_run: tuple[Path, Recipe], affect_dataset: Path
) -> None:
    run, dataset = load_run(graph_run[0]), Dataset.open(affect_dataset)
    targets = make_targets(dataset, "majority").of(dataset.split_indices("train"))
    expected = emotion_correlation(targets.labels, targets.valence_arousal, classes=6)
    assert run.graph is not None
    np.testing.assert_allclose(run.graph["correlation"], expected)
    np.testing.assert_allclose(run.graph["adjacency"], emotion_adjacency(expected))
    graph = run.model.network.classifier.classifiers
    np.testing.assert_allclose(graph.adjacency, emotion_adjacency(expected), atol=1e-7)
    assert graph.nodes.shape == (8, 4) and graph.nodes.abs().sum() > 0
    scores = [line["valid"]["mean_ccc"] for line in read_metrics(graph_run[0])]
    chosen = run.info["selected_on"]
    assert run.info["epoch"] == scores.index(max(scores)) and chosen["mean_ccc"] == max(scores)
    # What was measured in training is what the run says.
    rows = dataset.split_indices("valid")
    readings = predict_crops(run, dataset.crops[rows])
    assert np.abs(readings.valence_arousal).max() <= 1
    from mien.metrics.regression import affect_metrics

    truth = dataset.valence_arousal[rows]
    rated = ~np.isnan(truth[:, 0])
    assert rated.sum() < len(rows)
    again = affect_metrics(readings.valence_arousal[rated], truth[rated])
    assert float(again["mean", "ccc"]) == pytest.approx(chosen["mean_ccc"], abs=1e-5)


def test_the_report_draws_the_graph(
    graph_run: tuple[Path, Recipe], affect_dataset: Path, tmp_path: Path
) -> None:
    from mien.evaluation.evaluate import evaluate_model

    report, page = evaluate_model(graph_run[0], affect_dataset, tmp_path)
    text = page.read_text("utf-8")
    assert report["graph"]["nodes"][-2:] == ["valence", "arousal"]
    drawn = text[text.index('<svg class="graph"') :]
    drawn = drawn[: drawn.index("</svg>")]
    assert all(f">{name}<" in drawn for name in report["graph"]["nodes"])
    adjacency = np.array(report["graph"]["adjacency"])
    off = adjacency[np.triu_indices(8, 1)] != 0
    # Each edge has a number at both ends.
    assert drawn.count("<text") == 8 + 2 * off.sum()


def test_a_file_of_the_recipe_is_not_told_in_full(graph_run: tuple[Path, Recipe]) -> None:
    from mien.training.export import _shareable

    shared = _shareable(load_run(graph_run[0]).info["recipe"])
    assert shared["head"]["nodes"] == "words.txt"


def test_joined_datasets_train_together(
    affect_dataset: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    both = open_datasets([toy_dataset, affect_dataset])
    heard: list[str] = []
    frozen = ["backbone={name: test_resnet, frozen: true, views: 1, license_terms: drawn}"]
    weights = fit(
        load_recipe("softmax", [*SMALL, "schedule.epochs=1"]), both, tmp_path / "start", threads=1
    )
    frozen.append(f"backbone.weights={weights / 'model.safetensors'}")
    recipe = load_recipe("multi-task", [*SMALL, *frozen])
    for name, data in (("both", both), ("one", Dataset.open(affect_dataset))):
        fit(
            recipe,
            data,
            tmp_path / name,
            threads=1,
            features=tmp_path / "maps",
            on_features=lambda split, *_: heard.append(split),
        )
    assert heard == ["train", "valid"] * 2  # nothing of the one was taken for the other
    info = load_run(tmp_path / "both").info
    assert [part["rows"] for part in info["dataset"]["parts"]] == [180, 180]
    assert info["license_terms"]["data"] == both.license_terms


def test_balanced_batches_have_no_place_for_rows_without_an_expression(
    affect_dataset: Path, tmp_path: Path
) -> None:
    changes = [*SMALL, "sampler={kind: class-balanced, classes: 6, samples: 2}"]
    with pytest.raises(MienError, match="without an expression"):
        fit(load_recipe("multi-task", changes), Dataset.open(affect_dataset), tmp_path / "run")
