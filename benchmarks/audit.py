"""What `mien audit` and the tests of groups can do.

    python benchmarks/audit.py swaps data/ferplus    # each two classes swapped in turn
    python benchmarks/audit.py sheets data/ferplus   # pictures of 50 random pairs that are near
    python benchmarks/audit.py recall data/ferplus   # what the searches miss, against all pairs
    python benchmarks/audit.py memory data/ferplus   # fer on faces that train has too, and others
    python benchmarks/audit.py growth                # time and memory of 30,000 and 300,000 crops
    python benchmarks/audit.py groups                # permutation tests of gaps, simulated

The dataset is FER+, prepared. Several names in front of it are run in turn, which searches once.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from functools import cache
from itertools import combinations

import cv2
import numpy as np

from mien.audit.duplicates import confirmed_pairs, equal_groups, gray_picture, prints_of
from mien.audit.embedded import LEAST_INNER_CORRELATION, Embeddings, recropped_pairs
from mien.audit.hashing import near_pairs
from mien.audit.labels import mixed_up_classes
from mien.audit.near import KINDS, NearDuplicates, near_duplicates
from mien.audit.predictions import open_expression_model, predict_expressions
from mien.audit.rows import Rows, open_rows
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.schema import UInt8Array
from mien.statistics.bootstrap import bootstrap_intervals
from mien.statistics.gaps import gap_test


def _chunks(dataset: Dataset) -> Iterator[UInt8Array]:
    for start in range(0, len(dataset), 512):
        yield dataset.crops[start : start + 512]


@cache
def _searched(folder: str) -> tuple[Rows, NearDuplicates, np.ndarray]:
    """The rows, what the audit with fer calls near duplicates, and fer's probabilities."""
    rows = open_rows([folder])
    dataset, embeddings = rows.datasets[0], Embeddings()
    says = predict_expressions(open_expression_model("fer"), dataset, "fer", embeddings)
    embedded = (np.arange(len(dataset)), embeddings.rows())
    return rows, near_duplicates(rows, prints_of(_chunks(dataset)), embedded), says.probabilities


def sheets(folder: str) -> None:
    """near.png and recropped.png: 50 random pairs each, to be looked at."""
    rows, near, _ = _searched(folder)
    for name, kinds in (("near", (0, 1)), ("recropped", (2,))):
        numbers = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(near.kinds, kinds)))
        tiles = []
        for place, number in enumerate(numbers[:50]):
            tile = np.hstack([rows.crop(int(row)) for row in near.pairs[number]])
            tile = cv2.copyMakeBorder(tile, 16, 4, 0, 6, cv2.BORDER_CONSTANT)
            text = f"{place}: {near.correlations[number]:.3f} {KINDS[near.kinds[number]]}"
            white = (255, 255, 255)
            tiles.append(cv2.putText(tile, text, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, white))
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 7)
        lines = [np.hstack(tiles[start : start + 7]) for start in range(0, len(tiles), 7)]
        cv2.imwrite(f"{name}.png", np.vstack(lines)[..., ::-1])
        print(f"{name}.png: {min(50, len(numbers))} of {len(numbers):,} pairs")


def recall(folder: str, sample: int = 1000) -> None:
    """What is listed of all pairs of ``sample`` rows with any other that pixels call alike."""
    rows, near, _ = _searched(folder)
    dataset = rows.datasets[0]
    pictures = np.concatenate(
        [np.stack([gray_picture(crop, 24) for crop in part]) for part in _chunks(dataset)]
    )
    flat = pictures[:, 3:-3, 3:-3].reshape(len(dataset), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    prints = prints_of(_chunks(dataset))
    picked = np.random.default_rng(0).permutation(len(dataset))[:sample]
    pairs = []
    for row in picked[~prints.blank[picked]].tolist():
        alike = np.flatnonzero((flat @ flat[row] > 0.93) & (prints.digests != prints.digests[row]))
        pairs += [(min(row, each), max(row, each)) for each in alike if not prints.blank[each]]
    every = np.unique(np.array(pairs), axis=0)
    listed = set(map(tuple, near.pairs.tolist()))
    digests = {row: int(prints.digests[row]) for row in set(every.ravel().tolist())}
    alias = {(prints.digests[a], prints.digests[b]) for a, b in listed}
    alias |= {(second, first) for first, second in alias}

    def is_listed(pair: np.ndarray) -> bool:
        # Of equal crops one stands for all.
        first, second = pair.tolist()
        return (digests[first], digests[second]) in alias

    whole, _ = confirmed_pairs(every, rows.crop)
    print(
        f"{len(whole):,} pairs of {sample:,} rows with any other correlate by 0.97: "
        f"{sum(map(is_listed, whole)):,} are listed"
    )
    inner, _ = recropped_pairs(every, rows.crop)
    print(
        f"{len(inner):,} show one photo by the middle's correlation of "
        f"{LEAST_INNER_CORRELATION}: {sum(map(is_listed, inner)):,} are listed"
    )
    across = inner[dataset.splits[inner[:, 0]] != dataset.splits[inner[:, 1]]]
    print(f"{len(across):,} of these in two splits: {sum(map(is_listed, across)):,} are listed")


def swaps(folder: str) -> None:
    found = predict_expressions(open_expression_model("fer"), Dataset.open(folder), "fer")
    preds = found.probabilities.argmax(1)
    names, targets = found.names, found.targets
    print(f"as labeled: {mixed_up_classes(targets, preds, names) or 'no finding'}")
    pairs = list(combinations(range(len(names)), 2))
    named = 0
    for first, second in pairs:
        order = np.arange(len(names) + 1)
        order[[first, second]], order[-1] = (second, first), -1
        mixed = mixed_up_classes(order[targets], preds, names)
        right = [set(each.names) for each in mixed] == [{names[first], names[second]}]
        named += right
        if not right:
            print(f"missed: {names[first]} and {names[second]}: {mixed}")
    print(f"named {named} of {len(pairs)} swaps")


def memory(folder: str) -> None:
    """The accuracy of fer on faces of valid that are in train as well, and on the others."""
    rows, near, predictions = _searched(folder)
    dataset, prints = rows.datasets[0], prints_of(_chunks(rows.datasets[0]))
    valid = dataset.splits == "valid"
    shared = np.zeros(len(dataset), bool)
    across = near.pairs[valid[near.pairs[:, 0]] != valid[near.pairs[:, 1]]]
    shared[across.ravel()] = True
    for group in equal_groups(prints.digests, prints.blank):
        shared[group] |= shared[group].any() or (valid[group].any() and not valid[group].all())
    rows, preds = np.flatnonzero(valid), predictions.argmax(1)[valid]
    print(f"{shared[rows].sum()} of {len(rows)} faces in valid are in train as well")
    for rule in ("majority", "ferplus"):
        targets = make_targets(dataset, rule)["expression"][rows]
        for name, part in (("in train too", shared[rows]), ("not in train", ~shared[rows])):
            right = (preds == targets)[part & (targets >= 0)].astype(float)
            interval = bootstrap_intervals(
                lambda weights, right=right: {"accuracy": weights @ right / weights.sum(1)},
                len(right),
            )["accuracy"]
            low, high = 100 * interval.low, 100 * interval.high
            print(
                f"{rule}, {name}, {len(right)}: {100 * right.mean():.1f} ({low:.1f} to {high:.1f})"
            )


def _crops(count: int, side: int = 112) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for start in range(0, count, 512):
        coarse = rng.integers(0, 256, (min(512, count - start), 7, 7, 3), dtype=np.uint8)
        yield coarse.repeat(side // 7, axis=1).repeat(side // 7, axis=2)


def growth() -> None:
    for count in (30_000, 300_000):
        started, before = time.perf_counter(), time.process_time()
        prints = prints_of(_crops(count))
        hashed, between = time.perf_counter(), time.process_time()
        pairs = near_pairs(prints.hashes).pairs
        mirrored = near_pairs(prints.hashes, prints.mirrored).pairs
        ended, after = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            f"{count:,} crops: prints {hashed - started:.1f} s ({between - before:.1f} of a "
            f"processor), pairs {ended - hashed:.1f} s ({after - between:.1f}): {len(pairs):,} and "
            f"{len(mirrored):,} mirrored, at most {peak:.0f} MB",
            flush=True,
        )


def groups(repetitions: int = 1000) -> None:
    for kind in (
        "500 rows",
        "80 subjects of 1 to 39 rows",
        "80 such subjects, each in both groups",
    ):
        rng = np.random.default_rng(0)
        subjects, crossed = kind != "500 rows", kind.endswith("both groups")
        refused = 0
        for seed in range(repetitions):
            sizes = rng.integers(1, 40, 80) if subjects else np.ones(500, int)
            count = len(sizes)
            clusters = np.repeat(np.arange(count), sizes)
            inside = (rng.permutation(count) % 3 == 0)[clusters]
            if crossed:  # such as angles: rows of one subject are in the group and outside
                inside = rng.random(len(clusters)) < 1 / 3
            chances = np.clip(rng.normal(0.7, 0.15, count), 0, 1)[clusters]
            values = (rng.random(len(clusters)) < chances).astype(float)
            p = gap_test(values, inside, clusters=clusters, permutations=999, seed=seed)
            refused += p <= 0.05
        print(f"no gap, {kind}: p <= 0.05 in {refused} of {repetitions}")
    rng = np.random.default_rng(1)
    shown = 0
    for seed in range(100):
        inside = rng.random(2000) < 0.5
        values = (rng.random(2000) < 0.7 - 0.1 * inside).astype(float)
        shown += gap_test(values, inside, permutations=999, seed=seed) <= 0.05
    print(f"a gap of 10 points among 2,000 rows: shown in {shown} of 100")


if __name__ == "__main__":
    of_dataset = {each.__name__: each for each in (swaps, sheets, recall, memory)}
    alone = {each.__name__: each for each in (growth, groups)}
    for name in sys.argv[1:]:
        if name in alone:
            alone[name]()
        elif name in of_dataset:
            of_dataset[name](sys.argv[-1])
