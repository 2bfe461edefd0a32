"""The ablation's tables and its verdicts on the papers' claims, from the results alone."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ablation_cells import CELLS, PARTS, STRATEGIES, THRESHOLDS
from mien.statistics.bootstrap import Interval
from mien.statistics.paired import crossed_differences, seed_differences

Line = dict[str, Any]
Answers = np.ndarray[Any, np.dtype[np.float64]]

COLUMNS = {
    "ferplus_accuracy": "FER+ rule",
    "mean_class_accuracy": "mean class",
    "macro_f1": "macro F1",
    "precision_at_1": "P@1",
    "neighbor_accuracy": "15-NN",
    "centroid_accuracy": "centroid",
}
INTRO = """# Four methods on real faces

Made by `ablations.py` (its first lines say how to run it) on {machine}, torch {torch}, one thread.
Trained on nine tenths of ferplus-train, epoch and settings chosen on the other tenth, measured on
ferplus-valid: {faces:,} faces by the majority rule. Every row is the mean over seeds, which share
batches, augmentation and start across the cells. What the figures are:

- **accuracy**: majority rule, in %, with the seeds' standard deviation; **FER+ rule**: the faces on
  which more than half of the annotators agree;
- **to softmax**: the difference in accuracy, in points, with a 95 % interval for other seeds *and*
  other faces (`mien.statistics.paired.crossed_differences`). Of differences that are truly zero,
  about one in twenty seems not to be: expect one or two such cells in the longer table;
- **P@1**: the nearest other face of ferplus-valid shows the same expression; **15-NN** and
  **centroid**: expressions read off the embedding by 6,000 training faces, without the softmax;
- **ratio**: distance between classes over distance within them, of unit rows;
- **CPU s**: processor seconds of one training, the median, with other work on the machine.
"""


def write_table(results: Sequence[Line], cost: Sequence[Line]) -> str:
    """Markdown: a table and a list of verdicts for each part that has results, and the cost."""
    if not results:
        raise SystemExit("expected results, got none; run a part first")
    text = [
        INTRO.format(
            machine=f"{platform.machine()}, {platform.system()}",
            torch=torch.__version__,
            faces=results[0]["faces"],
        )
    ]
    titles = {
        "frozen": "Frozen, face-pretrained features (128 px)",
        "small": "A small network trained whole (48 px)",
    }
    for part, title in titles.items():
        cells = by_cell([line for line in results if line["part"] == part])
        if "softmax" in cells:
            text += [f"\n## {title}\n", *table(part, cells), *verdicts(cells)]
    if cost:
        text += [
            "\n## What a step costs\n",
            "Reading, augmenting and composing 64 faces of 128 pixels, forward, backward and the "
            "optimizer's step: MobileNet-v1, one thread, processor time over softmax's in the "
            "same of 12 rounds (`ablations.py cost`), median and quartiles.\n",
            "| recipe | over softmax | ms |\n|---|---|---|",
            *(
                f"| {line['recipe']} | {line['ratio']:.2f} ({line['low']:.2f} to "
                f"{line['high']:.2f}) | {line['milliseconds']:.0f} |"
                for line in cost
                if line["recipe"] != "softmax"
            ),
        ]
    return "\n".join(text) + "\n"


def by_cell(lines: Sequence[Line]) -> dict[str, dict[int, Line]]:
    """Lines by cell and seed, cells in their order."""
    found: dict[str, dict[int, Line]] = defaultdict(dict)
    for line in lines:
        found[line["cell"]][line["seed"]] = line
    return {cell: found[cell] for cell in CELLS if cell in found}


def table(part: str, cells: dict[str, dict[int, Line]]) -> list[str]:
    """One row a cell."""
    most = max(len(lines) for lines in cells.values())
    head = ["cell", "accuracy", "to softmax", *COLUMNS.values(), "ratio", "CPU s"]
    weights = PARTS[part].weights._asdict().items()
    rows = [
        f"{most} seeds, fewer where a cell says so. All cells share: "
        f"{code(PARTS[part].shared)}. Weights of the losses: "
        f"{', '.join(f'{name} {value:g}' for name, value in weights)}. "
        f"The cell *combined* is {code(PARTS[part].combined)}.\n",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for cell, lines in cells.items():
        values = {key: np.array([line[key] for line in lines.values()]) for key in ROW_KEYS}
        deviation = f" ± {100 * values['accuracy'].std(ddof=1):.1f}" if len(lines) > 1 else ""
        difference = "" if cell == "softmax" else points(to(cells, [cell], ["softmax"]))
        fewer = f" ({len(lines)} of {most} seeds)" if len(lines) < most else ""
        numbers = [f"{100 * values[key].mean():.1f}" for key in COLUMNS]
        rows.append(
            f"| {cell}{fewer} | {100 * values['accuracy'].mean():.1f}{deviation} | {difference} | "
            f"{' | '.join(numbers)} | {values['distance_ratio'].mean():.2f} | "
            f"{np.median(values['cpu_seconds']):.0f} |"
        )
    return rows


def code(changes: Sequence[str]) -> str:
    """Changes of a recipe as they stand on the command line."""
    return ", ".join(f"`{change}`" for change in changes)


ROW_KEYS = ("accuracy", *COLUMNS, "distance_ratio", "cpu_seconds")


def right(line: Line) -> Answers:
    """Which faces a run has right, ``(N,)``."""
    bits = np.frombuffer(bytes.fromhex(line["right"]), np.uint8)
    return np.unpackbits(bits, count=line["faces"]).astype(np.float64)


def to(
    cells: dict[str, dict[int, Line]],
    these: Sequence[str],
    those: Sequence[str],
    of: Callable[[Line], Answers] = right,
) -> Interval:
    """Mean of some cells less the mean of others, over the seeds that all of them have."""
    seeds = sorted(set.intersection(*(set(cells[name]) for name in (*these, *those))))
    first, second = (
        np.stack([np.mean([of(cells[name][seed]) for name in names], axis=0) for seed in seeds])
        for names in (these, those)
    )
    return crossed_differences(first, second)


def points(found: Interval) -> str:
    """An interval of shares as points of a hundred."""
    if found.value is None or found.low is None or found.high is None:
        return ""
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


class Claim(NamedTuple):
    """What a paper says in kind, and the difference that would show it."""

    text: str
    these: tuple[str, ...]
    those: tuple[str, ...]


def claims(cells: dict[str, dict[int, Line]]) -> list[Claim]:
    """The claims that the cells at hand can speak to."""

    def best(names: Sequence[str]) -> str:
        """By the held-out rows, never by the figures that are reported."""
        return max(
            names,
            key=lambda name: float(
                np.mean([line["valid_accuracy"] for line in cells[name].values()])
            ),
        )

    duals = [f"dual triplet {t}" for t in THRESHOLDS if f"dual triplet {t}" in cells]
    plain = [f"triplet {t}" for t in THRESHOLDS if f"triplet {t}" in cells]
    found = [
        Claim("the center loss beats softmax", ("center",), ("softmax",)),
        Claim("attention improves the center loss (DACL)", ("dacl",), ("center",)),
        Claim("the multi-threshold embedding beats softmax", ("multi-threshold",), ("softmax",)),
        Claim(
            "many thresholds beat equal ones",
            ("multi-threshold",),
            ("multi-threshold, equal thresholds",),
        ),
        Claim(
            "over all triplets, many thresholds beat a single one",
            ("multi-threshold, all triplets",),
            ("triplet 0.8, all triplets",),
        ),
        Claim(
            "over all triplets, the multi-threshold embedding beats softmax",
            ("multi-threshold, all triplets",),
            ("softmax",),
        ),
        Claim(
            "with slices, the dual loss beats the conventional one",
            ("multi-threshold",),
            ("multi-threshold, conventional",),
        ),
        Claim("partial images beat full ones (softmax)", ("partial",), ("softmax",)),
        Claim(
            "control: blanking the rest of the face (mask) beats full images",
            ("partial, mask",),
            ("softmax",),
        ),
        Claim(
            "the expression metric loss improves full images",
            ("full + expression loss",),
            ("softmax",),
        ),
        Claim(
            "the expression metric loss improves partial images",
            ("partial + expression loss",),
            ("partial",),
        ),
        Claim(
            "partial images with the expression metric loss beat softmax on full ones",
            ("partial + expression loss",),
            ("softmax",),
        ),
        Claim("the triplet-center loss beats softmax", ("triplet-center nearest",), ("softmax",)),
    ]
    if duals:
        single = f"the best single one of {len(duals)}, " if len(duals) > 1 else "a single one, "
        found.insert(
            3,
            Claim(
                f"many thresholds beat {single}{best(duals)}", ("multi-threshold",), (best(duals),)
            ),
        )
    if len(duals) > 1:
        found.insert(
            4,
            Claim(
                "many thresholds beat a single one on average", ("multi-threshold",), tuple(duals)
            ),
        )
    if plain and len(plain) == len(duals):
        found.insert(
            5,
            Claim(
                "the dual loss beats the conventional one at single thresholds, on average",
                tuple(duals),
                tuple(plain),
            ),
        )
    for name in STRATEGIES[1:]:
        cell = f"triplet-center {name}"
        for variant in (cell, f"{cell}, attention"):
            label = f"{name} negatives" + (" with attention" if "attention" in variant else "")
            found.append(Claim(f"{label} beat softmax", (variant,), ("softmax",)))
        found.append(
            Claim(f"attention improves {name} negatives", (f"{cell}, attention",), (cell,))
        )
    plain_centers = tuple(f"triplet-center {name}" for name in STRATEGIES)
    found.append(
        Claim(
            "attention improves the triplet-center loss, over all four ways to choose",
            tuple(f"{cell}, attention" for cell in plain_centers),
            plain_centers,
        )
    )
    if "combined" in cells:
        found.append(Claim("what worked, combined, beats softmax", ("combined",), ("softmax",)))
    return [claim for claim in found if all(name in cells for name in (*claim.these, *claim.those))]


def word(found: Interval) -> str:
    """Held or not by the whole interval; undecided where it reaches over zero."""
    if found.low is None or found.high is None:
        return "undecided"
    if found.low > 0:
        return "**held**"
    return "**not held**" if found.high < 0 else "undecided"


def verdicts(cells: dict[str, dict[int, Line]]) -> list[str]:
    """The claims as a list, each with the interval behind its word."""
    lines = [
        "\nThe claims, by difference in accuracy (points, 95 % interval). *Held*: the whole "
        "interval is above zero; *not held*: below; else *undecided*, and the upper end says how "
        "much it can be at most.\n"
    ]
    for claim in claims(cells):
        found = to(cells, claim.these, claim.those)
        lines.append(f"- {claim.text}: {word(found)}, {points(found)}")
    pairs = [("full + expression loss", "softmax"), ("partial + expression loss", "partial")]
    for cell, other in pairs:
        if cell in cells and other in cells:
            seeds = sorted(set(cells[cell]) & set(cells[other]))
            ratios = (
                [cells[name][seed]["distance_ratio"] for seed in seeds] for name in (cell, other)
            )
            found = seed_differences(*ratios)
            if found.value is None or found.low is None or found.high is None:
                continue  # one seed says nothing of others
            lines.append(
                f"- the expression metric loss raises the distance ratio ({cell} to {other}): "
                f"{word(found)}, {found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f}, "
                "over seeds)"
            )
    return lines
