"""What reports and comparisons share: their parts by head, warnings, and how they are written."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mien.heads import HEADS
from mien.reports.sections import SECTIONS, Section
from mien.reports.tables import plural
from mien.schema import MienError
from mien.statistics.bootstrap import FEW_CLUSTERS

Part = Callable[[Section, Mapping[str, Any]], Any]


def head_parts(heads: Mapping[str, Mapping[str, Any]], **parts: Part) -> list[dict[str, Any]]:
    """For each head of a document its name, title and entry, and what its section makes of it."""
    return [
        {"name": name, "title": HEADS[name].title, "entry": entry}
        | {part: make(SECTIONS[name], entry) for part, make in parts.items()}
        for name, entry in heads.items()
    ]


def cluster_warnings(clusters: int | None, unit: str) -> list[str]:
    """That the intervals rest on too few subjects."""
    if clusters is None or clusters >= FEW_CLUSTERS:
        return []
    return [
        f"The {unit}s come from {plural(clusters, 'subject')}: intervals from fewer than "
        f"{FEW_CLUSTERS} are too narrow or missing"
    ]


def write_documents(folder: str | Path, name: str, document: Mapping[str, Any], page: str) -> Path:
    """Write ``NAME.json`` and ``NAME.html`` into ``folder``; each appears whole or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _replace(folder / f"{name}.json", text)
    return _replace(folder / f"{name}.html", page)


def require_train_extra() -> None:
    """Raise :class:`MienError` with the install line where a package of evaluation lacks."""
    needed = ("scipy", "sklearn", "matplotlib", "jinja2")
    missing = [name for name in needed if not importlib.util.find_spec(name)]
    if missing:
        raise MienError(
            f"expected the packages that evaluation needs, got no {', '.join(missing)}: "
            'run pip install "mien[train]"'
        )


def _replace(path: Path, text: str) -> Path:
    """Write through a sibling, so that nobody ever finds half a file under the name."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
