"""What `mien audit` and the tests of groups can do.

    python benchmarks/audit.py swaps data/ferplus    # each two classes swapped in turn
    python benchmarks/audit.py memory data/ferplus   # fer on faces that train has too, and others
    python benchmarks/audit.py growth                # time and memory of 30,000 and 300,000 crops
    python benchmarks/audit.py groups                # permutation tests of gaps, simulated

The dataset is FER+, prepared.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from mien.audit.duplicates import confirmed_pairs, equal_groups, near_pairs, prints_of
from mien.audit.labels import mixed_up_classes
from mien.audit.predictions import open_expression_model, predict_expressions
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.evaluation.models import open_model
from mien.statistics.bootstrap import bootstrap_intervals
from mien.statistics.gaps import gap_test


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
    dataset = Dataset.open(folder)
    starts = range(0, len(dataset), 512)
    prints = prints_of(
        dataset.crops[np.arange(start, min(start + 512, len(dataset)))] for start in starts
    )
    valid = dataset.splits == "valid"
    shared = np.zeros(len(dataset), bool)
    for group in equal_groups(prints.digests, prints.blank):
        shared[group] |= valid[group].any() and not valid[group].all()
    pairs = near_pairs(prints.hashes)
    across = pairs[valid[pairs[:, 0]] != valid[pairs[:, 1]]]
    shared[confirmed_pairs(across, lambda row: dataset.crops[row])[0].ravel()] = True
    rows, model = np.flatnonzero(valid), open_model("fer")
    parts = [rows[start : start + 256] for start in range(0, len(rows), 256)]
    predictions = [model.predict(dataset.crops[part]).heads["expression"] for part in parts]
    preds = np.concatenate(predictions).argmax(1)
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
        started = time.perf_counter()
        prints = prints_of(_crops(count))
        hashed = time.perf_counter()
        pairs = near_pairs(prints.hashes)
        ended = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            f"{count:,} crops: prints {hashed - started:.1f} s, pairs {ended - hashed:.1f} s "
            f"({len(pairs):,}), at most {peak:.0f} MB"
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
    {"swaps": swaps, "memory": memory, "growth": growth, "groups": groups}[sys.argv[1]](
        *sys.argv[2:]
    )
