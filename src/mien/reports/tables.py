"""The tables of a report as HTML, from the numbers of ``report.json``; all text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from mien.reports import plots

METRICS: dict[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "rows whose most probable class is the target"),
    "mean_class_accuracy": ("Mean-class accuracy", "mean recall of the classes that have rows"),
    "macro_f1": ("Macro F1", "mean F1 of the classes that have rows"),
    "precision_at_1": ("Precision at 1", "rows whose nearest other row is of their class"),
    "map_at_r": ("MAP at R", "how purely a class\u2019s rows are each other\u2019s nearest"),
    "distance_ratio": ("Distance ratio", "between classes over within them; 1 is no structure"),
    "vote_agreement": ("Vote agreement", "annotators\u2019 votes that the answer got, on average"),
    "vote_kl": ("Vote divergence", "nats from votes to probabilities; 0 is best"),
    "ece": ("Calibration error", "gap of confidence to accuracy; 0 is best"),
    "nll": ("Log loss", "nats per row; 0 is best"),
}
"""Title and meaning, in the order of the table."""

HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1", "precision_at_1")
COMPARED = (*HEADLINE, "map_at_r")
NOT_SHARES = ("nll", "vote_kl", "distance_ratio", "ccc", "pcc", "rmse", "mae", "sagr")
"""Metrics that are not in percent: nats, a ratio, and those of valence and arousal."""
POINTS = "points"
"""What is in points of a scale of whole numbers."""


def headline(metrics: Mapping[str, Any]) -> str:
    """The few numbers that a reader looks for first."""
    cells = []
    for name in HEADLINE:
        entry = metrics[name]
        if entry["value"] is not None:
            below = interval(entry) or "no interval"
            cells.append(
                f"<div><dt>{METRICS[name][0]}</dt><dd>{number(entry['value'])}"
                f'<span class="unit">%</span><small>{below}</small></dd></div>'
            )
    return f'<dl class="headline">{"".join(cells)}</dl>'


def _ordered(metrics: Iterable[str]) -> list[str]:
    known = list(METRICS)
    return sorted(metrics, key=lambda name: known.index(name) if name in known else len(known))


def metric_table(metrics: Mapping[str, Any]) -> str:
    """Every metric with its meaning and interval, as numbers and drawn."""
    rows, notes = [], list[str]()
    for name in _ordered(metrics):
        entry = metrics[name]
        title, meaning = METRICS.get(name, (name, ""))
        unit = "" if name in NOT_SHARES or entry["value"] is None else "\u2009%"
        rows.append(
            f'<tr><th scope="row">{escape(title)}<small>{escape(meaning)}</small></th>'
            f"<td>{number(entry['value'], name)}{unit}{_note(entry, notes)}</td>"
            f"<td>{interval(entry, name)}</td>"
            f'<td class="plot">{"" if name in NOT_SHARES else _whisker(entry)}</td></tr>'
        )
    head = (
        '<tr><th scope="col">Metric</th><th scope="col">Value</th><th scope="col">Interval</th>'
        '<th scope="col" class="plot"><span class="scale">'
        "<span>0</span><span>50</span><span>100\u2009%</span></span></th></tr>"
    )
    table = f'<table class="metrics"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
    return table + footnotes(notes)


def rules_table(report: Mapping[str, Any]) -> str:
    """The same model under each rule of making targets, the report's own first."""
    if not report["other_rules"]:
        return ""
    notes: list[str] = []
    main = {"n": report["n"], "metrics": report["metrics"]}
    rules = {report["rule"]: main, **report["other_rules"]}
    head = "".join(f'<th scope="col">{escape(rule)}</th>' for rule in rules)
    counts = "".join(f"<td>{entry['n']:,}</td>" for entry in rules.values())
    rows = [f'<tr class="count"><th scope="row">Rows</th>{counts}</tr>']
    for name in COMPARED:
        values = [entry["metrics"].get(name) for entry in rules.values()]
        cells = "".join(
            value_cell(value, notes) if value else "<td>\u2013</td>" for value in values
        )
        rows.append(f'<tr><th scope="row">{METRICS[name][0]}</th>{cells}</tr>')
    return (
        "<h3>Under each rule of making targets</h3>"
        f'<div class="wide"><table class="values rules"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{footnotes(notes)}"
    )


READINGS = {
    "softmax": "Softmax",
    "neighbors_1": "Nearest neighbor",
    "neighbors_5": "Five nearest neighbors",
    "centroids": "Class centroids",
}


def readings_section(reference: Mapping[str, Any] | None) -> str:
    """The softmax beside the neighbors, or nothing where there is no reference."""
    if reference is None:
        return ""
    notes: list[str] = []
    names = ("accuracy", "mean_class_accuracy", "macro_f1")
    rows = []
    for key, entry in reference["readings"].items():
        cells = "".join(value_cell(entry["metrics"][name], notes) for name in names)
        change = "<td>\u2013</td>"
        if "differences" in entry:
            found = entry["differences"]["accuracy"]
            change = f"<td>{signed(found['value'])}<small>{signed_interval(found)}</small></td>"
        rows.append(f'<tr><th scope="row">{READINGS[key]}</th>{cells}{change}</tr>')
    head = "".join(
        f'<th scope="col">{title}</th>'
        for title in (
            "Read by",
            *(METRICS[name][0] for name in names),
            "Accuracy less softmax\u2019s",
        )
    )
    return (
        "<section><h2>Neighbors beside the softmax</h2>"
        f'<p class="lead">The embedding read by cosine against the {reference["n"]:,} labeled '
        f"rows of split {escape(reference['split'])}: by the nearest, by the majority of the five "
        "nearest, and by the nearest class mean. Percent; the last column is the difference in "
        "points, paired over the same faces.</p>"
        f'<div class="wide"><table class="values"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{footnotes(notes)}</section>"
    )


def signed(value: float | None, metric: str = "") -> str:
    """A difference with its sign: percent with one decimal, points two, what is neither three."""
    if value is None:
        return "\u2013"
    digits, scale = _form(metric)
    rounded = round(scale * value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "\u2212") if rounded else f"{0:.{digits}f}"


def signed_interval(entry: Mapping[str, Any], metric: str = "") -> str:
    """``low to high`` of a difference, or nothing."""
    if entry["low"] is None:
        return ""
    return f"{signed(entry['low'], metric)} to {signed(entry['high'], metric)}"


def value_cell(entry: Mapping[str, Any], notes: list[str], metric: str = "") -> str:
    """A value over its interval."""
    value, span = number(entry["value"], metric), interval(entry, metric)
    return f"<td>{value}{_note(entry, notes)}<small>{span}</small></td>"


def difference_cell(found: Mapping[str, Any] | None, seeds: int, metric: str = "") -> str:
    """A paired difference over its intervals, a dash where there is none."""
    if found is None or found["over_faces"]["value"] is None:
        return "<td>\u2013</td>"
    lines = [signed_interval(found["over_faces"], metric) or "no interval"]
    if found["over_seeds"]:
        lines.append(f"{signed_interval(found['over_seeds'], metric)} over {seeds} seeds")
    return (
        f"<td>{signed(found['over_faces']['value'], metric)}"
        f"<small>{'<br>'.join(lines)}</small></td>"
    )


def class_table(per_class: Mapping[str, Any]) -> str:
    """Precision, recall and F1 of each class."""
    rows, notes = [], list[str]()
    for index, (name, entry) in enumerate(per_class.items()):
        cells = "".join(value_cell(entry[key], notes) for key in ("precision", "recall", "f1"))
        label = f'<span class="name">{plots.class_mark(index)}{escape(name)}</span>'
        rows.append(
            f'<tr><th scope="row">{label}</th>'
            f"<td>{entry['n']:,}</td>{cells}"
            f'<td class="plot">{_whisker(entry["f1"])}</td></tr>'
        )
    head = "".join(
        f'<th scope="col">{title}</th>' for title in ("Class", "Rows", "Precision", "Recall", "F1")
    )
    return (
        f'<div class="wide"><table class="values classes"><thead><tr>{head}'
        '<th scope="col" class="plot">'
        '<span class="scale"><span>0</span><span>F1</span><span>100\u2009%</span></span></th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{footnotes(notes)}"
    )


def confusion_table(report: Mapping[str, Any], names: Sequence[str]) -> str:
    """Shares of each true class, shaded; the intervals show when a cell is pointed at."""
    rows = []
    for truth, counts, shares in zip(
        names, report["confusion"], report["confusion_shares"], strict=True
    ):
        cells = "".join(
            _confusion_cell(truth, name, count, share, sum(counts))
            for name, count, share in zip(names, counts, shares, strict=True)
        )
        rows.append(f'<tr><th scope="row">{escape(truth)}</th>{cells}</tr>')
    # Names that would not fit over their columns are set upright.
    tall = " tall" if len(names) > 9 or max(map(len, names)) > 10 else ""
    columns = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    return (
        f'<div class="wide"><table class="confusion{tall}" style="--classes:{len(names)}">'
        '<thead><tr><td class="corner">'
        f"<span>truth \u2193</span> <span>read as \u2192</span></td>{columns}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _confusion_cell(truth: str, name: str, count: int, share: Mapping[str, Any], total: int) -> str:
    if share["value"] is None:
        return '<td class="none">\u2013</td>'
    value = float(share["value"])
    span = f", interval {interval(share)} %" if share["low"] is not None else ""
    hint = escape(f"{truth} read as {name}: {count} of {total}, {number(value)} %{span}")
    strong = " strong" if value > 0.65 else ""
    zero = " zero" if count == 0 else ""
    return (
        f'<td class="cell{strong}{zero}" style="--share:{value:.3f}" title="{hint}">'
        f"{100 * value:.0f}<small>{count:,}</small></td>"
    )


def number(value: float | None, metric: str = "") -> str:
    """Percent with one decimal, points with two, what is neither with three, a dash for None."""
    if value is None:
        return "\u2013"
    digits, scale = _form(metric)
    return f"{scale * value:.{digits}f}".replace("-", "\u2212")


def _form(metric: str) -> tuple[int, int]:
    """How many decimals a metric has, and what its value is multiplied by."""
    if metric == POINTS:
        return 2, 1
    return (3, 1) if metric in NOT_SHARES else (1, 100)


def interval(entry: Mapping[str, Any], metric: str = "") -> str:
    """``low - high`` of a value, or nothing."""
    if entry["low"] is None:
        return ""
    return f"{number(entry['low'], metric)}\u2009\u2013\u2009{number(entry['high'], metric)}"


def _note(entry: Mapping[str, Any], notes: list[str]) -> str:
    """A footnote mark for the reason of an entry; ``notes`` collects the reasons of a table."""
    reason = entry.get("reason", "")
    if not reason:
        return ""
    if reason not in notes:
        notes.append(reason)
    return f"<sup>{notes.index(reason) + 1}</sup>"


def footnotes(notes: Iterable[str]) -> str:
    """The reasons that a table's marks refer to."""
    lines = "".join(f"<li>{escape(sentence(note))}</li>" for note in notes)
    return f'<ol class="notes">{lines}</ol>' if lines else ""


def plural(count: int) -> str:
    """The s of "rows"."""
    return "" if count == 1 else "s"


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _whisker(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return ""
    low, high = (entry["value"] if entry[end] is None else entry[end] for end in ("low", "high"))
    style = f"--value:{entry['value']:.4f};--low:{low:.4f};--high:{high:.4f}"
    return f'<span class="whisker" style="{style}" aria-hidden="true"></span>'
