"""Choices around a reader of expressions: class priors, averages of models, pooling.

    python benchmarks/reader_choices.py priors DATA MODEL
    python benchmarks/reader_choices.py average DATA MODEL MODEL
    python benchmarks/reader_choices.py pooling DATA mobilefacenet.safetensors

DATA and MODEL are those of ``benchmarks/reader.py``, whose outputs are read where they are kept.
``priors`` divides the probabilities by the classes' shares in train to some power (logit
adjustment, Menon et al., ICLR 2021) and compares with the model as it is, paired by face.
``average`` takes the mean of logits on FER+ valid, of aligned crops where they are there.
``pooling`` trains a small network on frozen features of 5,000 faces of train, with and without
place weights, and reads 2,000 faces of valid; two seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.evaluation.heads import project_classes
from mien.evaluation.models import open_model
from reader import Array, expression_row, outputs_of

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
DRAWS = 2000


def priors(data: Path, model: str) -> None:
    """Print figures for each power, and the paired gain over the model as it is."""
    info = open_model(model.removesuffix("+mirror")).info
    size, space = info.preprocessing.size, info.heads["expression"].label_space
    shares = _shares(Dataset.open(data / f"ferplus-tight{size}"), len(space))
    for folder, split, rule in (
        (f"ferplus-aligned{size}", "valid", "majority"),
        (f"ferplus-tight{size}", "valid", "majority"),
        (f"ferplus-tight{size}", "valid", "ferplus"),
        (f"diffusionfer{size}", None, "majority"),
    ):
        if not (data / folder).is_dir():
            continue
        dataset = Dataset.open(data / folder)
        rows = np.arange(len(dataset)) if split is None else dataset.split_indices(split)
        targets = make_targets(dataset, rule)["expression"][rows]
        outputs = outputs_of(model, dataset, split, data / "outputs")["expression"]
        labeled, plain = targets >= 0, None
        for power in POWERS:
            adjusted = outputs / shares**power
            adjusted /= adjusted.sum(1, keepdims=True)
            values, _ = project_classes(adjusted, space, dataset.label_space)
            answers = values.argmax(1)[labeled]
            plain = answers if plain is None else plain
            gain = _gain(targets[labeled], plain, answers, len(dataset.label_space))
            print(folder, rule, power, *expression_row(targets, values), gain, sep=" | ")


def _shares(dataset: Dataset, classes: int) -> Array:
    targets = make_targets(dataset, "majority")["expression"][dataset.split_indices("train")]
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    return counts / counts.sum()


def _gain(targets: Array, before: Array, after: Array, classes: int) -> str:
    """The difference of mean class accuracy and of accuracy, in points, with paired intervals."""
    right = np.stack([before == targets, after == targets]).astype(float)
    rows = np.random.default_rng(0).integers(0, len(targets), (DRAWS, len(targets)))

    def differences(picked: Array) -> tuple[float, float]:
        taken = targets[picked]
        by_class = [right[:, picked[taken == code]].mean(1) for code in np.unique(taken)]
        means = np.mean(by_class, 0), right[:, picked].mean(1)
        return tuple(100 * float(one - other) for other, one in means)

    drawn = np.array([differences(each) for each in rows])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    values = differences(np.arange(len(targets)))
    return ", ".join(
        f"{name} {value:+.2f} ({least:+.2f} to {most:+.2f})"
        for name, value, least, most in zip(("class", "all"), values, low, high, strict=True)
    )


def average(data: Path, models: Sequence[str]) -> None:
    """Print the figures of the mean logits of several models on FER+ valid."""
    logs, targets = [], {}
    for model in models:
        size = open_model(model.removesuffix("+mirror")).info.preprocessing.size
        folder = data / f"ferplus-aligned{size}"
        dataset = Dataset.open(folder if folder.is_dir() else data / f"ferplus-tight{size}")
        rows = dataset.split_indices("valid")
        order = np.argsort(dataset.column("id")[rows])
        outputs = outputs_of(model, dataset, "valid", data / "outputs")["expression"]
        logs.append(np.log(np.maximum(outputs[order], 1e-9)))
        for rule in ("majority", "ferplus"):
            targets[rule] = make_targets(dataset, rule)["expression"][rows][order]
    shares = np.exp(np.mean(logs, 0))
    shares /= shares.sum(1, keepdims=True)
    for rule, expected in targets.items():
        print(" and ".join(models), rule, *expression_row(expected, shares), sep=" | ")


def pooling(data: Path, weights: str) -> None:
    """Print the accuracies of two seeds on features with place weights, and without."""
    import torch
    from torch import nn

    from mien.networks.backbones import create_backbone
    from mien.schema import Preprocessing
    from mien.training.batches.faces import network_input
    from mien.training.recipe import load_recipe

    dataset = Dataset.open(data / "ferplus-clean80")
    wanted = load_recipe("reader").preprocessing
    changes = {} if wanted is None else wanted.model_dump(include={"mean", "std"})
    stored = dataset.preprocessing.model_dump()
    dataset = dataset.with_preprocessing(Preprocessing.model_validate(stored | changes))
    targets = make_targets(dataset, "distribution")
    labels, generator = targets["expression"], np.random.default_rng(0)
    rows = {}
    for split, count in (("train", 5000), ("valid", 2000)):
        labeled = np.flatnonzero((dataset.splits == split) & (labels >= 0))
        rows[split] = np.sort(generator.choice(labeled, count, replace=False))
    wanted_votes = torch.tensor(targets["expression_distribution"][rows["train"]])
    expected = torch.tensor(labels[rows["valid"]])
    for places in (False, True):
        arguments = {"places": places}
        backbone = create_backbone(
            "mobilefacenet", weights=weights, arguments=arguments, image_size=80
        ).eval()
        features = {}
        with torch.no_grad():
            for split, picked in rows.items():
                parts = [
                    backbone(network_input(dataset, part, None, seed=0, epoch=0)).mean((2, 3))
                    for part in np.array_split(picked, len(picked) // 100)
                ]
                features[split] = torch.cat(parts)
        mean, deviation = features["train"].mean(0), features["train"].std(0) + 1e-6
        inputs = (features["train"] - mean) / deviation
        accuracies = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            head = nn.Sequential(
                *(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.5)),
                nn.Linear(512, wanted_votes.shape[1]),
            )
            optimizer = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.05)
            for _ in range(15):
                for batch in torch.randperm(len(inputs)).split(100):
                    loss = nn.functional.cross_entropy(head(inputs[batch]), wanted_votes[batch])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            answers = head.eval()((features["valid"] - mean) / deviation).argmax(1)
            accuracies.append(float((answers == expected).float().mean()))
        print("place weights" if places else "average", accuracies, sep=" | ")


def main() -> None:
    """Print the figures of one choice."""
    match sys.argv[1:]:
        case ["priors", data, model]:
            priors(Path(data), model)
        case ["average", data, *models] if models:
            average(Path(data), models)
        case ["pooling", data, weights]:
            pooling(Path(data), weights)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
