"""The layers of each head, and what they give when the network is exported."""

from typing import Any

import pytest
import torch

from mien.heads import HEADS
from mien.heads.expression import Calibration, ExpressionInfo
from mien.heads.severity import SeverityInfo
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.labels import LabelSpace
from mien.networks.heads import LAYERS, LinearLayer, SeverityLayer, head_predictions
from mien.scales import Scale

SPACE = LabelSpace(name="three", names=("neutral", "happiness", "anger"))
SCALE = Scale(name="of 24", top=24, bands=(("all", 0),))
EMBEDDINGS = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


def severity(**changes: Any) -> SeverityLayer:
    torch.manual_seed(0)
    return SeverityLayer(6, **{"top": 24, "kind": "levels", "temperature": 1.0} | changes)


def test_every_head_has_its_layers_in_the_same_order() -> None:
    assert list(LAYERS) == list(HEADS)


@pytest.mark.parametrize("width", [2, 7])
def test_a_linear_layer_starts_near_uniform(width: int) -> None:
    layer = LinearLayer("expression", 512, width)
    assert layer.linear.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not layer.linear.bias.any()
    assert list(layer(torch.zeros(2, 512))) == ["expression"]


def test_valence_is_the_first_output_and_arousal_the_second() -> None:
    layer = LAYERS["valence_arousal"].create(6)
    assert layer(EMBEDDINGS)["valence_arousal"].shape == (5, 2)
    with torch.no_grad():
        layer.linear.weight.zero_()
        layer.linear.bias.copy_(torch.tensor([0.25, -0.5]))
    raw = layer(EMBEDDINGS)
    found = head_predictions(raw, {"valence_arousal": ValenceArousalInfo()})["valence_arousal"]
    assert found.tolist() == [[0.25, -0.5]] * 5
    wide = {"valence_arousal": torch.tensor([[3.0, -2.0], [-1.5, 0.5]])}
    cut = head_predictions(wide, {"valence_arousal": ValenceArousalInfo()})["valence_arousal"]
    assert cut.tolist() == [[1, -1], [-1, 0.5]]
    read = HEADS["valence_arousal"].read(
        ValenceArousalInfo(), {"valence_arousal": found.detach().numpy()}, 0
    )
    assert read == {"valence": 0.25, "arousal": -0.5}


def test_probabilities_are_those_of_the_calibrated_logits() -> None:
    logits = torch.tensor([[2.0, 0, -1]])
    info = ExpressionInfo(label_space=SPACE, calibration=Calibration(temperature=4.0))
    found = head_predictions({"expression": logits}, {"expression": info})["expression"]
    torch.testing.assert_close(found, torch.tensor([[0.5, 0, -0.25]]).softmax(1))


def test_the_severity_is_the_expectation_of_the_levels() -> None:
    layer = severity(temperature=2.0)
    seen = layer(EMBEDDINGS)
    logits = layer.linear(EMBEDDINGS) / 2
    torch.testing.assert_close(seen["severity_levels"], logits)
    torch.testing.assert_close(seen["severity"], logits.softmax(1) @ torch.arange(25.0))
    sharper = severity(temperature=1.0)
    sharper.load_state_dict(layer.state_dict())
    torch.testing.assert_close(sharper(EMBEDDINGS)["severity_levels"], 2 * logits)


def test_a_score_is_in_points_and_starts_at_the_middle() -> None:
    layer = severity(kind="score")
    seen = layer(torch.zeros(1, 6))
    assert set(seen) == {"severity"} and seen["severity"].item() == 12
    with torch.no_grad():
        share = layer.linear(EMBEDDINGS)[:, 0]
        torch.testing.assert_close(layer(EMBEDDINGS)["severity"], 24 * share)


@pytest.mark.parametrize("levels", [True, False])
def test_an_exported_severity_lies_within_the_scale(levels: bool) -> None:
    raw = {"severity": torch.tensor([-3.0, 5.0, 30.0])}
    if levels:
        raw["severity_levels"] = torch.randn(3, 25)
    found = head_predictions(raw, {"severity": SeverityInfo(scale=SCALE, levels=levels)})
    assert found["severity"].tolist() == [0, 5, 24]
    assert ("severity_levels" in found) == levels
    if levels:
        torch.testing.assert_close(found["severity_levels"].sum(1), torch.ones(3))
