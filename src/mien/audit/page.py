"""The page of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.audit.rows import Rows
from mien.reports.document import write_documents
from mien.reports.figures.pictures import Picture, picture
from mien.reports.page import render
from mien.reports.tables import Cell, Heading, Row, Table, count_cell, plural
from mien.schema import UInt8Array

_SIDE = 96  # of each of two crops side by side


def write_audit(rows: Rows, document: Mapping[str, Any], folder: str | Path) -> Path:
    """Write ``audit.json`` and ``audit.html`` into ``folder`` and return the page's path."""
    pairs = {
        kind: [
            (entry, _side_by_side(rows, entry["numbers"][:2]))
            for entry in listed
            if len(entry["numbers"]) > 1
        ]
        for kind, listed in (
            ("equal", document["equal"]["listed"]),
            ("near", document["near"]["listed"]),
            ("contradictions", document["contradictions"]),
        )
    }
    labels = document["labels"]
    doubtful = [] if labels is None else labels["doubtful"]
    page = render(
        "audit.html",
        title="Audit of " + ", ".join(rows.names),
        page=document,
        heads=[],
        pairs=pairs,
        doubtful=[(entry, picture(rows.crop(entry["number"]))) for entry in doubtful],
        balance=_balance(document["counts"]),
    )
    return write_documents(folder, "audit", document, page)


def _balance(counts: Mapping[str, Mapping[str, int]]) -> Table:
    names = list(dict.fromkeys(name for classes in counts.values() for name in classes))
    columns = [
        Heading(part, plural(sum(classes.values()), "label")) for part, classes in counts.items()
    ]
    rows = [
        Row(Heading(name), [_share(classes, name) for classes in counts.values()]) for name in names
    ]
    return Table(columns, rows, corner="Class")


def _share(classes: Mapping[str, int], name: str) -> Cell:
    total = sum(classes.values())
    count = classes.get(name, 0)
    return count_cell(count, f"{100 * count / total:.1f} %" if total else "")


def _side_by_side(rows: Rows, numbers: Sequence[int]) -> Picture:
    return picture(np.hstack([_resized(rows.crop(number)) for number in numbers]))


def _resized(crop: UInt8Array) -> UInt8Array:
    return np.asarray(cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
