"""How well severity is predicted: per recording, by subject, and against knowing the person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.reports.report import require_train_extra, write_documents
from mien.reports.severity_groups import by_band, by_usable, conformal, confusion
from mien.scales import RESEARCH_ONLY
from mien.schema import MienError
from mien.statistics.baselines import BASELINES, MEASURES, Guesses, guess, measure
from mien.statistics.conformal import COVERAGE, conformal_half_width
from mien.statistics.ordering import order_of_similarity
from mien.statistics.recordings import Recordings, SeverityEvaluation, fused_sessions
from mien.statistics.scores import LEVEL
from mien.statistics.subjects import few_warnings, persons, sharing_warnings

__all__ = [
    "Recordings",
    "SeverityEvaluation",
    "conformal_half_width",
    "evaluate_severity",
    "write_severity_report",
]


def evaluate_severity(
    evaluation: SeverityEvaluation, *, seed: int = 0, draws: int = 1000, coverage: float = COVERAGE
) -> dict[str, Any]:
    """Compute the content of ``report.json`` of a severity run; every value with its interval.

    Recordings without a score or prediction are left out and counted. At least one must remain
    (:class:`MienError`). Bootstrap draws take subjects where they are known, with all their
    recordings; the training set stays as it is. A value that is not defined is None and its
    ``reason`` is beside it. ``coverage`` is what the conformal interval is asked for.
    """
    require_train_extra()
    everyone = evaluation.recordings
    kept = everyone.take(everyone.known)
    if len(kept) == 0:
        raise MienError(
            f"expected recordings with a score in split {evaluation.split!r}, got none of "
            f"{len(everyone)}: name another split"
        )
    guesses = guess(kept, evaluation.training)
    groups = persons(kept, evaluation.training)
    order = {"seed": seed, "draws": draws}
    clusters = None if kept.clusters is None else len(np.unique(kept.clusters))
    main = measure(guesses, **order)
    of_persons = {name: measure(guesses.take(rows), **order) for name, rows in groups.items()}
    return {
        "task": "severity",
        "use": RESEARCH_ONLY,
        "trained_on": evaluation.provenance.get("trained_on", ""),
        "split": evaluation.split,
        "scale": evaluation.scale.model_dump(mode="json"),
        "n": len(kept),
        "subjects": clusters,
        "metrics": {name: main[name] for name in MEASURES},
        "baselines": main["baselines"],
        "training": _training(evaluation.training),
        "verdicts": verdicts(main, of_persons),
        "persons": of_persons,
        "by_task": _by_task(kept, guesses, **order),
        "sessions": _sessions(kept, evaluation.training, **order),
        "by_band": by_band(evaluation, kept, **order),
        "by_usable": by_usable(kept, **order),
        **confusion(evaluation, kept, **order),
        "conformal": conformal(evaluation, kept, groups, coverage=coverage, **order),
        "order": order_of_similarity(kept.embeddings, kept.scores, kept.clusters, **order),
        "recordings": _listed(kept, guesses, groups),
        "clustered_by": None if clusters is None else "subject",
        "clusters": clusters,
        "intervals": {"level": LEVEL, "draws": draws, "seed": seed},
        "left_out": _left_out(evaluation),
        "provenance": dict(evaluation.provenance),
        "warnings": [
            *sharing_warnings(evaluation, kept, groups),
            *evaluation.warnings,
            *few_warnings(clusters),
        ],
    }


def write_severity_report(
    evaluation: SeverityEvaluation, report: dict[str, Any], out: str | Path
) -> Path:
    """Write ``report.json`` and ``report.html`` into ``out`` and return the page's path.

    ``report`` is what :func:`evaluate_severity` made of ``evaluation``. Both files appear whole
    or not at all, and the page needs no other file.
    """
    from mien.reports.severity_page import render_severity

    require_train_extra()
    return write_documents(out, "report", report, render_severity(evaluation, report))


def verdicts(measured: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Whether the model beats each baseline, in words and by the mean absolute error.

    ``measured`` is what :func:`~mien.statistics.baselines.measure` makes of all recordings, and
    ``groups`` of those whose subjects are ``seen`` in training or ``unseen``.
    """
    if not measured["baselines"]:
        return ["No training recording has a score, so there is no baseline to beat."]
    sentences = [_verdict(measured, name) for name in BASELINES]
    if measured["baselines"]["person"]["known"] == 0:
        sentences[-1] += " No subject has other recordings in training: this is the mean again."
    # Where both kinds of people are there, either alone may carry the difference.
    for name, who, baseline in (
        ("seen", "also in training", "person"),
        ("unseen", "not in training", "mean"),
    ):
        if 0 < groups[name]["n"] < measured["n"]:
            count = groups[name]["n"]
            title = f"On the {count} recording{'s' * (count != 1)} of subjects {who}: "
            sentences.append(title + _lower(_verdict(groups[name], baseline, short=True)))
    return sentences


def _verdict(measured: Mapping[str, Any], name: str, *, short: bool = False) -> str:
    what = BASELINES[name].split(" (")[0] if short else BASELINES[name]
    entry = measured["baselines"][name]
    found = entry["differences"]["mae"]
    said = {
        "better": "The model beats",
        "worse": "The model is worse than",
    }.get(found["word"], "The model is not shown to beat")
    span = (
        "no interval"
        if found["low"] is None
        else f"95 % interval {found['low']:+.2f} to {found['high']:+.2f}"
    )
    return (
        f"{said} {what}: mean absolute error {measured['mae']['value']:.2f} against "
        f"{entry['mae']['value']:.2f}, difference {found['value']:+.2f} ({span})."
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _training(training: Recordings) -> dict[str, Any]:
    scores = training.scores[np.isfinite(training.scores)]
    names = training.subjects.astype(str)
    return {
        "n": len(scores),
        "subjects": len(set(names[names != ""].tolist())),
        "mean": float(np.mean(scores, dtype=np.float64)) if len(scores) else None,
        "median": float(np.median(scores)) if len(scores) else None,
    }


def _by_task(kept: Recordings, guesses: Guesses, *, seed: int, draws: int) -> dict[str, Any]:
    tasks = np.array([], str) if kept.tasks is None else kept.tasks.astype(str)
    if not (tasks != "").any():
        return {}
    return {
        name or "unknown": measure(guesses.take(tasks == name), seed=seed, draws=draws)
        for name in sorted(set(tasks.tolist()))
    }


def _sessions(
    kept: Recordings, training: Recordings, *, seed: int, draws: int
) -> dict[str, Any] | None:
    """The same measures where the predictions of a session's tasks are averaged first."""
    fused = fused_sessions(kept)
    if fused is None:
        return None
    return measure(guess(fused, training), seed=seed, draws=draws)


def _listed(
    kept: Recordings, guesses: Guesses, groups: Mapping[str, NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    """Every recording: what is known of it, what was said, and how well its subject was known."""
    where = {name: rows.tolist() for name, rows in groups.items()}
    return [
        {
            "video": str(kept.videos[row]),
            "subject": str(kept.subjects[row]),
            "person": next(name for name, rows in where.items() if rows[row]),
            "task": None if kept.tasks is None else str(kept.tasks[row]),
            "score": float(guesses.scores[row]),
            "prediction": float(guesses.by["model"][row]),
            "baselines": {
                name: float(guesses.by[name][row]) for name in BASELINES if name in guesses.by
            },
        }
        for row in range(len(kept))
    ]


def _left_out(evaluation: SeverityEvaluation) -> dict[str, int]:
    own = evaluation.recordings
    scored = np.isfinite(own.scores)
    found = dict(evaluation.left_out) | {
        "no score": int((~scored).sum()),
        "no prediction": int((scored & ~own.known).sum()),
    }
    return {reason: count for reason, count in found.items() if count}
