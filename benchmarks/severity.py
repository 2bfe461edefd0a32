"""Do label distributions and label-aware metric learning help? Severity of rendered videos.

    cd benchmarks
    python severity.py --out work/ [--write]

Renders 300 videos of 150 people who do not exist (8 seconds, ten frames a second), each person on
two days, and compares the losses of DJ-LDML on them: every loss trains the same recurrent network
on the same frozen features of the shipped model, five seeds, and five folds by person, so that
every video is answered by models that never saw its person. Of each fold's other people a quarter
is the split valid, which chooses nothing: the last epoch is measured. ``--tune`` tries numbers of
epochs on the split valid of the first fold, with a seed of its own; so the default was found. Each
(seed, fold, cell) is a line of ``results.jsonl``; the same command goes on where it was.
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
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mien.data.clips import Videos, even_clips, videos_of
from mien.data.dataset import Dataset
from mien.heads.severity import SeverityInfo
from mien.metrics.aggregation import pool_clips
from mien.models import read_info
from mien.networks.heads import head_predictions
from mien.networks.network import create_network
from mien.scales import SCALES
from mien.statistics.recordings import Recordings
from mien.synthetic.corpus import write_videos
from mien.training.batches.features import cached_frames
from mien.training.fit import fit
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import Run, load_run
from mien.training.validation import join_outputs
from results import read_results
from severity_cells import CELLS, CONSTANT, LDL, PEER, settings_of
from severity_table import write_table

FOLDS = 5
ALPHAS = np.logspace(0, 5, 11)


def fold_of(dataset: Dataset, number: int) -> Dataset:
    """A fifth of the people is test, the next fifth valid."""
    people = np.unique([str(name) for name in dataset.column("subject")], return_inverse=True)[1]
    splits = np.full(len(dataset), "train", object)
    splits[people % FOLDS == number] = "test"
    splits[people % FOLDS == (number + 1) % FOLDS] = "valid"
    return dataset.with_splits(splits)


def videos(given: argparse.Namespace) -> Dataset:
    """The rendered videos, rendered where they are not there yet."""
    folder = given.videos or given.out / "videos"
    if folder.is_dir():
        return Dataset.open(folder)
    preprocessing = read_info("fer").preprocessing
    return write_videos(folder, videos=300, seconds=8, seed=0, preprocessing=preprocessing)


def features_of(dataset: Dataset, folder: Path) -> Any:
    """The frozen backbone's rows of all frames as they are, ``(N, C)``; trainings find them."""
    recipe = load_recipe(*settings_of(LDL, 0, 1))
    infos = {"severity": SeverityInfo(scale=dataset.scale or SCALES["rendered"])}
    network = create_network(
        **recipe.architecture(infos, dataset.preprocessing.size), weights=recipe.backbone.weights
    )
    return cached_frames(network, dataset, recipe, folder, on_view=told)[0]


def told(split: str, number: int, count: int) -> None:
    print(f"features: view {number} of {count}", flush=True)


def run_cells(folds: list[Dataset], features: Any, given: argparse.Namespace) -> None:
    """Train and measure every (seed, fold, cell) that the results do not have yet."""
    path = given.out / "results.jsonl"
    done = {(line["cell"], line["seed"], line["fold"]) for line in read_results(path)}
    for seed in range(given.seeds):
        for number, dataset in enumerate(folds[: given.folds]):
            for cell in CELLS:
                if (cell, seed, number) in done:
                    continue
                used = time.process_time()
                recipe = load_recipe(*settings_of(cell, seed, given.epochs))
                found = trained(recipe, dataset, features, given.out / "runs", "test")
                cost = time.process_time() - used
                add(path, cell, seed, number, found, cpu_seconds=round(cost, 1))


def trained(recipe: Recipe, dataset: Dataset, features: Any, runs: Path, split: str) -> Recordings:
    """What the network of the last epoch, which the run keeps, says of a split."""
    folder = runs / "run"
    shutil.rmtree(folder, ignore_errors=True)
    fit(recipe, dataset, folder, threads=1, features=runs.parent / "features")
    run = load_run(folder)
    shutil.rmtree(folder)
    return predicted(run, recipe, dataset, features, split)


@torch.inference_mode()
def predicted(run: Run, recipe: Recipe, dataset: Dataset, features: Any, split: str) -> Recordings:
    """As :func:`mien.evaluation.models.predict_recordings`, from the frames' frozen features."""
    if recipe.clips is None:
        raise SystemExit("expected a recipe of clips")
    found = videos_of(dataset, split)
    rows, owners = even_clips(found, recipe.clips)
    outputs = join_outputs(
        [
            run.model.network.forward_head(torch.from_numpy(features[clips]).float())
            for clips in np.array_split(rows, max(1, len(rows) // 16))
        ]
    )
    severity = head_predictions(outputs.heads, run.info.heads)["severity"].double().numpy()
    embeddings = torch.nn.functional.normalize(outputs.embedding.double(), dim=1).numpy()
    how = recipe.temporal.aggregate
    return Recordings(
        ids=found.names,
        subjects=found.subjects,
        scores=found.scores.astype(float),
        predictions=pool_clips(severity, owners, len(found), how),
        embeddings=pool_clips(embeddings, owners, len(found), "mean"),
    )


def run_peers(folds: list[Dataset], features: Any, given: argparse.Namespace) -> None:
    """The training mean, and ridge regression on each recording's means and deviations."""
    path = given.out / "results.jsonl"
    done = {(line["cell"], line["fold"]) for line in read_results(path)}
    for number, dataset in enumerate(folds[: given.folds]):
        if (PEER, number) in done:
            continue
        known, asked = (videos_of(dataset, split) for split in ("train", "test"))
        mean = np.full(len(asked), float(known.scores.mean()))
        add(path, CONSTANT, 0, number, recordings(asked, mean))
        model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
        model.fit(statistics(known, features), known.scores)
        said = np.clip(model.predict(statistics(asked, features)), 0, 63)
        add(path, PEER, 0, number, recordings(asked, said))


def statistics(found: Videos, features: Any) -> Any:
    """Mean, deviation and mean absolute step of each recording's rows, ``(V, 3 C)``."""
    rows = []
    for start, count in zip(found.starts, found.counts, strict=True):
        own = np.asarray(features[start : start + count], np.float64)
        rows.append(np.r_[own.mean(0), own.std(0), np.abs(np.diff(own, axis=0)).mean(0)])
    return np.stack(rows)


def recordings(found: Videos, said: Any) -> Recordings:
    return Recordings(
        ids=found.names,
        subjects=found.subjects,
        scores=found.scores.astype(float),
        predictions=said,
    )


def add(path: Path, cell: str, seed: int, fold: int, found: Recordings, **more: Any) -> None:
    """One more line, and a word of it."""
    embeddings = found.embeddings
    line = {
        "cell": cell,
        "seed": seed,
        "fold": fold,
        "videos": found.ids.tolist(),
        "subjects": found.subjects.tolist(),
        "scores": found.scores.tolist(),
        "predictions": np.round(np.asarray(found.predictions), 3).tolist(),
        "embeddings": None if embeddings is None else np.round(embeddings, 3).tolist(),
        **more,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    error = np.abs(np.asarray(found.predictions) - found.scores).mean()
    print(f"{cell}, seed {seed}, fold {fold}: MAE {error:.2f}", flush=True)


def tune(fold: Dataset, features: Any, given: argparse.Namespace) -> None:
    """Errors on the split valid for some numbers of epochs, with a seed that no cell has."""
    for epochs in (5, 8, 12, 20):
        for cell in CELLS:
            recipe = load_recipe(*settings_of(cell, 1000, epochs))
            found = trained(recipe, fold, features, given.out / "runs", "valid")
            error = np.abs(np.asarray(found.predictions) - found.scores).mean()
            print(f"{epochs} epochs, {cell}: MAE on valid {error:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--videos", type=Path, help="a dataset of rendered videos (OUT/videos)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--tune", action="store_true", help="try numbers of epochs, and end")
    parser.add_argument("--write", action="store_true", help="into benchmarks/severity.md")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    whole = videos(given)
    features = features_of(whole, given.out / "features")
    folds = [fold_of(whole, number) for number in range(FOLDS)]
    if given.tune:
        tune(folds[0], features, given)
        return
    run_peers(folds, features, given)
    run_cells(folds, features, given)
    text = write_table(read_results(given.out / "results.jsonl"), epochs=given.epochs)
    if given.write:
        Path(__file__).with_name("severity.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
