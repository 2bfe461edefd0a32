"""Does the graph of Emotion-GCN help on frozen features? Cells and controls, paired, one table.

    cd benchmarks
    python affect.py --diffusionfer diffusionfer-train.parquet --weights faceres.safetensors \
        --out work/ [--rendered DATASET] [--write]

The weights are those of ``benchmarks/start_weights.py``. DiffusionFER's faces are synthetic: they
are cut into five folds by a hash of their names, and every fold is answered by models that were
trained on the others (an eighth of these is the split valid, which chooses nothing: the last epoch
is measured, at the end of the cosine). ``--rendered`` names a dataset of rendered faces, which has
splits of its own. Each (seed, fold, cell) is a line of ``results.jsonl``; the same command goes on
where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affect_cells import CELLS, PEERS, settings_of
from affect_peers import Rows, blendshapes, ridge
from affect_table import write_table
from mien.corpora.splitting import rank
from mien.data.dataset import Dataset
from mien.data.targets import Targets, make_targets
from mien.networks.network import Outputs, create_network
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing
from mien.training.batches.features import cached_features
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import load_run
from mien.training.validation import join_outputs
from results import read_results

FOLDS = 5
SIZE = 112


def fold_of(dataset: Dataset, number: int) -> Dataset:
    """Test is the fold; an eighth of the others is valid."""
    ids = [str(name) for name in dataset.column("id")]
    tested = np.array([rank(0, name) % FOLDS == number for name in ids])
    valid = np.array([rank(1, name) % 8 == 0 for name in ids])
    splits = np.where(tested, "test", np.where(valid, "valid", "train"))
    return dataset.with_splits(splits)


def datasets_of(given: argparse.Namespace) -> dict[str, list[Dataset]]:
    """The folds of each corpus."""
    found = {}
    if given.diffusionfer:
        folder = given.out / "diffusionfer"
        if not folder.is_dir():
            prepare(
                "diffusionfer", given.diffusionfer, folder, preprocessing=Preprocessing(size=SIZE)
            )
        whole = Dataset.open(folder)
        found["DiffusionFER (synthetic)"] = [fold_of(whole, n) for n in range(FOLDS)]
    if given.rendered:
        found["rendered faces"] = [Dataset.open(given.rendered)]
    return found


def run_cells(corpus: str, folds: list[Dataset], given: argparse.Namespace, weights: Path) -> None:
    """Train and measure every (seed, fold, cell) that the results do not have yet."""
    results = given.out / "results.jsonl"
    done = {
        (line["corpus"], line["cell"], line["seed"], line["fold"]) for line in read_results(results)
    }
    for seed in range(given.seeds):
        for number, dataset in enumerate(folds[: given.folds]):
            for cell in CELLS:
                if (corpus, cell, seed, number) in done:
                    continue
                recipe = load_recipe(*settings_of(cell, seed, given.epochs, weights))
                folder = given.out / "runs" / f"{corpus}-{cell}-{seed}-{number}".replace(" ", "-")
                used = time.process_time()
                fit(
                    recipe,
                    dataset,
                    folder,
                    resume=(folder / "recipe.yaml").exists(),
                    threads=1,
                    features=given.out / "features",
                )
                line = measure(folder, recipe, dataset, given.out / "features")
                cost = time.process_time() - used
                add(results, corpus, cell, seed, number, line | {"cpu_seconds": round(cost, 1)})
                shutil.rmtree(folder)


def run_peers(corpus: str, folds: list[Dataset], given: argparse.Namespace, weights: Path) -> None:
    """The peers have no seed: one line a fold."""
    results = given.out / "results.jsonl"
    done = {(line["corpus"], line["cell"], line["fold"]) for line in read_results(results)}
    cache = given.out / f"blendshapes-{corpus.split()[0].lower()}.npy"
    for number, dataset in enumerate(folds[: given.folds]):
        if all((corpus, peer, number) in done for peer in PEERS):
            continue
        targets = make_targets(dataset, "majority")
        # What the networks train on; the penalty is chosen inside it.
        train, test = (
            np.flatnonzero((dataset.splits == split) & labeled(targets))
            for split in ("train", "test")
        )
        shapes = blendshapes(dataset, cache)
        pooled = pooled_features(dataset, {"train": train, "test": test}, given, weights)
        for peer, features in zip(PEERS, (shapes, pooled), strict=True):
            answers, affect = ridge(features, targets, train, test)
            without = int(np.isnan(features[test]).any(1).sum())
            line = answered(targets, test, answers, affect) | {"without_features": without}
            add(results, corpus, peer, 0, number, line)


def pooled_features(
    dataset: Dataset, rows: dict[str, Rows], given: argparse.Namespace, weights: Path
) -> Any:
    """The frozen maps' averages ``(N, 1024)`` of the plain faces; NaN for other rows."""
    recipe = one_view(load_recipe(*settings_of("Emotion-GCN", 0, given.epochs, weights)))
    network = create_network(
        recipe.backbone.name,
        heads={},
        arguments=recipe.backbone.arguments,
        weights=str(weights),
    )
    maps = cached_features(network, dataset, recipe, rows, given.out / "features")
    found: Any = None
    for split, theirs in rows.items():
        values = np.asarray(maps[split][0], np.float64).mean((2, 3))
        found = np.full((len(dataset), values.shape[1]), np.nan) if found is None else found
        found[theirs] = values
    return found


def one_view(recipe: Recipe) -> Recipe:
    """The recipe with the plain faces only."""
    backbone = recipe.backbone.model_copy(update={"augmented_views": 0})
    return recipe.model_copy(update={"backbone": backbone})


@torch.inference_mode()
def measure(folder: Path, recipe: Recipe, dataset: Dataset, features: Path) -> dict[str, Any]:
    """What the network of the last epoch, which the run keeps, says of the split test."""
    network = load_run(folder).model.network
    targets = make_targets(dataset, recipe.rule)
    rows = np.flatnonzero((dataset.splits == "test") & labeled(targets))
    maps = cached_features(network, dataset, one_view(recipe), {"test": rows}, features)["test"][0]
    parts: list[Outputs] = [
        network.forward_head(torch.from_numpy(np.asarray(maps[start : start + 128], np.float32)))
        for start in range(0, len(rows), 128)
    ]
    heads = join_outputs(parts).heads
    affect = heads["valence_arousal"].clamp(-1, 1).numpy() if "valence_arousal" in heads else None
    return answered(targets, rows, heads["expression"].argmax(1).numpy(), affect)


def labeled(targets: Targets) -> Any:
    """The rows with an expression or with valence and arousal."""
    return targets.labeled("expression") | targets.labeled("valence_arousal")


def answered(targets: Any, rows: Rows, answers: Any, affect: Any) -> dict[str, Any]:
    """A line's share: rows, what is true of them, what was answered."""
    truth = targets["valence_arousal"][rows].astype(float)
    return {
        "rows": rows.tolist(),
        "truth": targets["expression"][rows].tolist(),
        "answers": answers.tolist(),
        "affect_truth": np.where(np.isnan(truth), None, truth.round(4)).tolist(),
        "affect": None if affect is None else np.asarray(affect, float).round(4).tolist(),
    }


def add(path: Path, corpus: str, cell: str, seed: int, fold: int, line: dict[str, Any]) -> None:
    """One more line, and a word of it."""
    whole = {"corpus": corpus, "cell": cell, "seed": seed, "fold": fold, **line}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(whole) + "\n")
    right = np.mean(np.array(line["answers"]) == np.array(line["truth"]))
    print(f"{corpus}, {cell}, seed {seed}, fold {fold}: accuracy {right:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--diffusionfer", type=Path)
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--write", action="store_true", help="into benchmarks/affect.md")
    given = parser.parse_args()
    if not (given.diffusionfer or given.rendered):
        parser.error("name a corpus: --diffusionfer, --rendered or both")
    given.out.mkdir(parents=True, exist_ok=True)
    for corpus, folds in datasets_of(given).items():
        run_peers(corpus, folds, given, given.weights)
        run_cells(corpus, folds, given, given.weights)
    text = write_table(read_results(given.out / "results.jsonl"), epochs=given.epochs)
    if given.write:
        Path(__file__).with_name("affect.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
