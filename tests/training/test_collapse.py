import json
from pathlib import Path

import pytest
import torch
from small_training import SMALL, read_metrics

from mien.cli.train import train
from mien.losses import active_triplets
from mien.training.collapse import diagnosis

HEALTHY = {"spread": 1.2, "effective_rank": 9.0, "relative": {"triplet": 0.6}, "active": {}}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (HEALTHY, []),
        (HEALTHY | {"relative": {"triplet": 1.0}, "active": {"triplet": 1.0}}, []),
        (HEALTHY | {"spread": 0.3, "relative": {"triplet": 1.06}}, []),
        (
            HEALTHY | {"spread": 0.3, "relative": {"triplet": 1.06}, "active": {"triplet": 1.0}},
            ["only being contracted", "0.30 apart", "triplet stands at its trivial value"],
        ),
        (HEALTHY | {"spread": 0.01}, ["0.010 apart", "dual: true"]),
        (HEALTHY | {"effective_rank": 1.1}, ["effective rank of 1.10"]),
        (
            HEALTHY | {"spread": 0.0, "relative": {"triplet": 1.001, "cross-entropy": 1.0}},
            ["triplet stands at its trivial value"],
        ),
    ],
)
def test_a_collapse_is_one_sentence_and_health_is_none(
    values: dict[str, object], texts: list[str]
) -> None:
    sentence = diagnosis(values)
    assert bool(sentence) == bool(texts)
    assert all(text in sentence for text in texts)
    assert "cross-entropy" not in sentence


@pytest.mark.slow
def test_a_training_that_collapses_says_so_and_one_that_learns_does_not(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing but the center loss, which is least where all rows are one: the classifier's share
    # is too small to hold them apart.
    changes = [*SMALL, "schedule.epochs=8", "averaging=0", "losses.0.weight=1e-6"]
    changes += ["losses.1.weight=10", "optimizer.lr=0.05", "seed=1"]
    fallen = tmp_path / "fallen"
    train("center", [toy_dataset], fallen, changes, resume=False, threads=1)
    warned = [line for line in read_metrics(fallen) if "warning" in line]
    assert warned and "collapsed" in str(warned[0]["warning"])
    printed = capsys.readouterr().err
    assert "mien: epoch" in printed and "the embedding has collapsed" in printed
    json.loads((fallen / "model.json").read_text())
    assert not [line for line in read_metrics(toy_run) if "warning" in line]


def test_active_triplets_counts_hinges_above_zero() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    together, apart = torch.ones(4, 2), torch.eye(2).repeat_interleave(2, 0)
    for mining in ("hard", "all"):
        share = {"thresholds": [0.5], "mining": mining}
        assert active_triplets(together, labels, **share) == 1.0
        assert active_triplets(apart, labels, **share) == 0.0
        # Distances are 0 and 2: a threshold above 2 keeps every triplet alive.
        assert active_triplets(apart, labels, **share | {"thresholds": [2.1]}) == 1.0
    halves = torch.cat([together, apart], 1)
    assert active_triplets(halves, labels, thresholds=[0.5, 0.5]) == 0.5
    assert active_triplets(together, torch.arange(4), thresholds=[0.5]) == 0.0
    assert active_triplets(together, labels * 0, thresholds=[0.5], mining="all") == 0.0


@pytest.mark.parametrize("dual", [False, True])
def test_active_triplets_agree_with_a_loop_over_anchors(dual: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 4
    spread = torch.linspace(0.1, 0.6, 40)[:, None]
    rows = torch.eye(4)[labels] + spread * torch.randn(40, 4, generator=generator)
    rows = torch.nn.functional.normalize(rows, dim=1)
    distances = torch.cdist(rows, rows).square()
    active = []
    for anchor in range(40):
        positives = [i for i in range(40) if labels[i] == labels[anchor] and i != anchor]
        negatives = [i for i in range(40) if labels[i] != labels[anchor]]
        positive = max(positives, key=lambda i: float(distances[anchor, i]))
        negative = min(negatives, key=lambda i: float(distances[anchor, i]))
        for judge in (anchor, positive)[: 2 if dual else 1]:
            gap = distances[anchor, positive] + 0.1 - distances[judge, negative]
            active.append(float(gap) > 0)
    expected = sum(active) / len(active)
    assert 0 < expected < 1
    assert active_triplets(rows, labels, thresholds=[0.1], dual=dual) == pytest.approx(expected)
