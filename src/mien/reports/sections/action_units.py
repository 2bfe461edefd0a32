"""Action units: how well the presence of each unit is predicted, and the means over units."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.heads.action_units import ActionUnitInfo
from mien.labels import ACTION_UNIT_TITLES
from mien.metrics.catalog import by_name
from mien.metrics.classification import FloatArray, weighted_means
from mien.metrics.multilabel import (
    ACTION_UNITS,
    UNIT_DECISIONS,
    binary_metrics,
    mean_over_units,
    presence,
)
from mien.reports.evaluation import Evaluation, HeadArrays, arrays_of, check_shape
from mien.reports.sections.drawn import (
    Measured,
    compare_drawn,
    no_figures,
    side_blocks,
    side_by_side,
)
from mien.reports.sections.section import (
    Block,
    Entry,
    Pairing,
    Side,
    Verdict,
    evidence_of,
    intervals_of,
    verdict_sentence,
)
from mien.reports.tables import (
    Cell,
    Heading,
    Row,
    Table,
    bar,
    metric_table,
    number,
    plural,
    signed,
)
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals
from mien.statistics.paired import verdict


@dataclass(frozen=True, eq=False, kw_only=True)
class ActionUnitArrays(HeadArrays):
    """Targets ``(N, K)`` in [0, 1], NaN where not annotated; predictions ``(N, K)`` in [0, 1]."""

    info: ActionUnitInfo = field(default_factory=ActionUnitInfo)

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Rows with an annotated unit."""
        labeled: NDArray[np.bool_] = (~np.isnan(self.targets)).any(1)
        return labeled

    def reasons(self) -> dict[str, int]:
        """Rows without one."""
        count = int((~self.labeled).sum())
        return {"no action unit annotated": count} if count else {}

    def check(self, n: int) -> None:
        """Raise ``ValueError`` for arrays of other rows or units, or out of range."""
        shape = (n, len(self.info.units))
        check_shape("targets", self.targets, shape)
        check_shape("predictions", self.predictions, shape)
        if not ((self.predictions >= 0) & (self.predictions <= 1)).all():
            raise ValueError("expected predictions in [0, 1]")
        if ((self.targets < 0) | (self.targets > 1)).any():
            raise ValueError("expected targets in [0, 1], or NaN where not annotated")


ARRAYS = ActionUnitArrays
METRICS = by_name(ACTION_UNITS, UNIT_DECISIONS)
HEADLINE = tuple(METRICS)
DECIDES = "mean_unit_f1_calibrated"
"""The metric that the verdict of a comparison is about."""
comparison_figures = no_figures
MAIN = (DECIDES,)
ANSWER = "set of units"
_OF_UNITS = ("base_rate", "auc", "f1", "accuracy")


def answers(arrays: ActionUnitArrays) -> NDArray[np.bool_]:
    """Whether each unit is present."""
    present: NDArray[np.bool_] = arrays.predictions >= np.array(arrays.info.thresholds)
    return present


def evaluate(
    evaluation: Evaluation, *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """The means over units, and under ``per_unit`` each unit over its annotated rows.

    F1 and accuracy of a unit are at its threshold. A unit that is present in all of its rows, or
    in none, has neither these nor an AUC and no part in the means.
    """
    arrays = arrays_of(evaluation, "action_units", ActionUnitArrays)
    rows = np.flatnonzero(arrays.labeled)
    annotated, present = presence(arrays.targets[rows])
    values = intervals(_draw(evaluation, seed=seed, draws=draws))
    entry: dict[str, Any] = {
        "n": int(rows.size),
        "metrics": {name: _mean(values[name]).as_dict() for name in METRICS},
        "per_unit": {
            unit: {
                "n": int(annotated[:, index].sum()),
                "present": int(present[:, index].sum()),
                "threshold": arrays.info.thresholds[index],
            }
            | {
                name: _of_unit(values[name, index], annotated[:, index], present[:, index])
                for name in _OF_UNITS
            }
            for index, unit in enumerate(arrays.info.units)
        },
        "left_out": arrays.reasons(),
    }
    undefined = [
        unit for unit, of_unit in entry["per_unit"].items() if of_unit["f1"]["value"] is None
    ]
    if not undefined:
        return entry, []
    return entry, [
        f"The means are over {len(arrays.info.units) - len(undefined)} of "
        f"{len(arrays.info.units)} action units: no annotated rows both with and without "
        f"{', '.join(undefined)}"
    ]


def _draw(evaluation: Evaluation, *, seed: int, draws: int) -> Bootstrap[Hashable]:
    """The bootstrap of the means by name and of each unit by ``(name, number)``."""
    arrays = arrays_of(evaluation, "action_units", ActionUnitArrays)
    rows = np.flatnonzero(arrays.labeled)
    annotated, present = presence(arrays.targets[rows])
    probabilities = np.asarray(arrays.predictions[rows], np.float64)

    def statistics(weights: FloatArray) -> dict[Hashable, FloatArray]:
        values: dict[Hashable, FloatArray] = {}
        plain_f1 = np.full((len(arrays.info.units), len(weights)), np.nan)
        for unit, threshold in enumerate(arrays.info.thresholds):
            some = annotated[:, unit]
            of_unit = (present[some, unit], probabilities[some, unit])
            drawn = weights[:, some]
            metrics = binary_metrics(*of_unit, threshold=threshold, weights=drawn)
            plain_f1[unit] = binary_metrics(*of_unit, weights=drawn)["f1"]
            values |= {(name, unit): value for name, value in metrics.items()}
            values["base_rate", unit] = weighted_means(drawn, of_unit[0].astype(float))
        units = range(len(arrays.info.units))
        means = {
            name: mean_over_units(np.stack([values[name, unit] for unit in units]))
            for name in ("auc", "f1", "accuracy")
        }
        values["mean_unit_auc"] = means["auc"]
        values["mean_unit_f1"] = mean_over_units(plain_f1)
        values["mean_unit_f1_calibrated"] = means["f1"]
        values["mean_unit_accuracy_calibrated"] = means["accuracy"]
        return values

    clusters = evaluation.clusters(rows)
    return bootstrap(statistics, rows.size, clusters=clusters, draws=draws, seed=seed)


def _mean(value: Interval) -> Interval:
    if value.value is not None:
        return value
    return Interval(None, reason="no unit has annotated rows both with and without it")


def _of_unit(value: Interval, annotated: Any, present: Any) -> dict[str, Any]:
    if value.value is not None:
        return value.as_dict()
    reason = "no row is annotated"
    if annotated.any():
        reason = f"the unit is present in {'every' if present.any() else 'no'} annotated row"
    return Interval(None, reason=reason).as_dict()


def tables(entry: Entry) -> dict[str, Any]:
    """The means, and a row for each unit."""
    columns = ("Rows", "Threshold", "Base rate", "AUC", "F1", "Accuracy")
    units = Table(
        [Heading(title) for title in columns],
        corner="Unit",
        bars="F1",
        css="classes",
        title="Each unit",
        lead="Percent, over the rows that are annotated for the unit. The base rate is the share "
        "of them in which it is present; F1 and accuracy are at the model's threshold.",
    )
    for unit, of_unit in entry["per_unit"].items():
        counts = [Cell(f"{of_unit['n']:,}"), Cell(number(of_unit["threshold"], "points"))]
        cells = counts + [units.value(of_unit[name], "%") for name in _OF_UNITS]
        heading = Heading(unit, ACTION_UNIT_TITLES.get(unit, ""))
        units.rows.append(Row(heading, cells, bar(of_unit["f1"])))
    means = metric_table(entry["metrics"], METRICS)
    rows = plural(entry["n"], "row")
    lead = f"{rows} with an annotated unit. A unit is present from intensity 2 of 5."
    return {"metrics": replace(means, lead=lead), "units": units}


def figures(evaluation: Evaluation, entry: Entry, *, seed: int = 0) -> dict[str, Any]:
    """None."""
    return {}


def headline(entry: Entry) -> list[Block]:
    """The means over units, and the F1 of each."""
    units = {f"f1 {unit}": of_unit["f1"] for unit, of_unit in entry["per_unit"].items()}
    rows = plural(entry["n"], "row")
    return [Block(f"{rows}, action units", entry["metrics"]), Block("each unit", units)]


def measure(
    evaluation: Evaluation, *, plane: bool = True, seed: int = 0, draws: int = 1000
) -> Measured:
    """The bootstrap of the means over units."""
    arrays = arrays_of(evaluation, "action_units", ActionUnitArrays)
    rows = np.flatnonzero(arrays.labeled)
    drawn = _draw(evaluation, seed=seed, draws=draws)
    means = Bootstrap(
        values={name: drawn.values[name] for name in METRICS},
        drawn={name: drawn.drawn[name] for name in METRICS},
        design=drawn.design,
    )
    return Measured(rows, arrays.targets[rows], means, arrays.reasons())


def compare(
    sides: Sequence[Side], pairings: Sequence[Pairing], *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """The means of each side, their differences to the first, and a verdict on the F1."""
    entry = compare_drawn(sides, pairings, HEADLINE) | {"decided_by": DECIDES}
    for comparison in entry["comparisons"]:
        # There is no test: what the intervals show is the verdict.
        comparison["verdict"] = verdict(intervals_of(comparison["metrics"][DECIDES]), 0.0)
    if len(sides) < 3:
        return entry, []
    return entry, ["The verdicts on action units are not corrected for several comparisons"]


def comparison_tables(entry: Entry, document: Entry) -> dict[str, Any]:
    """Values of each side and differences in one table."""
    rows = plural(entry["n"], "row")
    lead = f"Means over units, of the {rows} with an annotated unit; percent."
    return side_by_side(entry, document, METRICS.values(), lead)


def verdicts(entry: Entry, document: Entry) -> list[Verdict]:
    """A verdict on the mean F1 for each comparison."""
    metric = METRICS[DECIDES]
    verdicts = []
    for comparison, pairing in zip(entry["comparisons"], document["comparisons"], strict=True):
        difference = comparison["metrics"][DECIDES]
        evidence = evidence_of(difference, "%", len(pairing["seeds"]))
        amount = signed(difference["value"], "%")
        notes = [*pairing["notes"], *comparison["notes"]]
        verdicts.append(
            Verdict(comparison["verdict"], amount, "points", metric.title, evidence, notes)
        )
    return verdicts


def comparison_headline(entry: Entry, document: Entry) -> list[Block]:
    """The means of each side, their differences, and the verdicts."""
    about = METRICS[DECIDES].title
    sentences = [
        verdict_sentence(comparison, document, about) for comparison in entry["comparisons"]
    ]
    blocks = side_blocks(entry, document, f"{plural(entry['n'], 'row')}, action units")
    return [*blocks, Block("", {}, sentences)]
