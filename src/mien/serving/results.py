"""What a video gives: tables in every format, and curves over time for a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mien.inference.model import read_heads
from mien.inference.persons import PersonSummary
from mien.inference.rows import Entry, Rows, plain
from mien.inference.tables import open_table
from mien.inference.units import reading_of
from mien.models import ModelInfo

TABLE_KINDS = ("summary", "frames", "clips")
TABLE_SUFFIXES = ("csv", "jsonl", "parquet")
_CURVES = ("probabilities", "valence", "arousal", "action_units")


@contextmanager
def open_tables(
    folder: Path, kinds: Sequence[Rows]
) -> Iterator[Callable[[Rows, Sequence[Entry]], None]]:
    """Tables ``KIND.SUFFIX`` of each kind of rows; what is yielded writes entries to one kind."""
    with ExitStack() as stack:
        writers = {
            rows.kind: [
                stack.enter_context(open_table(folder / f"{rows.kind}.{suffix}", rows.schema))
                for suffix in TABLE_SUFFIXES
            ]
            for rows in kinds
        }

        def write(rows: Rows, entries: Sequence[Entry]) -> None:
            if entries:
                lines = [rows.row(entry) for entry in entries]
                for each in writers[rows.kind]:
                    each(lines)

        yield write


def timeline(info: ModelInfo | None, person: PersonSummary) -> dict[str, Any]:
    """What a model of faces says of a person over time, in steps of which there are never many.

    ``start`` and ``end`` of the steps in seconds, and lists of equal length of what the heads give:
    ``probabilities`` and ``action_units`` by name, ``valence``, ``arousal``.
    """
    line: dict[str, Any] = {"start": [], "end": []}
    if info is None or not person.curves:
        return line
    info = reading_of(info)
    segments = {name: curve.segments() for name, curve in person.curves.items()}
    # The curves of one person were added to at the same times.
    for parts in zip(*segments.values(), strict=True):
        edges = parts[0].edges
        for step in range(len(edges) - 1):
            outputs = {
                name: part.means[step : step + 1]
                for name, part in zip(segments, parts, strict=True)
            }
            fields = read_heads(info, outputs, 0)
            line["start"].append(round(float(edges[step]), 3))
            line["end"].append(round(float(edges[step + 1]), 3))
            for field in _CURVES:
                _append(line, field, fields.get(field))
    return line


def _append(line: dict[str, Any], field: str, value: Any) -> None:
    if isinstance(value, dict):
        curves = line.setdefault(field, {})
        for name, each in value.items():
            curves.setdefault(name, []).append(plain(each))
    elif value is not None:
        line.setdefault(field, []).append(plain(float(value)))
