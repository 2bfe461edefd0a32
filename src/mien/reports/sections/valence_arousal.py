"""Valence and arousal: concordance, errors and the circumplex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.metrics.catalog import VALENCE_AROUSAL, by_name
from mien.metrics.regression import DIMENSIONS, valence_arousal_metrics
from mien.reports.evaluation import (
    Evaluation,
    ExpressionArrays,
    ValenceArousalArrays,
    arrays_of,
)
from mien.reports.figures import classes
from mien.reports.figures.circumplex import circumplex
from mien.reports.figures.embedding import MAP_ROWS
from mien.reports.sections.drawn import (
    Measured,
    compare_drawn,
    no_figures,
    side_blocks,
    side_by_side,
)
from mien.reports.sections.section import Block, Entry, Pairing, Side, Verdict
from mien.reports.tables import Heading, Row, Table, metric_heading, plural
from mien.statistics.bootstrap import bootstrap, intervals

ARRAYS = ValenceArousalArrays
METRICS = by_name(VALENCE_AROUSAL)
comparison_figures = no_figures
MAIN = ("mean_ccc",)
ANSWER = "quadrant"
HEADLINE = ("mean_ccc", "ccc_valence", "ccc_arousal")
"""The metrics that a comparison is about, too."""
_BY_DIMENSION = ("ccc", "pcc", "rmse", "mae", "sagr")


def answers(arrays: ValenceArousalArrays) -> NDArray[np.bool_]:
    """Whether each dimension is above 0."""
    above: NDArray[np.bool_] = arrays.predictions > 0
    return above


def evaluate(
    evaluation: Evaluation, *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """Every metric of both dimensions; ``zero_targets`` counts rows without a sign."""
    run = measure(evaluation, seed=seed, draws=draws)
    values = intervals(run.drawn)
    zeros = (run.targets == 0).sum(0)
    entry = {
        "n": len(run.rows),
        "metrics": {name: values[name].as_dict() for name in METRICS},
        "zero_targets": dict(zip(DIMENSIONS, zeros.tolist(), strict=True)),
        "left_out": dict(run.left_out),
    }
    return entry, []


def measure(
    evaluation: Evaluation, *, plane: bool = True, seed: int = 0, draws: int = 1000
) -> Measured:
    """The bootstrap of every metric, paired between models of the same rows and seed."""
    arrays = arrays_of(evaluation, "valence_arousal", ValenceArousalArrays)
    rows = np.flatnonzero(arrays.labeled)
    predictions, targets = arrays.predictions[rows], arrays.targets[rows]
    drawn = bootstrap(
        lambda weights: valence_arousal_metrics(predictions, targets, weights=weights),
        rows.size,
        clusters=evaluation.clusters(rows),
        draws=draws,
        seed=seed,
    )
    return Measured(rows, targets, drawn, arrays.reasons())


def tables(entry: Entry) -> dict[str, Any]:
    """The metrics of valence and of arousal side by side."""
    table = Table([Heading(name.capitalize()) for name in DIMENSIONS])
    for name in _BY_DIMENSION:
        metrics = [METRICS[f"{name}_{dimension}"] for dimension in DIMENSIONS]
        cells = [
            table.value(_with_zeros(entry, dimension, metric.name), metric.unit)
            for dimension, metric in zip(DIMENSIONS, metrics, strict=True)
        ]
        heading = metric_heading(metrics[0])
        title = heading.title.removesuffix(f" of {DIMENSIONS[0]}")
        table.rows.append(Row(heading._replace(title=title), cells))
    return {"metrics": table}


def _with_zeros(entry: Entry, dimension: str, metric: str) -> Entry:
    """The entry of a metric; that of sign agreement says how many rows it leaves out."""
    value: Entry = entry["metrics"][metric]
    zeros = entry["zero_targets"][dimension]
    if not metric.startswith("sagr") or not zeros or value.get("reason"):
        return value
    reason = f"{zeros:,} of {entry['n']:,} rows have {dimension} 0, which has no sign"
    return {**value, "reason": reason}


def figures(evaluation: Evaluation, entry: Entry, *, seed: int = 0) -> dict[str, Any]:
    """The circumplex, in the colors of the expressions where these are known."""
    arrays = arrays_of(evaluation, "valence_arousal", ValenceArousalArrays)
    rows = np.flatnonzero(arrays.labeled)
    predictions, targets = (
        np.asarray(values, np.float64)[rows] for values in (arrays.predictions, arrays.targets)
    )
    expression = evaluation.heads.get("expression")
    names: Sequence[str] = ()
    labels = np.full(rows.size, -1)
    if isinstance(expression, ExpressionArrays):
        names, labels = expression.names, expression.targets[rows]
    return {
        "circumplex": circumplex(predictions, targets, labels, names, seed=seed),
        "legend": classes.legend(labels, names),
        "by_class": bool((labels >= 0).any()),
        "drawn": min(int(rows.size), MAP_ROWS),
    }


def headline(entry: Entry) -> list[Block]:
    """Every metric."""
    return [Block(f"{plural(entry['n'], 'row')}, valence and arousal", entry["metrics"])]


def compare(
    sides: Sequence[Side], pairings: Sequence[Pairing], *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """The concordances of each side, and their differences to the first."""
    return compare_drawn(sides, pairings, HEADLINE), []


def comparison_tables(entry: Entry, document: Entry) -> dict[str, Any]:
    """Values of each side and differences in one table."""
    lead = f"Concordance over the {plural(entry['n'], 'row')} with both; 1 is best."
    return side_by_side(entry, document, [METRICS[name] for name in HEADLINE], lead)


def verdicts(entry: Entry, document: Entry) -> list[Verdict]:
    """None: no verdict is given on valence and arousal."""
    return []


def comparison_headline(entry: Entry, document: Entry) -> list[Block]:
    """The concordances of each side and their differences."""
    return side_blocks(entry, document, f"{plural(entry['n'], 'row')}, valence and arousal")
