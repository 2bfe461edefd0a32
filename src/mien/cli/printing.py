"""What commands print on stdout: results as JSON or as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def print_json(document: Any) -> None:
    """Indented, with every letter as it is."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_counts(info: Mapping[str, Any]) -> None:
    """Faces by split and class, of a ``dataset.json``."""
    counts = [
        (split, name, count)
        for split, by_class in info["counts"].items()
        for name, count in by_class.items()
    ]
    _print_table(("split", "class", "faces"), counts)


def print_dataset(
    info: Mapping[str, Any], left_out: Sequence[Sequence[Any]], *, landmarks: bool
) -> None:
    """The counts of a ``dataset.json``, and where they were detected, ``landmarks``."""
    print_counts(info)
    _print_table(("left out, because", "rows"), left_out)
    if landmarks and (fixed := info["alignment"].get("fixed", 0)):
        found = info["landmarks"].get("fixed", 0)
        print(f"landmarks found in {found} of {fixed} tight crops")


def print_report(report: Mapping[str, Any], page: Path) -> None:
    """The metrics of a ``report.json``, its warnings, and where the page is."""
    split = report["split"]
    _print_metrics(f"{split}, {report['n']:,} faces, rule {report['rule']}", report["metrics"])
    for name, other in report["other_rules"].items():
        _print_metrics(f"{split}, {other['n']:,} faces, rule {name}", other["metrics"])
    for name, reading in (report["reference"] or {"readings": {}})["readings"].items():
        _print_metrics(f"read by {name.replace('_', ' ')}", reading["metrics"])
    if affect := report["valence_arousal"]:
        found = {"mean_ccc": affect["mean_ccc"]}
        for dimension in ("valence", "arousal"):
            measures = {key: m for key, m in affect[dimension].items() if key != "zero_targets"}
            found |= {f"{dimension}_{key}": m for key, m in measures.items()}
        _print_metrics(f"{split}, {affect['n']:,} faces, valence and arousal", found)
    _print_notes(report["warnings"])
    print(f"report: {page}")


def print_severity(report: Mapping[str, Any], page: Path) -> None:
    """The measures of a severity ``report.json``, its baselines in words, and the page's place."""
    split, scale = report["split"], report["scale"]
    _print_notes(report["warnings"][:1])
    print(report["use"])
    print()
    title = f"{split}, {_recordings(report)}, {scale['name']} 0 to {scale['top']}"
    _print_metrics(title, report["metrics"])
    for name, entry in report["baselines"].items():
        found = {"mae": entry["mae"], "rmse": entry["rmse"]}
        found |= {f"model less this: {key}": d for key, d in entry["differences"].items()}
        _print_metrics(f"baseline: {name}", found)
    for name, entry in report["persons"].items():
        if entry["n"] or name != "unknown":
            who = {"seen": "subjects in training", "unseen": "subjects not in training"}
            title = f"{who.get(name, 'subjects not known')}, {_recordings(entry)}"
            _print_metrics(title, {key: entry[key] for key in report["metrics"]})
    tasks = report["by_task"] | ({"fused": report["sessions"]} if report["sessions"] else {})
    for name, entry in tasks.items():
        found = {key: entry[key] for key in report["metrics"]}
        _print_metrics(f"task {name}, {_recordings(entry)}", found)
    conformal = report["conformal"]
    if conformal["half_width"] is not None:
        print(f"interval of {100 * conformal['coverage']:g} %: +- {conformal['half_width']:.2f}")
        measured = {"covered here": conformal["measured"]["all"]}
        measured["of subjects not in training"] = conformal["measured"]["unseen"]
        _print_metrics("calibrated on " + conformal["split"], measured)
    else:
        print(f"no interval: {conformal['reason']}")
    order = {name.replace("_", " "): entry for name, entry in report["order"].items()}
    _print_metrics("rank correlation of similarity and nearness in score", order)
    for sentence in report["verdicts"]:
        print(sentence)
    _print_notes([*report["warnings"][1:], *conformal["warnings"]])
    print(f"report: {page}")


def print_severity_comparison(document: Mapping[str, Any], page: Path) -> None:
    """Values, paired differences and the words of a ``compare.json`` of severity."""
    _print_notes(document["warnings"][:1])
    print(document["use"])
    print()
    for entry in document["entries"]:
        for member in entry["members"]:
            seed = "" if member["seed"] is None else f", seed {member['seed']}"
            title = f"{entry['letter']} {entry['label']}{seed}: {_recordings(document)}"
            _print_metrics(title, member["metrics"])
    labels = {entry["letter"]: entry["label"] for entry in document["entries"]}
    for found in document["comparisons"]:
        _print_metrics(f"{found['entry']} less {found['to']}, paired", found["differences"])
        title = f"{found['entry']} less {found['to']}, subjects not in training"
        _print_metrics(title, found["unseen"])
        print(f"{labels[found['entry']]} against {labels[found['to']]}: {found['word']} (MAE)")
        _print_notes(found["notes"])
    _print_notes(document["warnings"][1:])
    print(f"comparison: {page}")


def _recordings(entry: Mapping[str, Any]) -> str:
    n, subjects = entry["n"], entry["subjects"]
    people = "subjects unknown" if subjects is None else f"{subjects:,} subjects"
    return f"{n:,} recordings, {people}"


def print_comparison(document: Mapping[str, Any], page: Path) -> None:
    """Values, paired differences and the word of a ``compare.json``, and where the page is."""
    split = document["split"]
    for entry in document["entries"]:
        runs = f", {len(entry['members'])} runs" * (len(entry["members"]) > 1)
        title = f"{entry['letter']} {entry['label']}{runs}: {split}"
        _print_metrics(f"{title}, {document['n']:,} faces", entry["metrics"])
        affect = entry["valence_arousal"] or {}
        _print_metrics(f"{title}, {document['rated']:,} faces, valence and arousal", affect)
    for found in document["comparisons"]:
        metrics = found["metrics"] | (found["valence_arousal"] or {})
        differences = {name: entry["over_faces"] for name, entry in metrics.items()}
        _print_metrics(f"{found['entry']} less {found['to']}, paired over faces", differences)
    labels = {entry["letter"]: entry["label"] for entry in document["entries"]}
    for found in document["comparisons"]:
        this, first = labels[found["entry"]], labels[found["to"]]
        p = found["test"]["p_holm"]
        tested = "no test" if p is None else f"{found['test']['name']}, corrected p {p:.3g}"
        print(f"{this} against {first}: {found['verdict']} (accuracy, {tested})")
        _print_notes(found["notes"])
    _print_notes(document["warnings"])
    print(f"comparison: {page}")


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"note: {note}")


def _print_metrics(title: str, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [
        (
            name,
            f"{m['value']:.4f}",
            "" if m["low"] is None else f"{m['low']:.4f} to {m['high']:.4f}",
        )
        for name, m in metrics.items()
        if m["value"] is not None
    ]
    _print_table((title, "value", "95 % interval"), rows)


def _print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns side by side and a blank line; nothing where there are no rows."""
    if not rows:
        return
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    print()
