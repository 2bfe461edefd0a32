import pytest
import torch

from mien.networks.network import Embedding, Network, build_network


def network(**settings: object) -> Network:
    torch.manual_seed(0)
    return Network(
        torch.nn.Identity(), channels=6, classes=3, embedding=Embedding(6, size=None), **settings
    ).eval()


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("attended", [True, False])
def test_attention_weighs_the_map_before_it_is_pooled(pooling: str, attended: bool) -> None:
    net = network(pooling=pooling, pixel_attention=True, element_attention=True, attended=attended)
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
    net = network(pixel_attention=True).train()
    features = torch.rand(16, 6, 2, 2)
    labels = torch.arange(16) % 3
    features[torch.arange(16), labels, 0, 0] += 3  # one place tells the class
    features[..., 1, 1] = 5 * torch.rand(16, 6)  # another distracts
    assert (net.forward_head(features).attention_map == 0.5).all()  # type: ignore[union-attr]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net.forward_head(features).logits, labels)
        loss.backward()
        optimizer.step()
    places = net.forward_head(features).attention_map
    assert places is not None
    assert places[:, 0, 0].mean() > 0.9 > 0.7 > places[:, 1, 1].mean()


def test_slices_have_unit_rows_times_the_root_of_their_width() -> None:
    embedding = Embedding(10, size=12, slices=3).eval()
    rows = embedding(torch.randn(5, 10)).reshape(5, 3, 4)
    torch.testing.assert_close(rows.norm(dim=2), torch.full((5, 3), 2.0))


def test_an_architecture_of_the_first_version_still_builds() -> None:
    old = {"backbone": "test_resnet", "arguments": {}, "embedding": 16, "dropout": 0.1}
    net = build_network({**old, "classes": 5})
    assert "embedding.0.weight" in net.state_dict() and net.embedding.size == 16
    assert net(torch.zeros(2, 3, 32, 32)).logits.shape == (2, 5)
