"""Batch norm and dropout over ranks are those of the whole batch, on CPUs too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from rank_layers import NORMS, normed
from timm.layers import BatchNormAct2d
from torch import nn

from mien.training.ranks.layers import over_ranks


@pytest.mark.slow
@pytest.mark.parametrize("kind", NORMS)
def test_layers_on_two_ranks_equal_those_on_one(two_ranks: list[dict[str, Any]], kind: str) -> None:
    expected = normed()[kind]
    for of_rank in two_ranks:
        torch.testing.assert_close(of_rank["norms"][kind], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("on_cpu", [True, False])
def test_a_network_keeps_its_weights_activations_and_names(*, on_cpu: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4), nn.Flatten(), nn.BatchNorm1d(64))
    images = torch.randn(5, 3, 6, 6)
    expected, names = network(images), network.state_dict().keys()
    converted = over_ranks(network, on_cpu=on_cpu)
    # Of one process there is nothing to exchange.
    assert (converted(images) - expected).abs().max() < 1e-6
    assert (converted[1](converted[0](images)) >= 0).all()
    assert converted.state_dict().keys() == names
    assert not [m for m in converted.modules() if type(m) in (nn.BatchNorm1d, BatchNormAct2d)]
