"""What reports and comparisons share: their parts by head, warnings, and how they are written."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.files import write_json, write_text
from mien.heads import HEADS
from mien.reports.sections import SECTIONS, Section
from mien.reports.tables import plural
from mien.statistics.bootstrap import FEW_CLUSTERS

Part = Callable[[Section, Mapping[str, Any]], Any]


def head_parts(heads: Mapping[str, Mapping[str, Any]], **parts: Part) -> list[dict[str, Any]]:
    """For each head of a document its name, title and entry, and what its section makes of it."""
    return [
        {"name": name, "title": HEADS[name].title, "entry": entry}
        | {part: make(SECTIONS[name], entry) for part, make in parts.items()}
        for name, entry in heads.items()
    ]


def unlabeled_warning(unit: str, split: str, head: str) -> str:
    """That a head is left out because no row has a label for it."""
    return (
        f"No {unit} of split {split} has {HEADS[head].labels}, so the model's head {head} is left "
        "out"
    )


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
    # A page shows faces, and both name files of people.
    write_json(Path(folder) / f"{name}.json", document, private=True)
    return write_text(Path(folder) / f"{name}.html", page, private=True)


def require_train_extra() -> None:
    """Raise :class:`MienError` with the install line where a package of evaluation is missing."""
    needed = ("scipy", "sklearn", "matplotlib", "jinja2")
    missing = [name for name in needed if not importlib.util.find_spec(name)]
    if missing:
        raise MienError(
            f"expected the packages that evaluation needs, got no {', '.join(missing)}: "
            'run pip install "mien[train]"'
        )
