"""How well expression search searches: the graph, the embedding, and requests for action units.

    mien index DATASET --split train --out index
    python benchmarks/search.py recall DATASET index
    python benchmarks/search.py same DATASET index
    python benchmarks/search.py precision DATASET --out runs [--weights fer] [--rows N]
    python benchmarks/search.py units RENDERED

``recall``: of the ten faces of the index that are nearest to each of 1,000 faces of the split valid
by comparing with all, the share that the graph gives; and what halving the numbers changes.
``same``: how often faces of the index whose embeddings have at least some cosine show one picture,
by their pixels. ``precision``: short trainings that differ in their recipe only, on a frozen
backbone; of the ten faces of the split train nearest to each labeled face of valid, the share with
its label, by class. ``units``: what ``mien search --units`` gives for rendered faces that are
written as photos, held against what was rendered (``mien synth RENDERED --size 224 --margin 0.5``).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.audit.duplicates import gray_picture
from mien.data.dataset import Dataset
from mien.data.reading import crop_reader
from mien.data.targets import make_targets
from mien.faces.action_units import PRESENT
from mien.inference.model import OnnxModel, open_onnx
from mien.labels import ACTION_UNIT_PRESENT, ACTION_UNITS
from mien.preparation.write import write_dataset
from mien.schema import FloatArray
from mien.search.build import build_index
from mien.search.index import FaceIndex, open_index
from mien.search.query import with_units
from mien.search.units import UnitRequest, parse_units
from mien.statistics.bootstrap import bootstrap_intervals

TOP, QUERIES, SEED = 10, 1000, 0
RECIPES = ("softmax", "triplet-center", "multi-threshold")
REQUESTS = (
    "AU12 without AU4",
    "AU12 without AU26",
    "AU12 and AU6",
    "AU1 and AU2",
    "AU1 and AU2 without AU4",
    "AU26 without AU12",
    "AU26 and AU1",
    "AU25 without AU26",
    "AU4 without AU12",
    "AU15 without AU12",
)
"""Named before anything was measured; no two of them ask for the same faces."""

Rows = NDArray[np.int64]


def embed(model: OnnxModel, dataset: Dataset, rows: Rows) -> FloatArray:
    """Unit embeddings ``(n, D)`` of rows in single precision."""
    crops_of, _ = crop_reader(model.info.preprocessing, dataset, rows, model.info.name)
    parts = [
        model.predict(crops_of(rows[i : i + 256])).embeddings for i in range(0, len(rows), 256)
    ]
    return np.concatenate(parts)


def stored(index: FaceIndex) -> FloatArray:
    """The embeddings of an index as it holds them, made unit rows in single precision."""
    rows = np.asarray(index._embeddings.get(np.arange(len(index))), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def exact(rows: FloatArray, asked: FloatArray, top: int) -> Rows:
    """The rows with the greatest products, ``(Q, top)``, by comparing with all."""
    best = [np.argsort(-(each @ rows.T), axis=1)[:, :top] for each in np.array_split(asked, 20)]
    return np.concatenate(best).astype(np.int64)


def overlap(one: Rows, other: Rows) -> float:
    """The mean share of each row of ``other`` that is in that of ``one``."""
    return float(np.mean([np.isin(b, a).mean() for a, b in zip(one, other, strict=True)]))


def recall(folder: Path, index_folder: Path, queries: int) -> None:
    dataset, index = Dataset.open(folder), open_index(index_folder)
    rows = np.sort(
        np.random.default_rng(SEED).choice(dataset.split_indices("valid"), queries, replace=False)
    )
    asked = embed(index.open_model(), dataset, rows)
    halves = stored(index)
    started = time.perf_counter()
    got = index.nearest(asked, TOP)[0]
    by_graph = time.perf_counter() - started
    started = time.perf_counter()
    truly = exact(halves, asked, TOP)
    by_all = time.perf_counter() - started
    print(
        f"{len(index):,} faces, {index.info.model.width} numbers each; {queries:,} queries of "
        f"valid: recall@{TOP} {overlap(got, truly):.4f}; time by the graph over that of comparing "
        f"with all: {by_graph / by_all:.3f}"
    )
    picked = np.random.default_rng(SEED).choice(len(index), 2 * queries, replace=False)
    places = index.faces["row"].to_numpy()[picked]
    singles = embed(index.open_model(), dataset, places)
    agreement = overlap(exact(halves[picked], asked, TOP), exact(singles, asked, TOP))
    worst = np.abs(asked @ singles.T - asked @ halves[picked].T).max()
    print(
        f"half precision, {2 * queries:,} faces: cosines differ by at most {worst:.5f}, and "
        f"{agreement:.4f} of the ten nearest are the same"
    )


def same(folder: Path, index_folder: Path) -> None:
    dataset, index = Dataset.open(folder), open_index(index_folder)
    halves, numbers = stored(index), index.faces["row"].to_numpy()
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, len(halves), 512):
        cosines = halves[start : start + 512] @ halves.T
        for row, other in zip(*np.nonzero(cosines >= 0.995), strict=True):
            first, second = start + int(row), int(other)
            if first < second:
                pairs[first, second] = float(cosines[row, other])
    print("cosine of at least | pairs | one picture, by the pixels | share")
    for least in (0.995, 0.999, 0.9995, 0.9999, 0.99999):
        these = [pair for pair, cosine in pairs.items() if cosine >= least]
        alike = sum(_one_picture(dataset, *numbers[list(pair)]) for pair in these[:2000])
        looked_at = min(len(these), 2000)
        share = f"{alike / looked_at:.3f}" if looked_at else "none"
        print(f"{least} | {len(these):,} | {alike:,} of {looked_at:,} | {share}")


def _one_picture(dataset: Dataset, first: int, second: int) -> bool:
    """Whether the pixels of two crops correlate by 0.95 or more, as they are or mirrored."""
    one, other = (
        gray_picture(dataset.crops[int(row)], 32).astype(np.float64) for row in (first, second)
    )
    return any(
        np.corrcoef(one.ravel(), each.ravel())[0, 1] >= 0.95 for each in (other, other[:, ::-1])
    )


def precision(folder: Path, out: Path, weights: str, rows: int | None, epochs: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if rows is not None:
        folder = _smaller(Dataset.open(folder), out / f"dataset-{rows}", rows)
    dataset = Dataset.open(folder)
    labels = make_targets(dataset, "majority")["expression"]
    names = dataset.label_space.names
    train, valid = (_labeled(dataset, labels, split) for split in ("train", "valid"))
    shares = {}
    for recipe in RECIPES:
        model = _trained(folder, out, recipe, weights, epochs)
        known, asked = embed(model, dataset, train), embed(model, dataset, valid)
        hits = labels[train][exact(known, asked, TOP)] == labels[valid][:, None]
        shares[recipe] = hits.mean(axis=1)
    print(
        f"{len(valid):,} queries of valid, {len(train):,} labeled faces of train, {epochs} epochs, "
        f"backbone of {weights}, frozen; precision@{TOP} with 95 % intervals over faces"
    )
    print("class | queries | " + " | ".join(RECIPES))
    for number, name in enumerate(names):
        mine = labels[valid] == number
        if mine.any():
            print(
                f"{name} | {mine.sum():,} | "
                + " | ".join(_interval(shares[r][mine]) for r in RECIPES)
            )
    print("all | " + f"{len(valid):,} | " + " | ".join(_interval(shares[r]) for r in RECIPES))
    for recipe in RECIPES[1:]:
        print(f"{recipe} less softmax, paired: {_interval(shares[recipe] - shares['softmax'])}")


def _labeled(dataset: Dataset, labels: Rows, split: str) -> Rows:
    rows = dataset.split_indices(split)
    return rows[labels[rows] >= 0]


def _smaller(dataset: Dataset, out: Path, rows: int) -> Path:
    """A copy of a dataset with so many rows of train, and all of valid; made unless it is there."""
    if not out.exists():
        train, valid = dataset.split_indices("train"), dataset.split_indices("valid")
        picked = np.random.default_rng(SEED).choice(train, min(rows, len(train)), replace=False)
        taken = np.sort(np.concatenate([picked, valid]))
        write_dataset(
            out,
            [(dataset.faces.take(taken), dataset.crops[taken])],
            rows=len(taken),
            label_space=dataset.label_space,
            preprocessing=dataset.preprocessing,
            corpus=str(dataset.info["corpus"]),
            license_terms=dataset.license_terms,
            vote_names=dataset.vote_names,
        )
    return out


def _trained(data: Path, out: Path, recipe: str, weights: str, epochs: int) -> OnnxModel:
    """The exported model of a short training, made unless it is there."""
    path = out / f"{recipe}.onnx"
    if not path.is_file():
        settings = [
            *("embedding.size=128", f"schedule.epochs={epochs}", f"seed={SEED}"),
            *(f"backbone.weights={weights}", "backbone.frozen=true", "preprocessing.color=gray"),
            # Faces as they are, so that the features are computed once.
            "backbone.augmented_views=0",
        ]
        changes = [part for each in settings for part in ("--set", each)]
        run = [recipe, "--data", str(data), "--out", str(out / recipe), "--threads", "1"]
        for command in (
            ["train", *run, *changes, *(["--resume"] if (out / recipe).exists() else [])],
            ["export", str(out / recipe), "--out", str(path)],
        ):
            subprocess.run([sys.executable, "-m", "mien", *command], check=True)
    return open_onnx(path, threads=1)


def _interval(values: FloatArray) -> str:
    [interval] = bootstrap_intervals(
        lambda weights: {"mean": weights @ values / weights.sum(axis=1)}, len(values)
    ).values()
    if interval.low is None or interval.high is None:
        return f"{100 * values.mean():.1f}"
    return f"{100 * values.mean():.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def units(folder: Path) -> None:
    dataset = Dataset.open(folder)
    targets = dataset.action_units.copy()
    # One jaw drops for both.
    jaw = ACTION_UNITS.index("AU26")
    targets[:, jaw] = np.maximum(targets[:, jaw], dataset.column("au27"))
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        photos.mkdir()
        for row in range(len(dataset)):
            Image.fromarray(dataset.crops[row]).save(photos / f"{row:06d}.png")
        index = build_index([photos], Path(place) / "index")
        print(f"{len(dataset):,} rendered faces, of which {len(index):,} are in the index")
        print(
            f"request | given | fit, rendered at {PRESENT:g} | right | fit, rendered at "
            f"{ACTION_UNIT_PRESENT:g} | right"
        )
        right = dict.fromkeys((PRESENT, ACTION_UNIT_PRESENT), 0)
        given = 0
        for text in REQUESTS:
            request = parse_units(text)
            answer = with_units(index, request, top=TOP)
            rows = [int(Path(index.row(m.number)["source"]).stem) for m in answer.matches]
            given += len(rows)
            cells = []
            for threshold in right:
                fits = _fits(targets, request, threshold)
                right[threshold] += int(fits[rows].sum())
                cells += [f"{100 * fits.mean():.1f} %", f"{fits[rows].sum()} of {len(rows)}"]
            print(" | ".join([text, str(len(rows)), *cells]))
    for threshold, count in right.items():
        share = 100 * count / max(1, given)
        print(f"rendered at {threshold:g}: {count} of {given} right ({share:.1f} %)")


def _fits(targets: FloatArray, request: UnitRequest, threshold: float) -> NDArray[np.bool_]:
    """The rows in which all wanted units were rendered as present, and the others were not."""
    present = targets >= threshold
    columns = {name: present[:, number] for number, name in enumerate(ACTION_UNITS)}
    fits = np.ones(len(targets), np.bool_)
    for name in request.present:
        fits &= columns[name]
    for name in request.absent:
        fits &= ~columns[name]
    return fits


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("recall", "same", "precision", "units"):
        command = commands.add_parser(name)
        command.add_argument("dataset", type=Path)
        if name in ("recall", "same"):
            command.add_argument("index", type=Path)
        if name == "recall":
            command.add_argument("--queries", type=int, default=QUERIES)
        if name == "precision":
            command.add_argument("--out", type=Path, required=True)
            command.add_argument("--weights", default="fer")
            command.add_argument("--rows", type=int, help="of train (default: all)")
            command.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args(arguments)
    print(f"numpy {np.__version__}, {os.cpu_count()} processors, seed {SEED}")
    if given.command == "precision":
        precision(given.dataset, given.out, given.weights, given.rows, given.epochs)
    elif given.command == "units":
        units(given.dataset)
    elif given.command == "recall":
        recall(given.dataset, given.index, given.queries)
    else:
        same(given.dataset, given.index)


if __name__ == "__main__":
    main()
