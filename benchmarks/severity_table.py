"""The table of the comparison of severity losses and its verdicts, from the results alone."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mien.metrics import agreement
from mien.statistics.bootstrap import Interval
from mien.statistics.paired_recordings import paired_severity_differences
from mien.statistics.rank_correlation import rank_correlation
from severity_cells import (
    BINARY,
    CELLS,
    CLASSES,
    CONSTANT,
    EXPECTATION,
    JOINT,
    LDL,
    ORDINAL,
    PEER,
    REGRESSION,
    SHARED,
    SOFT,
)

INTRO = """# Severity of rendered videos

Made by `severity.py` (its first lines say how to run it) on {machine}, torch {torch}, one thread,
{epochs} epochs, a number that `--tune` had given on the split valid of the first fold. **Nobody is
in these videos, and nothing here is a result on people**: how severity shows in them is our choice
(see `mien.synthetic.behavior`), after what the literature says in words.

{videos} videos of {subjects} persons, two days each, in five folds by person: every video is
answered by models that never saw its person. Every row is the mean over {seeds} seeds, which share
batches, views and start across the cells. All cells share: {shared}.

- **MAE**, **RMSE** in points of 63, **CCC**, over all videos, ± the seeds' standard deviation; a
  video's answer is the mean of four clips;
- **order**: Spearman's correlation of the embedding's cosine with minus the score gap, over pairs
  of videos of two persons in a fold, the mean of folds and seeds;
- differences, one cell less another, with a 95 % interval for other seeds *and* other persons
  (`mien.statistics.paired_recordings.paired_severity_differences`). *Held*: the whole interval is
  on the claimed side; *not held*: on the other; else *undecided*;
- **ridge on frame statistics**: `RidgeCV` on mean, deviation and mean step of the same frozen
  features over the whole video; the penalty is chosen inside the training persons.

| cell | MAE | RMSE | CCC | order | CPU s |
|---|---|---|---|---|---|"""


class Cell(NamedTuple):
    """A cell's answers: ``(S, n)`` predictions of n videos, the same in every cell."""

    predictions: Any
    order: list[float]
    seconds: list[float]


def write_table(results: Sequence[dict[str, Any]], *, epochs: int) -> str:
    """Markdown: a table, the claims, and what the controls say."""
    scores, subjects, cells = gather(results)
    text = [
        INTRO.format(
            machine=f"{platform.machine()}, {platform.system()}",
            torch=torch.__version__,
            epochs=epochs,
            videos=len(scores),
            subjects=len(set(subjects)),
            seeds=max(len(cell.predictions) for cell in cells.values()),
            shared=", ".join(f"`{change}`" for change in SHARED),
        )
    ]
    text += [row(name, cell, scores) for name, cell in cells.items()]
    return "\n".join([*text, *verdicts(cells, scores, subjects)]) + "\n"


def gather(lines: Sequence[dict[str, Any]]) -> tuple[Any, Any, dict[str, Cell]]:
    """Scores ``(n,)``, subjects ``(n,)`` and each cell's whole seeds, in one order of videos."""
    folds = {line["fold"] for line in lines}
    first = [line for line in lines if line["cell"] == CONSTANT]
    names = np.concatenate([line["videos"] for line in first])
    order = np.argsort(names)
    scores = np.concatenate([line["scores"] for line in first])[order]
    subjects = np.concatenate([line["subjects"] for line in first])[order]
    cells: dict[str, Cell] = {}
    for name in (*CELLS, PEER, CONSTANT):
        rows, ranks, seconds = [], [], []
        for seed in sorted({line["seed"] for line in lines if line["cell"] == name}):
            own = [line for line in lines if (line["cell"], line["seed"]) == (name, seed)]
            if {line["fold"] for line in own} != folds:
                continue
            videos = np.concatenate([line["videos"] for line in own])
            said = np.concatenate([line["predictions"] for line in own])
            rows.append(said[np.argsort(videos)])
            if own[0]["embeddings"] is not None:
                ranks.append(float(np.mean([order_of(line) for line in own])))
            seconds += [line["cpu_seconds"] for line in own if "cpu_seconds" in line]
        if rows:
            cells[name] = Cell(np.stack(rows), ranks, seconds)
    return scores, subjects, cells


def order_of(line: dict[str, Any]) -> float:
    """How far likeness follows nearness of scores, among videos of different persons."""
    rows = np.asarray(line["embeddings"], float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores, subjects = np.asarray(line["scores"], float), np.asarray(line["subjects"])
    one, other = np.triu_indices(len(rows), 1)
    apart = subjects[one] != subjects[other]
    one, other = one[apart], other[apart]
    alike = (rows[one] * rows[other]).sum(1).round(6)
    return float(rank_correlation(alike, -np.abs(scores[one] - scores[other])))


def row(name: str, cell: Cell, scores: Any) -> str:
    """One line of the table."""
    values = [agreement(said, scores) for said in cell.predictions]
    shown = [
        spread([float(value[key]) for value in values], digits)
        for key, digits in (("mae", 2), ("rmse", 2), ("ccc", 3))
    ]
    shown.append(spread(cell.order, 3) if cell.order else "\u2013")
    shown.append(f"{np.median(cell.seconds):.0f}" if cell.seconds else "\u2013")
    return f"| {name} | {' | '.join(shown)} |"


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds."""
    if len(values) < 2:
        return f"{np.mean(values):.{digits}f}"
    return f"{np.mean(values):.{digits}f} \u00b1 {np.std(values, ddof=1):.{digits}f}"


def verdicts(cells: dict[str, Cell], scores: Any, subjects: Any) -> list[str]:
    """The paper's claims, what the parts add, and the baselines."""
    claims = [
        ("label distributions beat classes without an order (paper)", LDL, CLASSES),
        ("label distributions beat regression (paper)", LDL, REGRESSION),
        ("joint learning beats label distributions alone, soft reading (paper)", SOFT, LDL),
        ("the same, ordinal reading (paper)", ORDINAL, LDL),
        ("the label-aware loss beats the binary one, soft reading (paper)", SOFT, BINARY),
        ("the same, ordinal reading (paper)", ORDINAL, BINARY),
        ("the error of the expectation helps label distributions (DLDL-v2)", EXPECTATION, LDL),
        ("the label-aware loss helps beside it", JOINT, EXPECTATION),
        ("DJ-LDML beats regression", SOFT, REGRESSION),
        ("DJ-LDML beats ridge on frame statistics", SOFT, PEER),
        ("DJ-LDML beats the training mean", SOFT, CONSTANT),
    ]
    lines = ["\nThe claims, by difference in MAE, RMSE and CCC:\n"]
    for text, one, other in claims:
        if one not in cells or other not in cells:
            continue
        a, b = paired(cells[one].predictions, cells[other].predictions)
        found = paired_severity_differences(scores, a, b, subjects)
        told = ", ".join(
            f"{key.upper()} {said(found[key], 3 if key == 'ccc' else 2)} ({word(found[key], key)})"
            for key in ("mae", "rmse", "ccc")
        )
        lines.append(f"- {text}: {told}")
    lines.append("\nAnd the order of the embedding, over seeds:\n")
    for one, other in ((SOFT, LDL), (ORDINAL, LDL), (SOFT, BINARY), (ORDINAL, BINARY)):
        if one in cells and other in cells:
            found = ordered(cells[one], cells[other])
            lines.append(f"- {one} less {other}: {said(found, 3)} ({word(found, 'order')})")
    return lines


def ordered(one: Cell, other: Cell) -> Interval:
    """The difference in order, for other seeds; persons are the same."""
    from mien.statistics.paired import seed_differences

    count = min(len(one.order), len(other.order))
    return seed_differences(one.order[:count], other.order[:count])


def paired(a: Any, b: Any) -> tuple[Any, Any]:
    """As many seeds of both; what has no seed meets every seed."""
    count = max(len(a), len(b)) if 1 in (len(a), len(b)) else min(len(a), len(b))
    return tuple(np.repeat(x, count, 0) if len(x) == 1 else x[:count] for x in (a, b))


def said(found: Interval, digits: int) -> str:
    """A difference and its interval."""
    numbers = [found.value, found.low, found.high]
    value, low, high = ("none" if number is None else f"{number:+.{digits}f}" for number in numbers)
    return f"{value}, {low} to {high}"


def word(found: Interval, measure: str) -> str:
    """Held, not held or undecided: of errors less is better."""
    if found.low is None or found.high is None:
        return "undecided"
    low, high = found.low, found.high
    if measure in ("mae", "rmse"):
        low, high = -high, -low
    # Equal answers differ by rounding.
    return "**held**" if low > 1e-9 else "**not held**" if high < -1e-9 else "undecided"
