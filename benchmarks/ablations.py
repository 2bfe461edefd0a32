"""Which parts of four methods help on real faces: every cell trained, paired by seed, one table.

    cd benchmarks
    python ablations.py prepare --source ferplus/ --weights faceres.safetensors --out work/
    python ablations.py run frozen --out work/
    python ablations.py run small --out work/
    python ablations.py cost --out work/
    python ablations.py table --out work/ --write

``ferplus/`` holds ferplus-train.parquet and ferplus-valid.parquet; the weights are those of
``benchmarks/start_weights.py``. A tenth of the training rows, chosen by a hash of their names, is
held out: the kept epoch is the best one on it, and the settings below were chosen on it with a
seed of their own (``run tune``). ferplus-valid is only ever reported on.

``run`` goes through seeds, then cells, writes a line to ``results.jsonl`` for each, and goes on
where it was: kill it, give it ``--seeds 3`` first and 5 later, or ``--cells`` a few names. All
cells of a part share network, schedule, batches and augmentation; only what the cell names differs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from ablation_cells import PARTS, TUNE, settings_of
from ablation_cost import measure_cost
from ablation_table import write_table
from mien.corpora.splitting import rank
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.metrics import classification_metrics
from mien.metrics.geometry import distance_ratio, effective_rank, spread
from mien.metrics.neighbors import centroid_predictions, neighbor_predictions
from mien.metrics.retrieval import retrieve
from mien.networks.network import Outputs
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing
from mien.training.batches.faces import network_input
from mien.training.batches.features import cached_features
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import Run, load_run
from mien.training.validation import join_outputs
from results import read_results

NEIGHBORS = 15
REFERENCE = 6000
TUNE_SEED = 1000


def make_datasets(source: Path, weights: Path, out: Path) -> None:
    """Hold out a tenth of the training rows, crop all faces, and remember the weights."""
    corpus = out / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(source / "ferplus-train.parquet")
    held_out = np.array([rank(0, name) % 10 == 0 for name in table["name"].to_pylist()])
    pq.write_table(table.filter(~held_out), corpus / "ferplus-train.parquet")
    pq.write_table(table.filter(held_out), corpus / "ferplus-valid.parquet")
    shutil.copyfile(source / "ferplus-valid.parquet", corpus / "ferplus-test.parquet")
    shutil.copyfile(weights, out / "weights.safetensors")
    for size in sorted({part.size for part in PARTS.values()}):
        folder, crops = out / f"faces-{size}", Preprocessing(size=size, color="gray")
        if folder.exists():
            continue
        made = prepare("ferplus", corpus, folder, preprocessing=crops, landmarks=True)
        print(f"{len(made.dataset)} faces of {size} pixels", flush=True)


def run_part(part: str, out: Path, *, seeds: list[int], cells: list[str], results: Path) -> None:
    """Train and measure every (seed, cell) that ``results`` does not have yet."""
    done = {(line["cell"], line["seed"]) for line in read_results(results) if line["part"] == part}
    for seed in seeds:
        for cell in cells:
            if (cell, seed) in done:
                continue
            recipe = load_recipe(*settings_of(part, cell, seed, out))
            dataset = Dataset.open(out / f"faces-{PARTS[part].size}")
            folder = out / "runs" / part / f"{cell}-{seed}"
            started, used = time.monotonic(), time.process_time()
            fit(
                recipe,
                dataset,
                folder,
                resume=(folder / "recipe.yaml").exists(),
                threads=1,
                features=out / "features" if recipe.backbone.frozen else None,
            )
            cost = time.process_time() - used
            line = {
                "part": part,
                "cell": cell,
                "seed": seed,
                "cpu_seconds": round(cost, 1),
                "seconds": round(time.monotonic() - started, 1),
                **measure(load_run(folder), recipe, dataset, out / "features", folder),
            }
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            shutil.rmtree(folder / "checkpoints")
            print(
                f"{part} {cell} seed {seed}: valid {line['valid_accuracy']:.4f} "
                f"test {line['accuracy']:.4f} in {cost:.0f} s",
                flush=True,
            )


@torch.inference_mode()
def outputs_of(
    run: Run, recipe: Recipe, dataset: Dataset, rows: dict[str, Any], features: Path
) -> dict[str, Outputs]:
    """What the network gives for each split's rows, by the cache where the backbone is frozen."""
    network = run.model.network
    found = {}
    if recipe.backbone.frozen:
        recipe = recipe.model_copy(
            update={"backbone": recipe.backbone.model_copy(update={"augmented_views": 0})}
        )
        maps = cached_features(network, dataset, recipe, rows, features)
    for split, theirs in rows.items():
        parts = []
        for start in range(0, len(theirs), 128):
            some = slice(start, start + 128)
            if recipe.backbone.frozen:
                stored = np.asarray(maps[split][0][some], np.float32)
                parts.append(network.forward_head(torch.from_numpy(stored)))
            else:
                parts.append(network(network_input(dataset, theirs[some], None, seed=0, epoch=0)))
        found[split] = join_outputs(parts)
    return found


def measure(
    run: Run, recipe: Recipe, dataset: Dataset, features: Path, folder: Path
) -> dict[str, Any]:
    """Every figure of the table for one run, and its answers in the run's folder."""
    dataset = dataset.with_preprocessing(run.info.preprocessing)
    rules = {rule: make_targets(dataset, rule)["expression"] for rule in ("majority", "ferplus")}
    rows = {
        split: np.flatnonzero((dataset.splits == split) & (rules["majority"] >= 0))
        for split in ("train", "test")
    }
    # Enough to read the embedding by, at a quarter of the time.
    rows["train"] = rows["train"][:: max(1, len(rows["train"]) // REFERENCE)]
    seen = outputs_of(run, recipe, dataset, rows, features)
    truth = rules["majority"][rows["test"]]
    logits = seen["test"].heads["expression"]
    answers = logits.argmax(1).numpy()
    strict = rules["ferplus"][rows["test"]]
    known, asked = (seen[split].embedding.numpy() for split in ("train", "test"))
    labels = rules["majority"][rows["train"]]
    neighbors = neighbor_predictions(known, labels, asked, k=NEIGHBORS)
    centroids = centroid_predictions(known, labels, asked)
    probabilities = logits.double().softmax(1).numpy()
    values = classification_metrics(truth, probabilities)
    np.savez_compressed(
        folder / "answers.npz", rows=rows["test"], truth=truth, strict=strict, answers=answers
    )
    return {
        "accuracy": values["accuracy"],
        "ferplus_accuracy": float((answers == strict)[strict >= 0].mean()),
        "mean_class_accuracy": values["mean_class_accuracy"],
        "macro_f1": values["macro_f1"],
        "precision_at_1": float(retrieve(asked, truth).precision_at_1.mean()),
        "neighbor_accuracy": float((neighbors == truth).mean()),
        "centroid_accuracy": float((centroids == truth).mean()),
        "distance_ratio": distance_ratio(asked, truth),
        "spread": spread(asked),
        "effective_rank": effective_rank(asked),
        "valid_accuracy": run.document["selected_on"]["accuracy"],
        "epoch": run.document["epoch"],
        "faces": len(truth),
        "right": np.packbits(answers == truth).tobytes().hex(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare")
    first.add_argument("--source", type=Path, required=True)
    first.add_argument("--weights", type=Path, required=True)
    second = commands.add_parser("run")
    second.add_argument("part", choices=[*PARTS, "tune"])
    second.add_argument("--seeds", type=int)
    second.add_argument("--cells", nargs="+")
    third = commands.add_parser("table")
    third.add_argument("--write", action="store_true", help="into benchmarks/ablations.md")
    fourth = commands.add_parser("cost")
    for command in (first, second, third, fourth):
        command.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "prepare":
        make_datasets(given.source, given.weights, given.out)
    elif given.command == "table":
        text = write_table(
            read_results(given.out / "results.jsonl"), read_results(given.out / "cost.jsonl")
        )
        if given.write:
            Path(__file__).with_name("ablations.md").write_text(text, encoding="utf-8")
        print(text)
    elif given.command == "cost":
        lines = measure_cost(given.out / f"faces-{PARTS['frozen'].size}")
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (given.out / "cost.jsonl").write_text(text, encoding="utf-8")
    elif given.part == "tune":
        run_part(
            "frozen",
            given.out,
            seeds=[TUNE_SEED],
            cells=given.cells or list(TUNE),
            results=given.out / "tune.jsonl",
        )
    else:
        part = PARTS[given.part]
        run_part(
            given.part,
            given.out,
            seeds=list(range(given.seeds or part.seeds)),
            cells=given.cells or list(part.cells),
            results=given.out / "results.jsonl",
        )


if __name__ == "__main__":
    main()
