"""The tables of a report as HTML, from the numbers of ``report.json``; all text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from mien.evaluation import plots
from mien.evaluation.affect import DIMENSIONS

METRICS: dict[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "rows whose most probable class is the target"),
    "mean_class_accuracy": ("Mean-class accuracy", "mean recall of the classes that have rows"),
    "macro_f1": ("Macro F1", "mean F1 of the classes that have rows"),
    "precision_at_1": ("Precision at 1", "rows whose nearest other row is of their class"),
    "map_at_r": ("MAP at R", "how purely a class\u2019s rows are each other\u2019s nearest"),
    "vote_agreement": ("Vote agreement", "annotators\u2019 votes that the answer got, on average"),
    "vote_kl": ("Vote divergence", "nats from votes to probabilities; 0 is best"),
    "ece": ("Calibration error", "gap of confidence to accuracy; 0 is best"),
    "nll": ("Log loss", "nats per row; 0 is best"),
}
"""Title and meaning, in the order of the table."""

AFFECT_METRICS: dict[str, tuple[str, str]] = {
    "ccc": ("Concordance (CCC)", "agreement in value over all rows; 1 is best, a constant has 0"),
    "pcc": ("Correlation (PCC)", "agreement up to shift and scale; 1 is best"),
    "rmse": ("Root mean squared error", "on the scale from \u22121 to 1; 0 is best"),
    "mae": ("Mean absolute error", "on the same scale; 0 is best"),
    "sagr": ("Sign agreement (SAGR)", "share of rows on the right side of zero"),
}
"""Title and meaning of the metrics of valence and arousal."""

HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1", "precision_at_1")
COMPARED = (*HEADLINE, "map_at_r")
_NATS = ("nll", "vote_kl")
_PLAIN = (*_NATS, *AFFECT_METRICS)


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


def affect_headline(affect: Mapping[str, Any]) -> str:
    """The concordance of both dimensions and their mean."""
    cells = []
    for title, entry in (
        ("Mean CCC", affect["mean_ccc"]),
        ("CCC of valence", affect["valence"]["ccc"]),
        ("CCC of arousal", affect["arousal"]["ccc"]),
    ):
        below = interval(entry, "ccc") or "no interval"
        value = number(entry["value"], "ccc")
        cells.append(f"<div><dt>{title}</dt><dd>{value}<small>{below}</small></dd></div>")
    return f'<dl class="headline">{"".join(cells)}</dl>'


def affect_table(affect: Mapping[str, Any]) -> str:
    """Every metric of valence and of arousal."""
    notes: list[str] = []
    rows = []
    for name, (title, meaning) in AFFECT_METRICS.items():
        cells = "".join(
            f"<td>{number(entry['value'], name)}{_note(entry, notes)}"
            f"<small>{interval(entry, name)}</small></td>"
            for entry in (_with_zeros(affect, dimension, name) for dimension in DIMENSIONS)
        )
        rows.append(f'<tr><th scope="row">{title}<small>{escape(meaning)}</small></th>{cells}</tr>')
    head = '<td></td><th scope="col">Valence</th><th scope="col">Arousal</th>'
    return (
        f'<table class="values affect"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{_footnotes(notes)}"
    )


def _with_zeros(affect: Mapping[str, Any], dimension: str, metric: str) -> Mapping[str, Any]:
    """The entry of a metric; sign agreement says how many rows have no part in it."""
    entry: Mapping[str, Any] = affect[dimension][metric]
    zero = affect[dimension]["zero_targets"]
    if metric != "sagr" or not zero or entry.get("reason"):
        return entry
    text = f"{zero:,} of {affect['n']:,} rows have {dimension} 0, which has no sign"
    return {**entry, "reason": text}


def _ordered(metrics: Iterable[str]) -> list[str]:
    known = list(METRICS)
    return sorted(metrics, key=lambda name: known.index(name) if name in known else len(known))


def metric_table(metrics: Mapping[str, Any]) -> str:
    """Every metric with its meaning and interval, as numbers and drawn."""
    rows, notes = [], list[str]()
    for name in _ordered(metrics):
        entry = metrics[name]
        title, meaning = METRICS.get(name, (name, ""))
        unit = "" if name in _NATS or entry["value"] is None else "\u2009%"
        rows.append(
            f'<tr><th scope="row">{escape(title)}<small>{escape(meaning)}</small></th>'
            f"<td>{number(entry['value'], name)}{unit}{_note(entry, notes)}</td>"
            f"<td>{interval(entry, name)}</td>"
            f'<td class="plot">{"" if name in _NATS else _whisker(entry)}</td></tr>'
        )
    head = (
        '<tr><th scope="col">Metric</th><th scope="col">Value</th><th scope="col">Interval</th>'
        '<th scope="col" class="plot"><span class="scale">'
        "<span>0</span><span>50</span><span>100\u2009%</span></span></th></tr>"
    )
    table = f'<table class="metrics"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
    return table + _footnotes(notes)


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
            _value_cell(value, notes) if value else "<td>\u2013</td>" for value in values
        )
        rows.append(f'<tr><th scope="row">{METRICS[name][0]}</th>{cells}</tr>')
    return (
        "<h3>Under each rule of making targets</h3>"
        f'<div class="wide"><table class="values rules"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{_footnotes(notes)}"
    )


def _value_cell(entry: Mapping[str, Any], notes: list[str]) -> str:
    return f"<td>{number(entry['value'])}{_note(entry, notes)}<small>{interval(entry)}</small></td>"


def class_table(per_class: Mapping[str, Any]) -> str:
    """Precision, recall and F1 of each class."""
    rows, notes = [], list[str]()
    for index, (name, entry) in enumerate(per_class.items()):
        cells = "".join(_value_cell(entry[key], notes) for key in ("precision", "recall", "f1"))
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
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{_footnotes(notes)}"
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
    """Percent with one decimal, nats and metrics of affect with three, a dash for None."""
    if value is None:
        return "\u2013"
    if metric in _PLAIN:
        return f"{value:.3f}".replace("-", "\u2212")
    return f"{100 * value:.1f}"


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


def _footnotes(notes: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(sentence(note))}</li>" for note in notes)
    return f'<ol class="notes">{lines}</ol>' if lines else ""


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _whisker(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return ""
    low, high = (entry["value"] if entry[end] is None else entry[end] for end in ("low", "high"))
    style = f"--value:{entry['value']:.4f};--low:{low:.4f};--high:{high:.4f}"
    return f'<span class="whisker" style="{style}" aria-hidden="true"></span>'
