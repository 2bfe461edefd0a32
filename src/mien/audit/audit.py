"""``mien audit``: datasets -> ``audit.json`` and ``audit.html``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.audit import findings as say
from mien.audit.clean import rows_to_leave_out, write_cleaned
from mien.audit.duplicates import (
    LEAST_CORRELATION,
    MOST_BITS,
    Prints,
    confirmed_pairs,
    equal_groups,
    near_pairs,
    prints_of,
)
from mien.audit.labels import FloatArray, IntArray, doubtful_rows, mixed_up_classes
from mien.audit.page import write_audit
from mien.audit.predictions import open_expression_model, predict_expressions
from mien.audit.rows import Rows, open_rows
from mien.errors import MienError
from mien.evaluation.crops import with_progress
from mien.evaluation.models import Model
from mien.preparation.write import refuse_existing
from mien.reports.document import require_train_extra
from mien.schema import UInt8Array

SHOWN = 50
"""How many pairs and how many labels are listed."""

_CHUNK = 512


def audit(
    folders: Sequence[str | Path],
    out: str | Path = "audit",
    *,
    model: str | Path | None = None,
    fix: str | Path | None = None,
) -> tuple[dict[str, Any], Path]:
    """Look for leaks, duplicates and wrong labels in datasets; (content of audit.json, the page).

    Parameters
    ----------
    folders
        Datasets, whose splits are compared with those of the others, too.
    model
        A run or a model of expressions, which the labels are compared with.
    fix
        A new folder for a copy of the one dataset without what leaks or is there twice.

    ``findings`` have to be looked into; ``notes`` are what a reader should know. Memory grows with
    the number of rows and not with the pixels. Raises :class:`MienError` for no dataset, for the
    same one twice, and for a model that reads no expressions.
    """
    require_train_extra()
    paths = [Path(folder).resolve() for folder in folders]
    if not paths or len(set(paths)) < len(paths):
        raise MienError(f"expected datasets, each once, got {', '.join(map(str, folders)) or '-'}")
    if fix is not None:
        if len(folders) > 1:
            raise MienError(f"expected one dataset with --fix, got {len(folders)}: clean each")
        refuse_existing(Path(fix))
    rows = open_rows(folders)
    document = audit_rows(rows, model=model, fix=fix)
    command = ["mien", "audit", *map(str, folders)]
    command += [] if model is None else ["--model", str(model)]
    command += [] if fix is None else ["--fix", str(fix)]
    document["provenance"] = {
        "datasets": ", ".join(str(dataset.folder) for dataset in rows.datasets),
        "license_terms": " ".join(dict.fromkeys(each.license_terms for each in rows.datasets)),
        "version": f"mien {__version__}",
        "command": shlex.join(command),
    }
    return document, write_audit(rows, document, out)


def audit_rows(
    rows: Rows, *, model: str | Path | None = None, fix: str | Path | None = None
) -> dict[str, Any]:
    """Compute the content of ``audit.json`` but for its provenance."""
    reader = None if model is None else open_expression_model(model)
    prints = prints_of(_chunks(rows))
    groups = equal_groups(prints.digests, prints.blank)
    pairs, correlations = _near_duplicates(rows, prints)
    equal_counts = say.equal_pair_counts(groups, rows)
    near_counts = say.near_pair_counts(pairs, rows)
    contradictions = say.contradictions(groups, pairs, rows)
    shared, shared_listed = say.shared_findings(rows)
    findings = [
        *say.duplicate_findings("equal", equal_counts, rows),
        *say.duplicate_findings("near", near_counts, rows),
        *say.contradiction_findings(contradictions),
        *shared,
        *say.recipe_findings(rows),
    ]
    notes, counts = say.all_notes(rows, int(prints.blank.sum()))
    labels: dict[str, Any] | None = None
    warnings: list[str] = []
    if reader is not None and model is not None:
        labels, more, warnings = _labels(rows, reader, model)
        findings += more
    return {
        "datasets": [
            {"name": name, "folder": str(dataset.folder), "rows": len(dataset)}
            for name, dataset in zip(rows.names, rows.datasets, strict=True)
        ],
        "rows": len(rows),
        "findings": findings,
        "notes": notes,
        "equal": {
            "pairs": equal_counts,
            "listed": [_equal_entry(rows, group) for group in _across_first(rows, groups)[:SHOWN]],
        },
        "near": {
            "pairs": near_counts,
            "most_bits": MOST_BITS,
            "least_correlation": LEAST_CORRELATION,
            "listed": _near_entries(rows, pairs, correlations),
        },
        "contradictions": [
            {"rows": [rows.describe(row) for row in pair], "numbers": list(pair)}
            for pair in contradictions[:SHOWN]
        ],
        "shared": shared_listed,
        "labels": labels,
        "counts": counts,
        "cleaned": None if fix is None else _cleaned(rows, groups, pairs, fix),
        "warnings": warnings,
    }


def _cleaned(
    rows: Rows, groups: Sequence[IntArray], pairs: IntArray, out: str | Path
) -> dict[str, Any]:
    reasons = rows_to_leave_out(rows, groups, pairs)
    dataset = write_cleaned(rows.datasets[0], out, reasons)
    return {"folder": str(out), "rows": len(dataset), "left_out": dataset.info["left_out"]}


def _chunks(rows: Rows) -> Iterator[UInt8Array]:
    for dataset in rows.datasets:
        for start in with_progress(range(0, len(dataset), _CHUNK)):
            yield dataset.crops[start : start + _CHUNK]


def _near_duplicates(rows: Rows, prints: Prints) -> tuple[IntArray, FloatArray]:
    """Confirmed pairs, but for equal pixels, blank crops and frames of one video.

    Of equal crops in one part, the first stands for all.
    """
    digests, shown = prints.digests, np.flatnonzero(~prints.blank)
    keys = np.stack([digests[shown], rows.parts[shown].astype(np.uint64)], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    picked = shown[np.sort(first)]
    pairs = picked[near_pairs(prints.hashes[picked])]
    videos = rows.people("video")[pairs]
    one_video = (videos[:, 0] == videos[:, 1]) & (videos[:, 0] != "")
    equal = digests[pairs[:, 0]] == digests[pairs[:, 1]]
    pairs, correlations = confirmed_pairs(pairs[~one_video & ~equal], rows.crop)
    across = rows.parts[pairs[:, 0]] != rows.parts[pairs[:, 1]]
    order = np.lexsort((-correlations, ~across))
    return pairs[order], correlations[order]


def _across_first(rows: Rows, groups: Sequence[IntArray]) -> list[IntArray]:
    return sorted(groups, key=lambda group: len(set(rows.parts[group].tolist())) == 1)


def _equal_entry(rows: Rows, group: IntArray) -> dict[str, Any]:
    return {"rows": [rows.describe(row) for row in group], "numbers": group.tolist()}


def _near_entries(rows: Rows, pairs: IntArray, correlations: FloatArray) -> list[dict[str, Any]]:
    return [
        {
            "rows": [rows.describe(row) for row in pair],
            "numbers": pair.tolist(),
            "correlation": round(float(value), 4),
        }
        for pair, value in zip(pairs[:SHOWN], correlations[:SHOWN], strict=True)
    ]


def _labels(
    rows: Rows, reader: Model, source: str | Path
) -> tuple[dict[str, Any], list[say.Finding], list[str]]:
    """The labels against a model's predictions: order, doubtful ones, findings, warnings."""
    findings: list[say.Finding] = []
    warnings: list[str] = []
    orders: list[dict[str, Any]] = []
    doubtful: list[dict[str, Any]] = []
    agreement: dict[str, dict[str, int]] = {}
    for number, (name, dataset) in enumerate(zip(rows.names, rows.datasets, strict=True)):
        try:
            expressions = predict_expressions(reader, dataset, source)
        except MienError as error:
            sentence = f"the labels of {name} were not compared with the model: {error}"
            findings.append(say.finding("crops of another recipe", len(dataset), sentence))
            continue
        targets, probabilities = expressions.targets, expressions.probabilities
        preds = probabilities.argmax(axis=1).astype(np.int64)
        mixed = mixed_up_classes(targets, preds, expressions.names)
        findings += say.order_findings(mixed, name)
        warnings += expressions.warnings
        orders += [{"dataset": name, **each._asdict(), "sentence": each.sentence} for each in mixed]
        labeled = targets >= 0
        agreement[name] = {
            "n": int(labeled.sum()),
            "agree": int((preds == targets)[labeled].sum()),
        }
        for row in doubtful_rows(targets, probabilities)[:SHOWN]:
            at = int(row + rows.starts[number])
            doubtful.append(
                {
                    **rows.describe(at),
                    "number": at,
                    "prediction": expressions.names[preds[row]],
                    "confidence": round(float(probabilities[row, preds[row]]), 4),
                    "of_label": round(float(probabilities[row, targets[row]]), 4),
                }
            )
    doubtful.sort(key=lambda each: each["of_label"] - each["confidence"])
    labels = {
        "model": reader.name,
        "agreement": agreement,
        "order": orders,
        "doubtful": doubtful[:SHOWN],
    }
    return labels, findings, warnings
