"""What a step of each recipe costs against softmax: same backbone, same faces, paired rounds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.recipes import list_recipes
from mien.schema import Preprocessing
from mien.training.memory import keep_freed_memory
from mien.training.module import TrainingModule
from mien.training.recipe import load_recipe
from mien.training.setup import set_up

BATCH, BACKBONE = 64, "mobilenetv1_100"
# Mixup and averaging, no loss to compare; heads for labels that these faces do not have.
LEFT_OUT = ("fer", "reader", "emotion-gcn", "multi-task", "action-units")


class Steps:
    """Steps of one recipe on batches of 64 faces: read, augment, compose, forward, backward."""

    def __init__(self, name: str, dataset: Dataset) -> None:
        recipe = load_recipe(name, [f"backbone={{name: {BACKBONE}}}"])
        wanted = Preprocessing.model_validate(
            dataset.preprocessing.model_dump()
            | {"partial_image": recipe.preprocessing_for(dataset.preprocessing).partial_image}
        )
        dataset = dataset.with_preprocessing(wanted)
        setup = set_up(recipe, dataset, dataset.folder / "features")
        self.module = TrainingModule(
            setup.network, recipe, setup.context, steps_per_epoch=1
        ).train()
        self.optimizer = self.module.configure_optimizers()["optimizer"]
        self.crops = setup.loaders.train.dataset
        labels = make_targets(dataset, recipe.rule)["expression"]
        # Eight rows of each class, as balanced batches have them; all recipes get the same.
        self.rows = np.concatenate([np.flatnonzero(labels == c)[:8] for c in range(8)])

    def seconds(self) -> float:
        """Processor seconds of one step."""
        started = time.process_time()
        batch = self.crops[0, self.rows]
        self.optimizer.zero_grad()
        self.module.training_step(batch, 0).backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 5.0)
        self.optimizer.step()
        self.module.on_train_batch_end(None, batch, 0)
        return time.process_time() - started


def measure_cost(data: Path, *, rounds: int = 12) -> list[dict[str, Any]]:
    """Each recipe's step time over softmax's in the same round: median and quartiles."""
    torch.set_num_threads(1)
    keep_freed_memory()
    dataset = Dataset.open(data)
    steps = {
        name: Steps(name, dataset)
        for name in ("softmax", *list_recipes())
        if name not in LEFT_OUT and load_recipe(name).clips is None
    }
    for one in steps.values():
        one.seconds()  # the first step allocates
    times = {name: list[float]() for name in steps}
    for number in range(rounds):
        # Every other round backwards, so that a drift of the machine hits all alike.
        for name in list(steps)[:: 1 if number % 2 == 0 else -1]:
            times[name].append(steps[name].seconds())
    found = []
    for name in steps:
        ratio = np.array(times[name]) / np.array(times["softmax"])
        low, median, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        found.append(
            {
                "recipe": name,
                "ratio": float(median),
                "low": float(low),
                "high": float(high),
                "milliseconds": 1000 * float(np.median(times[name])),
            }
        )
        print(f"{name}: {median:.3f} ({low:.3f} to {high:.3f})", flush=True)
    return found
