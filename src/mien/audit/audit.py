"""``mien audit``: datasets -> ``audit.json`` and ``audit.html``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.audit import findings as say
from mien.audit.clean import rows_to_leave_out, write_cleaned
from mien.audit.duplicates import LEAST_CORRELATION, equal_groups, prints_of
from mien.audit.embedded import LEAST_INNER_CORRELATION, Embeddings
from mien.audit.families import shared_series, shared_versions
from mien.audit.hashing import MOST_BITS, MOST_PARTNERS
from mien.audit.labels import IntArray, doubtful_rows, mixed_up_classes
from mien.audit.near import KINDS, NearDuplicates, near_duplicates
from mien.audit.page import write_audit
from mien.audit.predictions import open_expression_model, predict_expressions
from mien.audit.rows import Names, Rows, open_rows
from mien.data.reading import with_progress
from mien.errors import MienError
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
    labels: dict[str, Any] | None = None
    of_labels: list[say.Finding] = []
    warnings: list[str] = []
    embedded = None
    if reader is not None and model is not None:
        labels, of_labels, warnings, embedded = _labels(rows, reader, model)
    near = near_duplicates(rows, prints, embedded)
    pairs = near.pairs
    families = {
        "subjects": rows.people("subject"),
        "videos": rows.people("video"),
        "versions": shared_versions(rows),
        "series": shared_series(rows, prints.hashes),
    }
    equal_counts = say.equal_pair_counts(groups, rows)
    near_counts = {kind: say.near_pair_counts(near.of_kind(kind), rows) for kind in KINDS}
    contradictions = say.contradictions(groups, pairs, rows)
    shared, shared_listed = say.shared_findings(rows, families)
    findings = [
        *say.duplicate_findings("equal", equal_counts, rows),
        *(each for kind in KINDS for each in say.duplicate_findings(kind, near_counts[kind], rows)),
        *say.contradiction_findings(contradictions),
        *shared,
        *say.recipe_findings(rows),
        *of_labels,
    ]
    notes, counts = say.all_notes(rows, int(prints.blank.sum()), near.crowded)
    if embedded is None:
        notes.append(say.finding("no embeddings", len(rows), say.NO_EMBEDDINGS))
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
            "least_inner_correlation": LEAST_INNER_CORRELATION,
            "most_partners": MOST_PARTNERS,
            "crowded_rows": near.crowded,
            "listed": _near_entries(rows, near),
        },
        "contradictions": [
            {"rows": [rows.describe(row) for row in pair], "numbers": list(pair)}
            for pair in contradictions[:SHOWN]
        ],
        "shared": shared_listed,
        "labels": labels,
        "counts": counts,
        "cleaned": None if fix is None else _cleaned(rows, families, groups, pairs, fix),
        "warnings": warnings,
    }


def _cleaned(
    rows: Rows,
    families: Mapping[str, Names],
    groups: Sequence[IntArray],
    pairs: IntArray,
    out: str | Path,
) -> dict[str, Any]:
    reasons = rows_to_leave_out(rows, families, groups, pairs)
    dataset = write_cleaned(rows.datasets[0], out, reasons)
    return {"folder": str(out), "rows": len(dataset), "left_out": dataset.info["left_out"]}


def _chunks(rows: Rows) -> Iterator[UInt8Array]:
    for dataset in rows.datasets:
        for start in with_progress(range(0, len(dataset), _CHUNK)):
            yield dataset.crops[start : start + _CHUNK]


def _across_first(rows: Rows, groups: Sequence[IntArray]) -> list[IntArray]:
    return sorted(groups, key=lambda group: len(set(rows.parts[group].tolist())) == 1)


def _equal_entry(rows: Rows, group: IntArray) -> dict[str, Any]:
    return {"rows": [rows.describe(row) for row in group], "numbers": group.tolist()}


def _near_entries(rows: Rows, near: NearDuplicates) -> list[dict[str, Any]]:
    return [
        {
            "rows": [rows.describe(row) for row in pair],
            "numbers": pair.tolist(),
            "correlation": round(float(correlation), 4),
            "kind": KINDS[kind],
        }
        for pair, correlation, kind in islice(
            zip(near.pairs, near.correlations, near.kinds, strict=True), SHOWN
        )
    ]


def _labels(
    rows: Rows, reader: Model, source: str | Path
) -> tuple[dict[str, Any], list[say.Finding], list[str], tuple[IntArray, NDArray[Any]] | None]:
    """The labels against a model's predictions: order, doubtful ones, findings, warnings.

    Also the numbers of the rows that the model reads, and their embeddings.
    """
    findings: list[say.Finding] = []
    warnings: list[str] = []
    orders: list[dict[str, Any]] = []
    doubtful: list[dict[str, Any]] = []
    agreement: dict[str, dict[str, int]] = {}
    embeddings, numbers = Embeddings(), [np.zeros(0, np.int64)]
    for number, (name, dataset) in enumerate(zip(rows.names, rows.datasets, strict=True)):
        try:
            expressions = predict_expressions(reader, dataset, source, embeddings)
        except MienError as error:
            sentence = f"the labels of {name} were not compared with the model: {error}"
            findings.append(say.finding("crops of another recipe", len(dataset), sentence))
            continue
        numbers.append(np.arange(rows.starts[number], rows.starts[number + 1]))
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
    read = np.concatenate(numbers)
    return labels, findings, warnings, (read, embeddings.rows()) if len(read) else None
