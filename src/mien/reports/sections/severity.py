"""Severity: the score against baselines that need no look at the face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.corpora.depression.published import PUBLISHED, SHARED_SUBJECTS
from mien.reports.evaluation import Evaluation, SeverityArrays, arrays_of
from mien.reports.figures import severity as drawings
from mien.reports.sections.section import Block, Entry
from mien.reports.sections.severity_comparison import (
    Measured,
    compare,
    comparison_figures,
    comparison_headline,
    comparison_tables,
    verdicts,
)
from mien.reports.sections.severity_warnings import calibration_warnings, sharing_warnings
from mien.reports.tables import (
    Cell,
    Heading,
    Row,
    Table,
    confusion,
    count_cell,
    difference_cell,
    metric_heading,
    number,
    plural,
)
from mien.scales import RESEARCH_ONLY
from mien.statistics.baselines import (
    BASELINES,
    COMPARED,
    METRICS,
    ScorePredictions,
    baseline_predictions,
    measure_scores,
)
from mien.statistics.bootstrap import Interval
from mien.statistics.conformal import calibrate
from mien.statistics.groups import (
    band_confusion,
    errors_by_band,
    errors_by_usable,
    measured_coverage,
)
from mien.statistics.rank_correlation import similarity_rank_correlation
from mien.statistics.recordings import Recordings, average_sessions
from mien.statistics.subjects import subject_groups, subject_names

__all__ = [
    "ANSWER",
    "ARRAYS",
    "HEADLINE",
    "MAIN",
    "METRICS",
    "answers",
    "compare",
    "comparison_figures",
    "comparison_headline",
    "comparison_tables",
    "evaluate",
    "figures",
    "headline",
    "measure",
    "tables",
    "verdicts",
]

ARRAYS = SeverityArrays
HEADLINE = tuple(METRICS)
MAIN = ("mae",)
ANSWER = "band"
_BASELINE_TITLES = {
    "mean": ("Training mean", "always the same score"),
    "median": ("Training median", "always the same score"),
    "subject": (
        "Only the subject",
        "mean of the subject\u2019s other recordings in training, without any the training mean",
    ),
}
_GROUP_TITLES = {
    "seen": "Subject in training",
    "unseen": "Subject not in training",
    "unknown": "Subject not known",
}


def answers(arrays: SeverityArrays) -> NDArray[Any]:
    """The band of the scale, else the nearest whole score; "" without a prediction."""
    scale = arrays.info.scale
    scores = np.asarray(arrays.predictions, np.float64).tolist()
    if scale.bands:
        return np.array([scale.band(score) if np.isfinite(score) else "" for score in scores])
    return np.array([str(round(score)) if np.isfinite(score) else "" for score in scores])


def evaluate(
    evaluation: Evaluation, *, seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Any], list[str]]:
    """Metrics against baselines, by group of subjects, band, task and usable frames.

    Draws take subjects where they are known, with all their recordings; the training set stays as
    it is.
    """
    arrays = arrays_of(evaluation, "severity", SeverityArrays)
    recordings, scale = recordings_of(evaluation), arrays.info.scale
    predictions = baseline_predictions(recordings, arrays.training)
    groups = subject_groups(recordings.subjects, arrays.training.subjects)
    options = {"seed": seed, "draws": draws}
    measured = measure_scores(predictions, **options)
    by_group = {
        name: measure_scores(predictions.take(rows), **options) for name, rows in groups.items()
    }
    entry = {
        "n": len(recordings),
        "use": RESEARCH_ONLY,
        "scale": scale.model_dump(mode="json"),
        "subjects": measured["subjects"],
        "metrics": measured["metrics"],
        "baselines": measured["baselines"],
        "training": _training(arrays.training),
        "verdicts": baseline_verdicts(measured, by_group),
        "subject_groups": by_group,
        "by_task": _by_task(recordings, predictions, **options),
        "sessions": _sessions(recordings, arrays.training, **options),
        "by_band": errors_by_band(scale, recordings, **options),
        "by_usable": errors_by_usable(recordings, **options),
        **band_confusion(scale, recordings, **options),
        "conformal": _conformal(evaluation, recordings, groups, **options),
        "rank_correlation": similarity_rank_correlation(
            recordings.embeddings, recordings.scores, recordings.clusters, **options
        ),
        "recordings": _listed(recordings, predictions, groups),
        "published": [result._asdict() for result in PUBLISHED.get(arrays.corpus, ())],
        "shared_subjects": SHARED_SUBJECTS if arrays.corpus in PUBLISHED else "",
        "left_out": arrays.reasons(),
    }
    return entry, sharing_warnings(evaluation.split, recordings, arrays.training, groups)


def recordings_of(evaluation: Evaluation, rows: NDArray[Any] | None = None) -> Recordings:
    """The rows of an evaluation with a score and a prediction, or those asked for."""
    arrays = arrays_of(evaluation, "severity", SeverityArrays)
    n = len(evaluation.ids)
    everything = Recordings(
        ids=np.asarray(evaluation.ids),
        subjects=np.full(n, "") if evaluation.subjects is None else evaluation.subjects,
        scores=arrays.targets,
        predictions=arrays.predictions,
        tasks=arrays.tasks,
        usable=arrays.usable,
        embeddings=evaluation.embeddings,
        sessions=arrays.sessions,
    )
    return everything.take(arrays.labeled if rows is None else rows)


def measure(
    evaluation: Evaluation, *, plane: bool = True, seed: int = 0, draws: int = 1000
) -> Measured:
    """The recordings of a run without their embeddings; metrics wait for what others have."""
    arrays = arrays_of(evaluation, "severity", SeverityArrays)
    everyone = recordings_of(evaluation, np.ones(len(evaluation.ids), np.bool_))
    names = ("ids", "subjects", "scores", "predictions")
    recordings = Recordings(**{name: getattr(everyone, name) for name in names})
    return Measured(evaluation.split, arrays.info.scale, recordings, arrays.training)


def baseline_verdicts(measured: Entry, groups: Mapping[str, Entry]) -> list[str]:
    """Whether the model beats each baseline, in words and by the mean absolute error.

    ``measured`` is what :func:`~mien.statistics.baselines.measure_scores` gives for all
    recordings, and ``groups`` for those whose subjects are ``seen`` in training or ``unseen``.
    """
    if not measured["baselines"]:
        return ["No training recording has a score, so there is no baseline to beat."]
    sentences = [_baseline_verdict(measured, name) for name in BASELINES]
    if measured["baselines"]["subject"]["known"] == 0:
        sentences[-1] += " No subject has other recordings in training: this is the mean again."
    # Where there are both kinds of subjects, either alone may carry the difference.
    for name, who, baseline in (
        ("seen", "also in training", "subject"),
        ("unseen", "not in training", "mean"),
    ):
        if 0 < groups[name]["n"] < measured["n"]:
            count = plural(groups[name]["n"], "recording")
            verdict = _baseline_verdict(groups[name], baseline, short=True)
            start = f"On the {count} of subjects {who}: "
            sentences.append(start + verdict[:1].lower() + verdict[1:])
    return sentences


def _baseline_verdict(measured: Entry, name: str, *, short: bool = False) -> str:
    what = BASELINES[name].split(" (")[0] if short else BASELINES[name]
    entry = measured["baselines"][name]
    difference = entry["differences"]["mae"]
    start = {
        "better": "The model beats",
        "worse": "The model is worse than",
    }.get(difference["verdict"], "The model is not shown to beat")
    span = (
        "no interval"
        if difference["low"] is None
        else f"95 % interval {difference['low']:+.2f} to {difference['high']:+.2f}"
    )
    return (
        f"{start} {what}: mean absolute error {measured['metrics']['mae']['value']:.2f} against "
        f"{entry['metrics']['mae']['value']:.2f}, difference {difference['value']:+.2f} ({span})."
    )


def _training(training: Recordings) -> dict[str, Any]:
    scores = training.scores[np.isfinite(training.scores)]
    return {
        "n": len(scores),
        "subjects": len(subject_names(training.subjects)),
        "mean": float(np.mean(scores, dtype=np.float64)) if len(scores) else None,
        "median": float(np.median(scores)) if len(scores) else None,
    }


def _by_task(
    recordings: Recordings, predictions: ScorePredictions, *, seed: int, draws: int
) -> dict[str, Any]:
    tasks = np.array([], str) if recordings.tasks is None else recordings.tasks.astype(str)
    if not (tasks != "").any():
        return {}
    return {
        name or "unknown": measure_scores(predictions.take(tasks == name), seed=seed, draws=draws)
        for name in sorted(set(tasks.tolist()))
    }


def _sessions(
    recordings: Recordings, training: Recordings, *, seed: int, draws: int
) -> dict[str, Any] | None:
    """The same metrics where the predictions of a session's tasks are averaged first."""
    averaged = average_sessions(recordings)
    if averaged is None:
        return None
    return measure_scores(baseline_predictions(averaged, training), seed=seed, draws=draws)


def _conformal(
    evaluation: Evaluation,
    recordings: Recordings,
    groups: Mapping[str, NDArray[np.bool_]],
    *,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """The interval calibrated on the validation recordings, and how many it covers here."""
    arrays = arrays_of(evaluation, "severity", SeverityArrays)
    validation, coverage = arrays.validation, arrays.info.conformal.coverage
    if validation is None or validation.predictions is None:
        reason = "there are no validation recordings to calibrate an interval on"
        entry: dict[str, Any] = {"coverage": coverage, "half_width": None, "subjects": 0}
        entry |= {"split": None, "reason": reason}
    else:
        entry = calibrate(
            validation.scores, validation.predictions, validation.subjects, coverage=coverage
        )
    reason = entry.get("reason", "")
    if not reason and evaluation.split == entry["split"]:
        reason = "the interval was calibrated on this very split"
    covered = dict.fromkeys(["all", *groups], Interval(None, reason=reason))
    if not reason:
        covered = measured_coverage(entry["half_width"], recordings, groups, seed=seed, draws=draws)
    counts = {"all": len(recordings)} | {name: int(rows.sum()) for name, rows in groups.items()}
    return entry | {
        "covered": {name: share.as_dict() for name, share in covered.items()},
        "n": counts,
        "warnings": []
        if validation is None
        else calibration_warnings(evaluation.split, recordings, arrays.training, validation),
    }


def _listed(
    recordings: Recordings, predictions: ScorePredictions, groups: Mapping[str, NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    """Every recording: its score, the model's prediction, and those of the baselines."""
    group_of = {name: rows.tolist() for name, rows in groups.items()}
    return [
        {
            "id": str(recordings.ids[row]),
            "subject": str(recordings.subjects[row]),
            "subject_group": next(name for name, rows in group_of.items() if rows[row]),
            "task": None if recordings.tasks is None else str(recordings.tasks[row]),
            "score": float(predictions.scores[row]),
            "prediction": float(predictions.by_name["model"][row]),
            "baselines": {
                name: float(predictions.by_name[name][row])
                for name in BASELINES
                if name in predictions.by_name
            },
        }
        for row in range(len(recordings))
    ]


def tables(entry: Entry) -> dict[str, Any]:
    """Baselines, groups of subjects, tasks, bands, usable frames, coverage, rank correlation."""
    groups = {
        _GROUP_TITLES[key]: group
        for key, group in entry["subject_groups"].items()
        if group["n"] or key != "unknown"
    }
    tasks = dict(entry["by_task"])
    if tasks and entry["sessions"] is not None:
        tasks["mean of a session\u2019s tasks"] = entry["sessions"]
    bands = [
        (f"{band['name']} ({band['from']}\u2013{band['to']})", band) for band in entry["by_band"]
    ]
    usable = [
        (f"{100 * group['from']:g} to {100 * group['below']:g}\u2009%", group)
        for group in entry["by_usable"]
    ]
    return {
        "baselines": _baseline_table(entry),
        "groups": _group_table(groups),
        "tasks": _group_table(tasks) if tasks else None,
        "bands": _error_table(bands) if bands else None,
        "confusion": confusion(entry, [band["name"] for band in entry["by_band"]])
        if bands
        else None,
        "usable": _error_table(usable) if usable else None,
        "coverage": _coverage_table(entry["conformal"]),
        "rank_correlation": _rank_correlation_table(entry["rank_correlation"]),
        "published": _published_table(entry["published"]) if entry["published"] else None,
    }


def _baseline_table(entry: Entry) -> Table:
    """The values of the model and of each baseline, and below each the difference."""
    table = Table([Heading(METRICS[name].title) for name in COMPARED])
    units = {name: METRICS[name].unit for name in COMPARED}
    cells = [table.value(entry["metrics"][name], unit) for name, unit in units.items()]
    table.rows.append(Row(Heading("The model"), cells))
    for name, baseline in entry["baselines"].items():
        title, meaning = _BASELINE_TITLES[name]
        if name == "subject":
            meaning += f" ({entry['n'] - baseline['known']} of {entry['n']} here)"
        cells = [table.value(baseline["metrics"][key], unit) for key, unit in units.items()]
        table.rows.append(Row(Heading(title, meaning), cells))
        cells = [difference_cell(baseline["differences"][key], unit) for key, unit in units.items()]
        table.rows.append(Row(Heading("\u2003the model less that"), cells))
    return table


def _group_table(groups: Mapping[str, Entry]) -> Table:
    """Metrics in rows, one column for each group of recordings."""
    table = Table([Heading(title) for title in groups])
    members = list(groups.values())
    counts = [count_cell(group["n"], _subjects(group["subjects"])) for group in members]
    table.rows.append(Row(Heading("Recordings"), counts))
    for name, metric in METRICS.items():
        cells = [table.value(group["metrics"][name], metric.unit) for group in members]
        table.rows.append(Row(metric_heading(metric), cells))
    unit = METRICS["mae"].unit
    for name in ("mean", "subject"):
        of_name = [group["baselines"].get(name) for group in members]
        cells = [table.value(group and group["metrics"]["mae"], unit) for group in of_name]
        title = f"MAE of: {_BASELINE_TITLES[name][0].lower()}"
        table.rows.append(Row(Heading(title), cells))
        cells = [difference_cell(group and group["differences"]["mae"], unit) for group in of_name]
        table.rows.append(Row(Heading("\u2003MAE of the model less that"), cells))
    return table


def _error_table(groups: Iterable[tuple[str, Entry]]) -> Table:
    columns = [Heading(title) for title in ("Recordings", "MAE", "Predicted less true")]
    table = Table(columns)
    unit = METRICS["mae"].unit
    for title, group in groups:
        count = count_cell(group["n"], _subjects(group["subjects"]))
        cells = [count, table.value(group["mae"], unit), table.value(group["bias"], unit)]
        table.rows.append(Row(Heading(title), cells))
    return table


def _coverage_table(conformal: Entry) -> Table | None:
    if conformal["half_width"] is None:
        return None
    titles = {"all": "All"} | {
        key: title for key, title in _GROUP_TITLES.items() if conformal["n"][key] or key == "unseen"
    }
    table = Table([Heading(title) for title in titles.values()])
    cells = [table.value(conformal["covered"][key], "%") for key in titles]
    table.rows.append(Row(Heading("Measured coverage, %"), cells))
    return table


def _rank_correlation_table(order: Entry) -> Table:
    titles = {"other_subjects": "Pairs of two subjects", "all_pairs": "All pairs"}
    table = Table([Heading(title) for title in titles.values()])
    table.rows.append(Row(Heading("Pairs"), [count_cell(order[key]["pairs"]) for key in titles]))
    cells: Sequence[Cell] = [table.value(order[key], "") for key in titles]
    table.rows.append(Row(Heading("Rank correlation"), cells))
    return table


def _published_table(results: Sequence[Entry]) -> Table:
    names = ("mae", "rmse", "ccc")
    table = Table([*(Heading(METRICS[name].title) for name in names), Heading("Read in")])
    for result in results:
        cells = [Cell(number(result[name], METRICS[name].unit)) for name in names]
        table.rows.append(Row(Heading(result["method"]), [*cells, Cell("", (result["source"],))]))
    return table


def _subjects(count: int | None) -> str:
    return "subjects unknown" if count is None else plural(count, "subject")


def figures(evaluation: Evaluation, entry: Entry, *, seed: int = 0) -> dict[str, Any]:
    """Predicted against true scores, residuals, and the lines of subjects with several."""
    listed, scale = entry["recordings"], entry["scale"]
    lines, count = drawings.subject_lines(listed)
    return {
        "scatter": drawings.scatter(listed, scale, entry["conformal"]["half_width"]),
        "legend": drawings.legend(listed),
        "residuals": drawings.residuals(listed, scale),
        "lines": lines,
        "lines_of": count,
    }


def headline(entry: Entry) -> list[Block]:
    """The statement of use, metrics, baselines, groups of subjects, the interval, the verdicts."""
    scale = entry["scale"]
    title = f"{_counted(entry)}, {scale['name']} 0 to {scale['top']}"
    blocks = [Block("", {}, [entry["use"]]), Block(title, entry["metrics"])]
    for name, baseline in entry["baselines"].items():
        differences = baseline["differences"].items()
        metrics = {key: baseline["metrics"][key] for key in ("mae", "rmse")}
        metrics |= {f"model less this: {key}": difference for key, difference in differences}
        blocks.append(Block(f"baseline: {name}", metrics))
    for name, group in entry["subject_groups"].items():
        if group["n"] or name != "unknown":
            blocks.append(
                Block(f"{_GROUP_TITLES[name].lower()}, {_counted(group)}", group["metrics"])
            )
    tasks = entry["by_task"] | ({"averaged": entry["sessions"]} if entry["sessions"] else {})
    for name, group in tasks.items():
        blocks.append(Block(f"task {name}, {_counted(group)}", group["metrics"]))
    conformal = entry["conformal"]
    if conformal["half_width"] is None:
        blocks.append(Block("", {}, [f"no interval: {conformal['reason']}"]))
    else:
        covered = {
            "covered here": conformal["covered"]["all"],
            "of subjects not in training": conformal["covered"]["unseen"],
        }
        width = f"interval of {100 * conformal['coverage']:g} %: +- {conformal['half_width']:.2f}"
        blocks.append(Block(f"calibrated on {conformal['split']}", covered, [width]))
    order = {name.replace("_", " "): pairs for name, pairs in entry["rank_correlation"].items()}
    title = "rank correlation of similarity and nearness in score"
    return [
        *blocks,
        Block(title, order, [*entry["verdicts"], *conformal["warnings"]]),
    ]


def _counted(entry: Entry) -> str:
    return f"{plural(entry['n'], 'recording')}, {_subjects(entry['subjects'])}"
