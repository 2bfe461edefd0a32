"""The emotion graph of a recipe, from its settings to a run that is read back."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_training import read_document, read_metrics

from mien.data.concat import open_datasets
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.labels import LabelSpace
from mien.metrics.regression import valence_arousal_metrics
from mien.networks.graph import emotion_adjacency, emotion_correlation
from mien.training.fit import fit
from mien.training.graph import graph_of
from mien.training.recipe import Recipe, load_recipe
from mien.training.recipe.settings import Graph
from mien.training.run import load_run, predict_inputs

SPACE = LabelSpace(name="three", names=("neutral", "happiness", "anger"))
SMALL = [
    "backbone={name: test_resnet}",
    "embedding={size: 8, pooling: max}",
    "sampler.batch_size=24",
    "schedule.epochs=2",
    "augmentation={rotation: 0, shift: 0, scale: 0, contrast: 0}",
]
CLASSIFIED = ["losses=[{loss: cross-entropy}]"]
GRAPH = [*SMALL, "graph.hidden_size=8"]


def labeled(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, rows)
    affect = np.array([[0, -0.3], [0.8, 0.2], [-0.6, 0.5]])[labels]
    return labels, np.float32(affect + rng.normal(0, 0.1, affect.shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["heads={expression: {}}", "losses=[{loss: cross-entropy}]"],
            "a graph joins the heads expression and valence_arousal, and this recipe has "
            "expression; add the other head or leave graph out",
        ),
        (
            ["graph=null", "heads={expression: {}}"],
            "the loss concordance trains the head valence_arousal, which this recipe does not have",
        ),
        (["losses=[{loss: cross-entropy}]"], "nothing would train the head valence_arousal"),
        (
            ["graph=null", "heads={expression: {}}", *CLASSIFIED, "select=mean_ccc"],
            "expected select to be a metric of the heads (accuracy,",
        ),
        (["losses=[{loss: concordance}]"], "nothing would train the head expression"),
        (
            ["mixup=0.2", "losses=[{loss: cross-entropy}, {loss: concordance}, {loss: triplet}]"],
            "no single label for triplet",
        ),
        (["graph.adjacency=labls"], "labels, identity or a .json file"),
        (["graph.treshold=1"], "did you mean 'threshold'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(changes: list[str], message: str) -> None:
    with pytest.raises(MienError) as caught:
        load_recipe("emotion-gcn", changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_documented_controls_are_recipes() -> None:
    plain = load_recipe("emotion-gcn", ["graph=null"])
    assert plain.graph is None and list(plain.heads) == ["expression", "valence_arousal"]
    alone = ["graph=null", "heads={expression: {bias: false}}"]
    recipe = load_recipe("emotion-gcn", [*alone, "losses=[{loss: cross-entropy, balanced: true}]"])
    assert recipe.embedding.pooling == "max" and list(recipe.heads) == ["expression"]
    edgeless = load_recipe("emotion-gcn", ["graph.adjacency=identity"]).graph
    assert edgeless is not None and edgeless.adjacency == "identity"


def test_the_graph_comes_from_the_labels_a_file_or_nowhere(tmp_path: Path) -> None:
    labels, affect = labeled()
    found = graph_of(Graph(), SPACE, labels, affect)
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
    settings = Graph(adjacency=str(file), threshold=0.3)
    read = graph_of(settings, SPACE, labels, affect)
    np.testing.assert_allclose(read.correlation, expected)
    np.testing.assert_array_equal(read.adjacency, emotion_adjacency(expected, threshold=0.3))
    settings = Graph(adjacency="identity")
    assert graph_of(settings, SPACE, labels, affect).described()["correlation"] is None


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
    settings = Graph(adjacency=str(file))
    with pytest.raises(MienError, match=message):
        graph_of(settings, SPACE, *labeled())


def test_labels_that_give_no_graph_are_a_sentence(toy_dataset: Path, tmp_path: Path) -> None:
    labels, affect = labeled()
    with pytest.raises(MienError, match=r"graph\.adjacency=labels.*at least two rows"):
        graph_of(Graph(), SPACE, labels, np.full_like(affect, np.nan))
    with pytest.raises(MienError, match="valence and arousal for the loss concordance"):
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
    recipe = load_recipe("emotion-gcn", [*GRAPH, f"graph.nodes={words}", "select=mean_ccc"])
    return fit(recipe, Dataset.open(affect_dataset), folder / "run", threads=1), recipe


def test_a_run_keeps_its_graph_and_is_chosen_by_concordance(
    graph_run: tuple[Path, Recipe], affect_dataset: Path
) -> None:
    run, dataset = load_run(graph_run[0]), Dataset.open(affect_dataset)
    targets = make_targets(dataset, "majority").take(dataset.split_indices("train"))
    expected = emotion_correlation(targets["expression"], targets["valence_arousal"], classes=6)
    assert run.graph is not None
    np.testing.assert_allclose(run.graph["correlation"], expected)
    np.testing.assert_allclose(run.graph["adjacency"], emotion_adjacency(expected))
    graph = run.model.network.heads[0].classifiers
    np.testing.assert_allclose(graph.adjacency, emotion_adjacency(expected), atol=1e-7)
    assert graph.nodes.shape == (8, 4) and graph.nodes.abs().sum() > 0
    scores = [line["valid"]["mean_ccc"] for line in read_metrics(graph_run[0])]
    chosen = run.document["selected_on"]
    assert run.document["epoch"] == scores.index(max(scores)) and chosen["mean_ccc"] == max(scores)
    # What was measured in training is what the run says.
    rows = dataset.split_indices("valid")
    values = predict_inputs(run, dataset.crops[rows]).heads["valence_arousal"]
    assert np.abs(values).max() <= 1
    truth = dataset.valence_arousal[rows]
    rated = ~np.isnan(truth[:, 0])
    assert rated.sum() < len(rows)
    again = valence_arousal_metrics(values[rated], truth[rated])
    assert float(again["mean_ccc"]) == pytest.approx(chosen["mean_ccc"], abs=1e-5)


def test_the_report_draws_the_graph(
    graph_run: tuple[Path, Recipe], affect_dataset: Path, tmp_path: Path
) -> None:
    from mien.evaluation.evaluate import evaluate

    report, page = evaluate(graph_run[0], affect_dataset, tmp_path)
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

    shared = _shareable(load_run(graph_run[0]).document["recipe"])
    assert shared["graph"]["nodes"] == "words.txt"


def test_joined_datasets_train_together(
    affect_dataset: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    both = open_datasets([toy_dataset, affect_dataset])
    heard: list[str] = []
    frozen = [
        "backbone={name: test_resnet, frozen: true, augmented_views: 0, license_terms: drawn}"
    ]
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
    document = read_document(tmp_path / "both")
    assert [part["rows"] for part in document["trained_on"]["parts"]] == [180, 180]
    assert document["license_sources"]["data"] == both.license_terms


def test_balanced_batches_have_no_place_for_rows_without_an_expression(
    affect_dataset: Path, tmp_path: Path
) -> None:
    changes = [*SMALL, "sampler={kind: class-balanced, classes: 6, samples: 2}"]
    with pytest.raises(MienError, match="without an expression"):
        fit(load_recipe("multi-task", changes), Dataset.open(affect_dataset), tmp_path / "run")
