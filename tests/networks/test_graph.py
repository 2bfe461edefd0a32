import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.stats import spearmanr

from mien.errors import MienError
from mien.networks.graph import (
    NORMALIZATIONS,
    EmotionGraph,
    emotion_adjacency,
    emotion_correlation,
    word_vectors,
)
from mien.networks.heads import GraphLayer, LinearLayer

NEUTRAL, HAPPY, SAD, SURPRISE, FEAR, DISGUST, ANGER, VALENCE, AROUSAL = range(9)


def published() -> np.ndarray:
    """The released correlation on AffectNet; expression pairs, which have no edge, made up."""
    rho = np.full((9, 9), -0.2)
    rho[VALENCE] = rho[:, VALENCE] = [
        -0.335, 0.861, -0.453, -0.028, -0.122, -0.176, -0.384, 1, 0.037
    ]  # fmt: skip
    rho[AROUSAL] = rho[:, AROUSAL] = [-0.284, 0.015, -0.434, 0.338, 0.236, 0.144, 0.414, 0.037, 1]
    np.fill_diagonal(rho, 1)
    return rho


def affect(rows: int = 200, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, rows)
    return labels, np.round(rng.normal(0, 0.3, (rows, 2)) + 0.1 * labels[:, None], 1)


def test_the_published_correlation_gives_the_exact_adjacency() -> None:
    expected = np.zeros((9, 9))
    for node in (NEUTRAL, SAD, FEAR, DISGUST, ANGER):
        expected[node, [VALENCE, AROUSAL]] = 0.25
    expected[HAPPY, VALENCE] = expected[SURPRISE, AROUSAL] = 0.5
    expected[VALENCE, [NEUTRAL, HAPPY, SAD, FEAR, DISGUST, ANGER]] = 1 / 12
    expected[AROUSAL, [NEUTRAL, SAD, SURPRISE, FEAR, DISGUST, ANGER]] = 1 / 12
    expected += 0.5 * np.eye(9)
    np.testing.assert_allclose(expected.sum(1), 1)

    released = emotion_adjacency(published())
    np.testing.assert_allclose(released, expected.T, rtol=1e-15)
    assert released[VALENCE, NEUTRAL] == 0.25 and released[NEUTRAL, VALENCE] == 1 / 12
    assert released[VALENCE, AROUSAL] == released[AROUSAL, VALENCE] == 0
    assert not (released[:7, :7] - np.diag(np.diag(released[:7, :7]))).any()


def test_symmetric_and_identity() -> None:
    symmetric = emotion_adjacency(published(), normalization="symmetric")
    np.testing.assert_array_equal(symmetric, symmetric.T)
    # Neutral has itself and two neighbors, valence itself and six.
    np.testing.assert_allclose(symmetric[NEUTRAL, VALENCE], 1 / np.sqrt(3 * 7))
    np.testing.assert_allclose(np.linalg.eigvalsh(symmetric).max(), 1)
    np.testing.assert_array_equal(
        emotion_adjacency(published(), normalization="identity"), np.eye(9)
    )


def test_threshold_and_weight() -> None:
    low = emotion_adjacency(published(), threshold=0.03, weight=0.8)
    assert low[VALENCE, AROUSAL] == pytest.approx(0.8 / 7)  # arousal: all but happy, and valence
    assert np.diag(low) == pytest.approx(0.2)
    np.testing.assert_allclose(low.sum(0), 1)


def test_correlation_is_scipys_spearman_of_the_columns() -> None:
    labels, values = affect()
    expected = spearmanr(np.hstack([np.eye(4)[labels], values])).statistic
    np.testing.assert_allclose(emotion_correlation(labels, values), expected, atol=1e-12)
    shuffled = np.random.default_rng(1).permutation(200)
    np.testing.assert_allclose(
        emotion_correlation(labels[shuffled], values[shuffled]), expected, atol=1e-12
    )


def test_rows_that_lack_something_are_not_used() -> None:
    labels, values = affect()
    more = np.vstack([values, [[0.9, 0.9]], [[np.nan, 0.9]], [[0.9, np.nan]]])
    np.testing.assert_array_equal(
        emotion_correlation([*labels, -1, 0, 1], more), emotion_correlation(labels, values)
    )


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_what_never_changes_has_no_edge(normalization: str) -> None:
    labels, values = affect()
    correlation = emotion_correlation(labels, values * [0, 1], classes=6)
    assert np.isfinite(correlation).all()
    np.testing.assert_array_equal(correlation[4:7], np.eye(8)[4:7])
    adjacency = emotion_adjacency(correlation, normalization=normalization)
    np.testing.assert_array_equal(adjacency[4:7], np.eye(8)[4:7])
    nothing = emotion_correlation([0, 0, 0], np.full((3, 2), 0.3))
    np.testing.assert_array_equal(nothing, np.eye(3))
    np.testing.assert_array_equal(emotion_adjacency(nothing), np.eye(3))


def test_bad_labels_and_values_are_refused() -> None:
    labels, values = affect()
    with pytest.raises(ValueError, match=r"integer labels \(N,\), got float64"):
        emotion_correlation(labels.astype(float), values)
    with pytest.raises(ValueError, match=r"shape \(200, 2\), got \(200,\)"):
        emotion_correlation(labels, values[:, 0])
    with pytest.raises(ValueError, match=r"in \[-1, 3\), got 0 to 3"):
        emotion_correlation(labels, values, classes=3)
    with pytest.raises(ValueError, match=r"at least two rows .* got 0 of 200"):
        emotion_correlation(labels, values * np.nan)
    with pytest.raises(ValueError, match="got 0 of 0"):
        emotion_correlation(np.zeros(0, int), np.zeros((0, 2)))


@pytest.mark.parametrize(
    ("correlation", "options", "message"),
    [
        (np.eye(2), {}, r"\(C\+2, C\+2\), got shape \(2, 2\)"),
        (np.full((9, 9), np.nan), {}, "finite, symmetric"),
        (np.triu(np.ones((9, 9))), {}, "finite, symmetric"),
        (np.eye(9), {"threshold": 0.0}, "threshold in"),
        (np.eye(9), {"weight": 1.0}, "weight in"),
        (np.eye(9), {"normalization": "row"}, "released, symmetric, identity"),
    ],
)
def test_a_bad_adjacency_is_refused(correlation, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        emotion_adjacency(correlation, **options)


def test_the_graph_is_the_equation() -> None:
    adjacency, nodes = emotion_adjacency(published()), np.random.default_rng(0).normal(size=(9, 5))
    graph = EmotionGraph(adjacency, 16, nodes=nodes, hidden_size=12)
    first, second = (w.detach().double().numpy() for w in (graph.first, graph.second))
    assert first.shape == (5, 12) and second.shape == (12, 16)
    assert np.abs(first).max() <= 1 / np.sqrt(12) and np.abs(second).max() <= 1 / np.sqrt(16)
    assert np.abs(second).max() > 0.9 / np.sqrt(16)
    between = adjacency @ nodes @ first
    between = np.where(between > 0, between, 0.2 * between)
    np.testing.assert_allclose(
        graph().detach().numpy(), adjacency @ between @ second, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("nodes", "learned"), [("one-hot", 2), ("learned", 3), (np.ones((9, 4)), 2)]
)
def test_all_but_the_graph_and_given_nodes_learns(nodes, learned: int) -> None:
    head = GraphLayer(emotion_adjacency(published()), 16, nodes=nodes, node_size=7, hidden_size=12)
    outputs = head(torch.randn(3, 16))
    logits, valence_arousal = outputs["expression"], outputs["valence_arousal"]
    assert logits.shape == (3, 7) and valence_arousal.shape == (3, 2)
    (logits.square().sum() + valence_arousal.square().sum()).backward()
    parameters = list(head.parameters())
    assert len(parameters) == learned
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)
    assert "classifiers.adjacency" in head.state_dict()


def test_valence_gets_its_classifier_along_the_edges() -> None:
    head = GraphLayer(emotion_adjacency(published()), 16, hidden_size=12)
    # Two layers reach the neighbors of neighbors: all but surprise, which only arousal joins.
    alone = GraphLayer(np.eye(9), 16, hidden_size=12)
    for made, reached in ((head, 8), (alone, 1)):
        nodes = made.classifiers.nodes.requires_grad_()
        made.classifiers()[VALENCE].sum().backward()
        assert int((nodes.grad.abs().sum(1) > 0).sum()) == reached


def test_a_layer_s_outputs_are_the_graph_s_rows_in_their_order() -> None:
    layer = GraphLayer(emotion_adjacency(published()), 16, hidden_size=12)
    features = torch.randn(3, 16)
    outputs = layer(features)
    assert list(outputs) == ["expression", "valence_arousal"]
    scores = features @ layer.classifiers().T
    for node in range(AROUSAL + 1):
        column = (
            outputs["expression"][:, node]
            if node <= ANGER
            else outputs["valence_arousal"][:, node - VALENCE]
        )
        torch.testing.assert_close(column, scores[:, node])


def test_the_controls_have_the_same_interface() -> None:
    for name, width in (("expression", 7), ("valence_arousal", 2)):
        plain = LinearLayer(name, 16, width, bias=False)
        assert plain(torch.randn(3, 16))[name].shape == (3, width)
        assert [key for key, _ in plain.named_parameters()] == ["linear.weight"]
        assert LinearLayer(name, 16, width).linear.bias is not None


def test_bad_graphs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"adjacency \(C\+2, C\+2\), got shape \(9, 8\)"):
        EmotionGraph(np.zeros((9, 8)), 4)
    with pytest.raises(ValueError, match=r"\(9, F\), got shape \(7, 3\)"):
        EmotionGraph(np.eye(9), 4, nodes=np.zeros((7, 3)))
    with pytest.raises(ValueError, match="one-hot, learned or a matrix, got 'glove'"):
        EmotionGraph(np.eye(9), 4, nodes="glove")


class Joined(torch.nn.Module):
    """The two layers that stand where there is no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.expression = LinearLayer("expression", 16, 7, bias=False)
        self.valence_arousal = LinearLayer("valence_arousal", 16, 2, bias=False)

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.expression(features) | self.valence_arousal(features)


@pytest.mark.parametrize("control", [False, True])
def test_a_head_goes_to_onnx_with_the_same_numbers(control: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = Joined() if control else GraphLayer(emotion_adjacency(published()), 16)
    features = torch.randn(5, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            head.eval(),
            (features[:2],),
            tmp_path / "head.onnx",
            dynamo=True,
            input_names=["features"],
            output_names=["logits", "valence_arousal"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    session = onnxruntime.InferenceSession(tmp_path / "head.onnx")
    got = session.run(["logits", "valence_arousal"], {"features": features.numpy()})
    for mine, theirs in zip(got, head(features).values(), strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=1e-6)


def test_word_vectors(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("the 1 2\nhappy 0.5 -1\nValence 3 4\nneutral 7 8\nhappy 9 9\n. . . 0.1\n")
    vectors = word_vectors(path, ["neutral", "Happy", "Valence"])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[7, 8], [0.5, -1], [3, 4]])
    assert EmotionGraph(np.eye(3), 4, nodes=vectors)().shape == (3, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("happy 1 2\n", "got none of sad, Arousal: use words"),
        ("happy 1 2\nsad 1 x\narousal 1 2\n", "line 2 of .*'x'"),
        ("happy 1 2\nsad 1\narousal 1 2\n", "one length in .*, got 1 and 2"),
        ("happy 1 2\nsad 1 nan\narousal 1 2\n", "finite numbers"),
        (None, "text file of word vectors at .*No such file"),
    ],
)
def test_bad_word_vectors_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MienError, match=message):
        word_vectors(path, ["happy", "sad", "Arousal"])
