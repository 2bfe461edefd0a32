"""The table of the comparison of heads and its verdicts, from the results alone."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from affect_cells import AFFECT, AVERAGE, CELLS, EXPRESSIONS, GRAPH, IDENTITY, LINEAR, PEERS, SHARED
from mien.metrics import classification_metrics, valence_arousal_metrics
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals
from mien.statistics.paired import combined, crossed_differences, seed_differences

INTRO = """# Expressions, valence and arousal together

Made by `affect.py` (its first lines say how to run it) on {machine}, torch {torch}, one thread,
{epochs} epochs. A frozen, face-pretrained MobileNet, one trained layer that all tasks share, and
the heads. On DiffusionFER every figure is a **result on synthetic faces**; no figure says what the
same heads would do when the whole network is trained, as the paper does.

- **accuracy**, **macro F1** in %; **CCC**: concordance over all faces; means over seeds, which
  share batches and augmentation across the cells; \u00b1 is the seeds' standard deviation;
- differences: accuracy in points with a 95 % interval for other seeds *and* faces
  (`crossed_differences`); mean CCC twice, over seeds (`seed_differences`) and over faces (paired
  bootstrap of the seeds' mean). *Shown*: every interval is on one side of zero. Of differences that
  are truly zero, about one in twenty intervals excludes zero;
- ridge: `RidgeCV` and `RidgeClassifierCV`, the penalty chosen inside the training rows, no seed.
"""


class Seed(NamedTuple):
    """One seed's answers for all rows, in the rows' order."""

    rows: Any
    truth: Any
    answers: Any
    affect_truth: Any
    affect: Any


def write_table(results: Sequence[dict[str, Any]], *, epochs: int) -> str:
    """Markdown: a table and verdicts for each corpus."""
    if not results:
        raise SystemExit("expected results, got none; name a corpus")
    machine = f"{platform.machine()}, {platform.system()}"
    text = [INTRO.format(machine=machine, torch=torch.__version__, epochs=epochs)]
    for corpus in dict.fromkeys(line["corpus"] for line in results):
        cells = gather([line for line in results if line["corpus"] == corpus])
        first = next(iter(cells.values()))[0]
        text += [
            f"\n## {corpus}\n",
            f"{len(first.rows):,} faces; {max(map(len, cells.values()))} seeds. All cells share: "
            f"{', '.join(f'`{change}`' for change in SHARED)}.\n",
            *table(cells),
            *verdicts(cells),
        ]
    return "\n".join(text) + "\n"


def gather(lines: Sequence[dict[str, Any]]) -> dict[str, list[Seed]]:
    """By cell, each seed's folds put together; only seeds for which the cell has every fold."""
    folds = {line["fold"] for line in lines}
    found: dict[str, list[Seed]] = {}
    for cell in (*CELLS, *PEERS):
        for seed in sorted({line["seed"] for line in lines if line["cell"] == cell}):
            own = [line for line in lines if (line["cell"], line["seed"]) == (cell, seed)]
            if {line["fold"] for line in own} != folds:
                continue
            parts = [
                np.concatenate([np.array(line[key], kind) for line in own])
                if own[0][key] is not None
                else None
                for key, kind in zip(Seed._fields, (int, int, int, float, float), strict=True)
            ]
            order = np.argsort(parts[0])
            seeds = Seed(*(None if part is None else part[order] for part in parts))
            found.setdefault(cell, []).append(seeds)
    return found


def table(cells: dict[str, list[Seed]]) -> list[str]:
    """One row a cell."""
    head = ["cell", "accuracy", "macro F1", "CCC valence", "CCC arousal", "mean CCC"]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for cell, seeds in cells.items():
        shown = ["\u2013", "\u2013"]
        if cell != AFFECT:
            values = [expression_values(seed) for seed in seeds]
            shown = [spread([100 * v[key] for v in values], 1) for key in ("accuracy", "macro_f1")]
        if cell == EXPRESSIONS:
            shown += ["\u2013"] * 3
        else:
            affect = [concordances(seed) for seed in seeds]
            shown += [spread([v[key] for v in affect], 3) for key in ("valence", "arousal", "mean")]
        rows.append(f"| {cell} | {' | '.join(shown)} |")
    return rows


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds."""
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def expression_values(seed: Seed) -> dict[str, float]:
    """The metrics of answers, as certain as answers are."""
    known = seed.truth >= 0
    classes = int(max(seed.truth.max(), seed.answers.max())) + 1
    return classification_metrics(seed.truth[known], np.eye(classes)[seed.answers[known]])


KEYS = {"valence": "ccc_valence", "arousal": "ccc_arousal", "mean": "mean_ccc"}


def concordances(seed: Seed) -> dict[str, float]:
    """CCC of valence, arousal and their mean over the rated rows."""
    rated = ~np.isnan(seed.affect_truth[:, 0])
    values = valence_arousal_metrics(seed.affect[rated], seed.affect_truth[rated])
    return {name: float(values[key]) for name, key in KEYS.items()}


def verdicts(cells: dict[str, list[Seed]]) -> list[str]:
    """What the paper claims and what the controls say, each with its intervals."""
    claims = [
        ("tasks together beat expressions alone", LINEAR, EXPRESSIONS),
        ("tasks together beat valence and arousal alone", LINEAR, AFFECT),
        ("Emotion-GCN beats the multi-task baseline (the paper's comparison)", GRAPH, AVERAGE),
        ("max pooling beats average pooling, linear heads", LINEAR, AVERAGE),
        ("the graph beats linear heads on the same feature", GRAPH, LINEAR),
        ("the graph's edges help", GRAPH, IDENTITY),
        *((f"Emotion-GCN beats {peer}", GRAPH, peer) for peer in PEERS),
    ]
    lines = ["\nThe claims, by difference (95 % interval):\n"]
    for text, one, other in claims:
        if one not in cells or other not in cells:
            continue
        a, b = paired(cells[one], cells[other])
        if AFFECT not in (one, other):
            found = crossed_differences(*(right(seeds) for seeds in (a, b)))
            lines.append(f"- {text}: accuracy {word([found])}, {told(found, 100, 1)} points")
        if EXPRESSIONS not in (one, other):
            means = [[concordances(seed)["mean"] for seed in seeds] for seeds in (a, b)]
            over_seeds, over_faces = seed_differences(*means), over_rows(a, b)
            lines.append(
                f"- {text}: mean CCC {word([over_seeds, over_faces])}, {told(over_seeds, 1, 3)} "
                f"over seeds, {told(over_faces, 1, 3)} over faces"
            )
    return lines


def paired(a: list[Seed], b: list[Seed]) -> tuple[list[Seed], list[Seed]]:
    """As many seeds of both; a peer without seeds meets every seed."""
    count = max(len(a), len(b)) if 1 in (len(a), len(b)) else min(len(a), len(b))
    return (a * count)[:count], (b * count)[:count]


def right(seeds: list[Seed]) -> Any:
    """Which faces each seed has right, ``(S, N)``."""
    known = seeds[0].truth >= 0
    return np.stack([(seed.answers == seed.truth)[known] for seed in seeds]).astype(float)


def over_rows(a: list[Seed], b: list[Seed]) -> Interval:
    """The seeds' mean difference in mean CCC, with an interval for other faces."""

    def drawn(seed: Seed) -> Bootstrap[str]:
        rated = ~np.isnan(seed.affect_truth[:, 0])
        said, truth = seed.affect[rated], seed.affect_truth[rated]
        return bootstrap(
            lambda weights: {
                "ccc": valence_arousal_metrics(said, truth, weights=weights)["mean_ccc"]
            },
            len(said),
        )

    plus, minus = ([drawn(seed) for seed in seeds] for seeds in (a, b))
    return intervals(combined(plus, minus))["ccc"]


def told(found: Interval, scale: float, digits: int) -> str:
    """A difference and its interval."""
    numbers = [found.value, found.low, found.high]
    value, low, high = (
        "none" if number is None else f"{scale * number:+.{digits}f}" for number in numbers
    )
    return f"{value} ({low} to {high})"


def word(found: Sequence[Interval]) -> str:
    """Shown where every interval lies on one side of zero; one seed shows nothing."""
    if any("one seed" in one.reason for one in found):
        return "undecided"
    if all(one.low is not None and one.low > 0 for one in found):
        return "**shown**"
    if all(one.high is not None and one.high < 0 for one in found):
        return "**the opposite shown**"
    return "undecided"
