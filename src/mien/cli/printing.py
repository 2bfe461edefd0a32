"""What commands print on stdout: results as JSON or as tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.reports.sections import Block
    from mien.search.query import Answer


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
        detected = info["landmarks"].get("fixed", 0)
        print(f"landmarks found in {detected} of {fixed} tight crops")


def print_report(report: Mapping[str, Any], page: Path) -> None:
    """The warnings of a ``report.json``, what each head's section shows, and the page's path."""
    from mien.reports.sections import SECTIONS

    _print_notes(report["warnings"])
    for name, entry in report["heads"].items():
        _print_blocks(SECTIONS[name].headline(entry), report["split"])
    if report["sensitivity"] is not None:
        for name, entry in report["sensitivity"]["heads"].items():
            _print_sensitivity(name, entry)
    print(f"report: {page}")


def print_matrix(document: Mapping[str, Any], page: Path) -> None:
    """A table for each main metric of a ``matrix.json``, what to know of cells, and the path."""
    from mien.reports.matrix import heads_of, notes_of

    _print_notes(document["warnings"])
    datasets = [each["name"] for each in document["datasets"]]
    for head in heads_of(document):
        by_place = {(cell["model"], cell["dataset"]): cell for cell in head["cells"]}
        for metric in head["metrics"]:
            rows = [
                (model, *(_cell_text(by_place[model, data], metric.name) for data in datasets))
                for model in (each["name"] for each in document["models"])
            ]
            _print_table((f"{document['split']}, {metric.title}", *datasets), rows)
        for cell in head["cells"]:
            _print_notes(
                f"{head['title']}, {cell['model']} on {cell['dataset']}: {note}"
                for note in notes_of(cell)
            )
        print()
    print(f"matrix: {page}")


def _cell_text(cell: Mapping[str, Any], metric: str) -> str:
    entry = cell["metrics"].get(metric)
    if entry is None or entry["value"] is None:
        return "-"
    trained = " (trained on it)" if cell["trained_on"] == "dataset" else ""
    span = "" if entry["low"] is None else f" [{entry['low']:.4f}, {entry['high']:.4f}]"
    return f"{entry['value']:.4f}{span} n={cell['n']}{trained}"


def _print_sensitivity(head: str, entry: Mapping[str, Any]) -> None:
    """The changes of the crops, worst first, by the head's main metric."""
    main = entry["decided_by"]
    rows = []
    for change in entry["changes"]:
        difference, answers = change["differences"][main], change["changed_answers"]
        span = "" if difference["low"] is None else f"{difference['low']:+.4f} to "
        rows.append(
            (
                change["title"],
                "" if difference["value"] is None else f"{difference['value']:+.4f}",
                span and f"{span}{difference['high']:+.4f}",
                f"{100 * answers['value']:.1f} %",
            )
        )
    answer = f"another {entry['answer']}"
    _print_table((f"sensitivity, {head}", f"{main} less as stored", "95 % interval", answer), rows)


def print_comparison(document: Mapping[str, Any], page: Path) -> None:
    """The warnings of a ``compare.json``, what each head's section shows, and the page's path."""
    from mien.reports.sections import SECTIONS

    _print_notes(document["warnings"])
    for name, entry in document["heads"].items():
        _print_blocks(SECTIONS[name].comparison_headline(entry, document), document["split"])
    for comparison in document["comparisons"]:
        _print_notes(
            f"{comparison['entry']} less {comparison['to']}: {note}" for note in comparison["notes"]
        )
    print(f"comparison: {page}")


def print_audit(document: Mapping[str, Any], page: Path) -> None:
    """The warnings, notes and findings of an ``audit.json``, and the page's path."""
    _print_notes(document["warnings"])
    _print_notes(each["sentence"] for each in document["notes"])
    for each in document["findings"]:
        print(f"finding: {each['sentence']}")
    if not document["findings"]:
        print("no findings")
    if cleaned := document["cleaned"]:
        count = sum(cleaned["left_out"].values())
        print(f"cleaned copy: {cleaned['folder']}, {cleaned['rows']:,} rows, {count:,} left out")
    print(f"audit: {page}")


def print_matches(rows: Sequence[Mapping[str, Any]], answer: Answer) -> None:
    """The matches of a search as a table, and what was passed over for them."""
    shown = [name for name in _MATCH_COLUMNS if any(row.get(name) is not None for row in rows)]
    cells = [
        [
            row["rank"],
            f"{row[answer.measure]:.3f}",
            *("" if row[name] is None else _MATCH_COLUMNS[name](row[name]) for name in shown),
        ]
        for row in rows
    ]
    _print_table(("", answer.measure, *shown), cells)
    if not rows:
        print("no face of the index fits")
    for reason, count in answer.passed_over.items():
        print(f"note: {count:,} nearer {'row' if count == 1 else 'rows'} left out: {reason}")


def _seconds(time: float) -> str:
    minutes, seconds = divmod(time, 60)
    return f"{int(minutes)}:{seconds:05.2f}"


_MATCH_COLUMNS: dict[str, Callable[[Any], str]] = {
    "label": str,
    "expression": str,
    "confidence": "{:.2f}".format,
    "valence": "{:.2f}".format,
    "arousal": "{:.2f}".format,
    "subject": str,
    "track": str,
    "time": _seconds,
    "source": str,
    "id": str,
}
"""The columns of a table of matches, and how each value is shown."""


def _print_blocks(blocks: Iterable[Block], split: str) -> None:
    for block in blocks:
        _print_metrics(f"{split}, {block.title}", block.metrics)
        for sentence in block.sentences:
            print(sentence)
        if block.sentences:
            print()


def _print_notes(notes: Iterable[str]) -> None:
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
