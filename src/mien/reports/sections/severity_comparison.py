"""Severity in a comparison: differences paired over subjects and crossed with seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.reports.sections.section import (
    Block,
    Entry,
    Pairing,
    Side,
    Verdict,
    verdict_sentence,
)
from mien.reports.sections.severity_warnings import sharing_warnings
from mien.reports.tables import (
    Heading,
    Row,
    Table,
    difference_cell,
    plural,
    signed,
    signed_interval,
)
from mien.scales import RESEARCH_ONLY, Scale
from mien.statistics.baselines import (
    COMPARED,
    METRICS,
    baseline_predictions,
    differences_entry,
    measure_scores,
)
from mien.statistics.paired import NOTHING_SHOWN
from mien.statistics.paired_recordings import paired_severity_differences
from mien.statistics.recordings import Recordings
from mien.statistics.subjects import count_subjects, subject_groups

DECIDES = "mae"
"""The metric that the verdict of a comparison is about."""


class Measured(NamedTuple):
    """What one run predicts for the recordings that all of a comparison share."""

    split: str
    scale: Scale
    recordings: Recordings
    training: Recordings


def compare(
    sides: Sequence[Side], pairings: Sequence[Pairing], *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """Metrics of each run, and the differences of each side to the first.

    Only recordings with a score and a prediction of every run count (:class:`MienError` where
    there are none). Beside the differences over all of them stand those of ``unseen`` subjects.
    """
    runs: list[Measured] = [run for side in sides for run in side.runs]
    first = runs[0]
    if any(run.recordings.ids.tolist() != first.recordings.ids.tolist() for run in runs):
        raise ValueError("expected runs that were measured on the same recordings in one order")
    rows = np.logical_and.reduce([run.recordings.scored for run in runs])
    if not rows.any():
        raise MienError(
            f"expected recordings of split {first.split!r} with a score and a prediction of every "
            f"model, got none of {len(first.recordings)}: name another split"
        )
    shared = first.recordings.take(rows)
    groups = subject_groups(shared.subjects, first.training.subjects)
    options = {"seed": seed, "draws": draws}
    entry = {
        "n": len(shared),
        "use": RESEARCH_ONLY,
        "scale": first.scale.model_dump(mode="json"),
        "subjects": count_subjects(shared.clusters),
        "unseen": int(groups["unseen"].sum()),
        "decided_by": DECIDES,
        "entries": [
            {
                "letter": side.letter,
                "members": [{"metrics": _metrics(run, rows, **options)} for run in side.runs],
            }
            for side in sides
        ],
        "comparisons": [
            _compared(pairing, sides[0], side, rows, groups["unseen"], **options)
            for side, pairing in zip(sides[1:], pairings, strict=True)
        ],
        "left_out": {"no score or prediction": int((~rows).sum())} if not rows.all() else {},
    }
    warnings = sharing_warnings(first.split, shared, first.training, groups)
    if len(sides) > 2:
        warnings.append("The verdicts on severity are not corrected for several comparisons")
    return entry, warnings


def _metrics(run: Measured, rows: NDArray[np.bool_], *, seed: int, draws: int) -> dict[str, Any]:
    predictions = baseline_predictions(run.recordings.take(rows), run.training)
    of_model = {"model": predictions.by_name["model"]}
    measured = measure_scores(predictions._replace(by_name=of_model), seed=seed, draws=draws)
    metrics: dict[str, Any] = measured["metrics"]
    return metrics


def _compared(
    pairing: Pairing,
    first: Side,
    other: Side,
    rows: NDArray[np.bool_],
    unseen: NDArray[np.bool_],
    *,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "entry": pairing.entry,
        "to": pairing.to,
        "metrics": {},
        "unseen": {},
        "verdict": NOTHING_SHOWN,
        "notes": [],
    }
    if not pairing.pairs:
        return entry
    of_entry, of_first = (
        np.stack([np.asarray(run.recordings.predictions, np.float64)[rows] for run in runs])
        for runs in pairing.runs(other.runs, first.runs)
    )
    recordings = first.runs[0].recordings.take(rows)
    everyone = np.ones(len(recordings), np.bool_)
    for name, some in (("metrics", everyone), ("unseen", unseen)):
        if not some.any() or (name == "unseen" and some.all()):
            continue
        differences = paired_severity_differences(
            recordings.scores[some],
            of_entry[:, some],
            of_first[:, some],
            recordings.subjects[some],
            seed=seed,
            draws=draws,
        )
        entry[name] = {key: differences_entry(key, differences[key]) for key in COMPARED}
    return entry | {"verdict": entry["metrics"][DECIDES]["verdict"]}


def comparison_tables(entry: Entry, document: Entry) -> dict[str, Any]:
    """Differences over all recordings and those of unseen subjects, and the values of runs."""
    labels = {side["letter"]: side["label"] for side in document["entries"]}
    differences = Table([Heading(METRICS[name].title) for name in COMPARED])
    for comparison in entry["comparisons"]:
        title = f"{labels[comparison['entry']]} less {labels[comparison['to']]}"
        for key, who, count in (
            ("metrics", "all", entry["n"]),
            ("unseen", "subjects not in training", entry["unseen"]),
        ):
            if comparison[key]:
                cells = [
                    difference_cell(comparison[key][name], METRICS[name].unit) for name in COMPARED
                ]
                heading = Heading(title, f"{who}, {plural(count, 'recording')}")
                differences.rows.append(Row(heading, cells))
    values = Table([Heading(metric.title) for metric in METRICS.values()])
    for of_head, side in zip(entry["entries"], document["entries"], strict=True):
        for run, member in zip(of_head["members"], side["members"], strict=True):
            seed = "" if member["seed"] is None else f"seed {member['seed']}"
            cells = [
                values.value(run["metrics"][name], metric.unit) for name, metric in METRICS.items()
            ]
            values.rows.append(Row(Heading(side["label"], seed, letter=side["letter"]), cells))
    return {"differences": differences, "values": values}


def comparison_figures(entry: Entry, sides: Sequence[Side]) -> dict[str, Any]:
    """None."""
    return {}


def verdicts(entry: Entry, document: Entry) -> list[Verdict]:
    """A verdict on the mean absolute error for each comparison."""
    metric = METRICS[DECIDES]
    items = []
    for comparison, pairing in zip(entry["comparisons"], document["comparisons"], strict=True):
        difference = comparison["metrics"].get(DECIDES)
        if difference is None:
            amount, evidence = "\u2013", ["no interval"]
        else:
            amount = signed(difference["value"], metric.unit)
            crossed = " and seeds" * (len(pairing["seeds"]) > 1)
            span = signed_interval(difference, metric.unit) or "no interval"
            evidence = [f"over subjects{crossed} {span}"]
        notes = [*pairing["notes"], *comparison["notes"]]
        items.append(
            Verdict(comparison["verdict"], amount, "points", metric.title, evidence, notes)
        )
    return items


def comparison_headline(entry: Entry, document: Entry) -> list[Block]:
    """The statement of use, the values of each run, the differences, and the verdicts."""
    blocks = [Block("", {}, [entry["use"]])]
    count = plural(entry["n"], "recording")
    for of_head, side in zip(entry["entries"], document["entries"], strict=True):
        for run, member in zip(of_head["members"], side["members"], strict=True):
            seed = "" if member["seed"] is None else f", seed {member['seed']}"
            title = f"{side['letter']} {side['label']}{seed}: {count}"
            blocks.append(Block(title, run["metrics"]))
    for comparison in entry["comparisons"]:
        title = f"{comparison['entry']} less {comparison['to']}"
        sentence = verdict_sentence(comparison, document, METRICS[DECIDES].title)
        blocks.append(Block(f"{title}, paired", comparison["metrics"]))
        blocks.append(Block(f"{title}, subjects not in training", comparison["unseen"], [sentence]))
    return blocks
