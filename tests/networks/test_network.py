from typing import Any

import pytest
import torch

from mien.heads.expression import Calibration, ExpressionInfo
from mien.labels import LabelSpace
from mien.networks.attention import ElementAttention, PixelAttention
from mien.networks.embedding import Embedding
from mien.networks.heads import LinearLayer
from mien.networks.network import Network, create_network
from mien.networks.predictions import PredictionNetwork


def network(*, pixel: bool = False, element: bool = False, **settings: Any) -> Network:
    torch.manual_seed(0)
    return Network(
        torch.nn.Identity(),
        embedding=Embedding(6, size=None),
        heads=torch.nn.ModuleList([LinearLayer("expression", 6, 3)]),
        pixel_attention=PixelAttention(6) if pixel else None,
        element_attention=ElementAttention(6, 6) if element else None,
        **settings,
    ).eval()


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("attended", [True, False])
def test_attention_weighs_the_map_before_it_is_pooled(pooling: str, attended: bool) -> None:
    net = network(pooling=pooling, pixel=True, element=True, attended=attended)
    assert net.pixel_attention is not None and net.element_attention is not None
    torch.nn.init.normal_(net.pixel_attention.score.weight)
    features = torch.randn(4, 6, 5, 3)
    weights = torch.sigmoid(net.pixel_attention.score(features))
    pool = (lambda x: x.mean((2, 3))) if pooling == "average" else (lambda x: x.amax((2, 3)))
    out = net.forward_head(features)
    torch.testing.assert_close(out.embedding, pool(features * weights if attended else features))
    torch.testing.assert_close(out.attention_map, weights[:, 0])
    torch.testing.assert_close(out.attention, net.element_attention(pool(features * weights)))
    assert out.attention is not None and 0 < out.attention.min() <= out.attention.max() < 1
    # The same for a map whose channels are adjacent in memory.
    other = net.forward_head(features.to(memory_format=torch.channels_last))
    torch.testing.assert_close(other.embedding, out.embedding)


def test_attention_starts_even_and_learns_where_to_look() -> None:
    net = network(pixel=True).train()
    features = torch.rand(16, 6, 2, 2)
    labels = torch.arange(16) % 3
    features[torch.arange(16), labels, 0, 0] += 3  # one place tells the class
    features[..., 1, 1] = 5 * torch.rand(16, 6)  # another distracts
    assert (net.forward_head(features).attention_map == 0.5).all()  # type: ignore[union-attr]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            net.forward_head(features).heads["expression"], labels
        )
        loss.backward()
        optimizer.step()
    places = net.forward_head(features).attention_map
    assert places is not None
    assert places[:, 0, 0].mean() > 0.9 > 0.7 > places[:, 1, 1].mean()


def test_slices_have_unit_rows_times_the_root_of_their_width() -> None:
    embedding = Embedding(10, size=12, slices=3).eval()
    rows = embedding(torch.randn(5, 10)).reshape(5, 3, 4)
    torch.testing.assert_close(rows.norm(dim=2), torch.full((5, 3), 2.0))


@pytest.mark.parametrize("embedding", [None, 16, {"size": 8, "hidden_size": 12, "slices": 2}])
def test_every_parameter_gets_a_gradient(embedding: Any) -> None:
    heads = {"expression": {"classes": 5}, "valence_arousal": {}}
    network = create_network("resnet10t", embedding=embedding, heads=heads)
    outputs = network(torch.randn(4, 3, 64, 64))
    width = 512 if embedding is None else embedding if isinstance(embedding, int) else 8
    assert {name: tuple(output.shape) for name, output in outputs.heads.items()} == {
        "expression": (4, 5),
        "valence_arousal": (4, 2),
    }
    assert outputs.embedding.shape == (4, width) == (4, network.embedding.size)
    sum(tensor.square().sum() for tensor in (outputs.embedding, *outputs.heads.values())).backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert not missing


def test_dropout_acts_on_the_heads_and_not_on_the_embedding() -> None:
    net = network(dropout=0.5)
    features = torch.randn(64, 6, 2, 2)
    still = net.forward_head(features)
    torch.manual_seed(0)
    dropped = net.train().forward_head(features)
    assert torch.equal(dropped.embedding, still.embedding)
    assert not torch.equal(dropped.heads["expression"], still.heads["expression"])


SPACE = LabelSpace(name="three", names=("neutral", "happiness", "anger"))


def prediction_network(temperature: float = 2.0, **options: Any) -> PredictionNetwork:
    torch.manual_seed(0)
    net = create_network("resnet10t", heads={"expression": {"classes": 3}}, embedding=8)
    torch.nn.init.normal_(net.heads[0].linear.weight)
    info = ExpressionInfo(label_space=SPACE, calibration=Calibration(temperature=temperature))
    names = ("expression", "embedding")
    return PredictionNetwork(net, {"expression": info}, names, **options).eval()


def test_exported_outputs_are_probabilities_and_unit_rows() -> None:
    model, images = prediction_network(), torch.randn(4, 3, 48, 48)
    with torch.inference_mode():
        probabilities, embedding = model(images)
        logits = model.network(images).heads["expression"]
    torch.testing.assert_close(probabilities.sum(1), torch.ones(4))
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(probabilities, (logits / 2).softmax(1))
    assert not torch.allclose(probabilities, logits.softmax(1), atol=1e-3)


def test_the_mirror_averages_raw_outputs_and_unit_rows() -> None:
    plain, both = prediction_network(), prediction_network(mirror=True)
    images = torch.randn(4, 3, 48, 48)
    with torch.inference_mode():
        one, other = plain.network(images), plain.network(images.flip(3))
        probabilities, embedding = both(images)
        assert all(
            torch.allclose(mine, theirs, atol=1e-5)
            for mine, theirs in zip(both(images.flip(3)), both(images), strict=True)
        )
    logits = (one.heads["expression"] + other.heads["expression"]) / 2
    torch.testing.assert_close(probabilities, (logits / 2).softmax(1))
    rows = [torch.nn.functional.normalize(each.embedding) for each in (one, other)]
    torch.testing.assert_close(embedding, torch.nn.functional.normalize(rows[0] + rows[1]))
