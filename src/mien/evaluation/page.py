"""The page of a report: HTML with everything inlined, from the numbers of ``report.json``."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.evaluation import plots

if TYPE_CHECKING:
    from mien.evaluation.report import Evaluation

LARGEST_PICTURE = 192

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

HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1", "precision_at_1")
_NATS = ("nll", "vote_kl")


def render_page(evaluation: Evaluation, report: Mapping[str, Any]) -> str:
    """The whole of ``report.html``; every text that came from outside is escaped."""
    names = report["label_space"]["names"]
    provenance = dict(report["provenance"])
    title = " on ".join(filter(None, (provenance.get("model"), provenance.get("dataset"))))
    subjects = report["clusters"]
    facts = [
        f"split <b>{escape(report['split'])}</b>",
        f"<b>{report['n']:,}</b> row{_s(report['n'])}",
        f"<b>{subjects:,}</b> subject{_s(subjects)}" if subjects else "subjects unknown",
        f"label space <b>{escape(report['label_space']['name'])}</b>",
    ]
    template = Template(files("mien.evaluation").joinpath("report.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title or f"Split {report['split']}"),
        facts=" <i>\u00b7</i> ".join(facts),
        rule=escape(report["rule"]),
        warnings=_warnings(report["warnings"]),
        headline=_headline(report["metrics"]),
        metrics=_metric_table(report["metrics"]),
        other_rules=_other_rules(report),
        per_class=_class_table(report["per_class"]),
        confusion=_confusion_table(report, names),
        reliability=plots.reliability_diagram(report["reliability"]),
        calibration=_calibration(report["metrics"]),
        map=_map(evaluation, report, names),
        mistakes=_mistakes(evaluation, report["mistakes"]),
        left_out=_left_out(report),
        terms=_terms(provenance.pop("terms", "")),
        provenance=_definitions(provenance),
        intervals=_how_intervals(report),
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _number(value: float | None, metric: str = "") -> str:
    if value is None:
        return "\u2013"
    return f"{value:.3f}" if metric in _NATS else f"{100 * value:.1f}"


def _range(entry: Mapping[str, Any], metric: str = "") -> str:
    if entry["low"] is None:
        return ""
    return f"{_number(entry['low'], metric)}\u2009\u2013\u2009{_number(entry['high'], metric)}"


def _note(entry: Mapping[str, Any], notes: list[str]) -> str:
    """A footnote mark for the reason of an entry; ``notes`` collects the reasons of a table."""
    reason = entry.get("reason", "")
    if not reason:
        return ""
    if reason not in notes:
        notes.append(reason)
    return f"<sup>{notes.index(reason) + 1}</sup>"


def _footnotes(notes: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(_sentence(note))}</li>" for note in notes)
    return f'<ol class="notes">{lines}</ol>' if lines else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _whisker(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return ""
    low, high = (entry["value"] if entry[end] is None else entry[end] for end in ("low", "high"))
    style = f"--value:{entry['value']:.4f};--low:{low:.4f};--high:{high:.4f}"
    return f'<span class="whisker" style="{style}" aria-hidden="true"></span>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    lines = "".join(f"<p>{escape(_sentence(warning))}</p>" for warning in warnings)
    return f'<aside class="warnings" role="note" aria-label="Warnings">{lines}</aside>'


def _headline(metrics: Mapping[str, Any]) -> str:
    cells = []
    for name in HEADLINE:
        entry = metrics[name]
        if entry["value"] is not None:
            below = _range(entry) or "no interval"
            cells.append(
                f"<div><dt>{METRICS[name][0]}</dt><dd>{_number(entry['value'])}"
                f'<span class="unit">%</span><small>{below}</small></dd></div>'
            )
    return f'<dl class="headline">{"".join(cells)}</dl>'


def _ordered(metrics: Iterable[str]) -> list[str]:
    known = list(METRICS)
    return sorted(metrics, key=lambda name: known.index(name) if name in known else len(known))


def _metric_table(metrics: Mapping[str, Any]) -> str:
    rows, notes = [], list[str]()
    for name in _ordered(metrics):
        entry = metrics[name]
        title, meaning = METRICS.get(name, (name, ""))
        unit = "" if name in _NATS or entry["value"] is None else "\u2009%"
        rows.append(
            f'<tr><th scope="row">{escape(title)}<small>{escape(meaning)}</small></th>'
            f"<td>{_number(entry['value'], name)}{unit}{_note(entry, notes)}</td>"
            f"<td>{_range(entry, name)}</td>"
            f'<td class="plot">{"" if name in _NATS else _whisker(entry)}</td></tr>'
        )
    head = (
        '<tr><th scope="col">Metric</th><th scope="col">Value</th><th scope="col">Interval</th>'
        '<th scope="col" class="plot"><span class="scale">'
        "<span>0</span><span>50</span><span>100\u2009%</span></span></th></tr>"
    )
    table = f'<table class="metrics"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
    return table + _footnotes(notes)


def _other_rules(report: Mapping[str, Any]) -> str:
    """The same model under each rule of making targets, the report's own first."""
    if not report["other_rules"]:
        return ""
    notes: list[str] = []
    main = {"n": report["n"], "metrics": report["metrics"]}
    rows = []
    for rule, entry in {report["rule"]: main, **report["other_rules"]}.items():
        values = (entry["metrics"].get(name) for name in HEADLINE)
        cells = "".join(
            _value_cell(value, notes) if value else "<td>\u2013</td>" for value in values
        )
        rows.append(f'<tr><th scope="row">{escape(rule)}</th><td>{entry["n"]:,}</td>{cells}</tr>')
    columns = "".join(f'<th scope="col">{METRICS[name][0]}</th>' for name in HEADLINE)
    return (
        "<h3>Under each rule of making targets</h3>"
        '<div class="wide"><table class="values rules"><thead>'
        f'<tr><th scope="col">Rule</th><th scope="col">Rows</th>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{_footnotes(notes)}"
    )


def _value_cell(entry: Mapping[str, Any], notes: list[str]) -> str:
    return f"<td>{_number(entry['value'])}{_note(entry, notes)}<small>{_range(entry)}</small></td>"


def _class_table(per_class: Mapping[str, Any]) -> str:
    rows, notes = [], list[str]()
    for index, (name, entry) in enumerate(per_class.items()):
        cells = "".join(_value_cell(entry[key], notes) for key in ("precision", "recall", "f1"))
        rows.append(
            f'<tr><th scope="row">{plots.class_mark(index)}{escape(name)}</th>'
            f"<td>{entry['n']:,}</td>{cells}"
            f'<td class="plot">{_whisker(entry["f1"])}</td></tr>'
        )
    head = "".join(
        f'<th scope="col">{title}</th>' for title in ("Class", "Rows", "Precision", "Recall", "F1")
    )
    return (
        f'<table class="values classes"><thead><tr>{head}<th scope="col" class="plot">'
        '<span class="scale"><span>0</span><span>F1</span><span>100\u2009%</span></span></th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>{_footnotes(notes)}"
    )


def _confusion_table(report: Mapping[str, Any], names: Sequence[str]) -> str:
    rows = []
    for truth, counts, shares in zip(
        names, report["confusion"], report["confusion_shares"], strict=True
    ):
        cells = "".join(
            _confusion_cell(truth, name, count, share, sum(counts))
            for name, count, share in zip(names, counts, shares, strict=True)
        )
        rows.append(f'<tr><th scope="row">{escape(truth)}</th>{cells}</tr>')
    columns = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    return (
        '<div class="wide"><table class="confusion"><thead><tr><td class="corner">'
        f"<span>truth \u2193</span> <span>read as \u2192</span></td>{columns}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _confusion_cell(truth: str, name: str, count: int, share: Mapping[str, Any], total: int) -> str:
    if share["value"] is None:
        return '<td class="none">\u2013</td>'
    value = float(share["value"])
    interval = f", interval {_range(share)} %" if share["low"] is not None else ""
    hint = escape(f"{truth} read as {name}: {count} of {total}, {_number(value)} %{interval}")
    strong = " strong" if value > 0.65 else ""
    zero = " zero" if count == 0 else ""
    return (
        f'<td class="cell{strong}{zero}" style="--share:{value:.3f}" title="{hint}">'
        f"{100 * value:.0f}<small>{count:,}</small></td>"
    )


def _calibration(metrics: Mapping[str, Any]) -> str:
    ece, nll = metrics["ece"]["value"], metrics["nll"]["value"]
    return (
        f"On average a bin\u2019s confidence is <b>{_number(ece)}\u2009%</b> from its accuracy "
        f"(expected calibration error, 15 bins); the log loss is <b>{_number(nll, 'nll')}</b> nats."
    )


def _map(evaluation: Evaluation, report: Mapping[str, Any], names: Sequence[str]) -> str:
    if evaluation.embeddings is None:
        return '<p class="absent">There is no map: the model gave no embedding.</p>'
    kept = np.flatnonzero(evaluation.targets >= 0)
    points, rows, method = plots.project(
        evaluation.embeddings[kept], seed=report["intervals"]["seed"]
    )
    targets = evaluation.targets[kept][rows]
    legend = "".join(
        f"<li>{plots.class_mark(index)}{escape(name)}</li>"
        for index, name in enumerate(names)
        if (targets == index).any()
    )
    drawn = f"{rows.size:,} of {kept.size:,}" if rows.size < kept.size else f"All {kept.size:,}"
    at_random = " drawn at random" if rows.size < kept.size else ""
    made = (
        "PCA to 50 dimensions, then t-SNE, which keeps neighbours together: the size of a cluster "
        "and its distance to others mean nothing"
        if method == "t-SNE"
        else "the first two principal components"
    )
    return (
        f"<figure>{plots.embedding_map(points, targets, names, method)}"
        f'<ul class="legend">{legend}</ul><figcaption>{drawn} rows{at_random}, marked by their '
        f"true class; {made}.</figcaption></figure>"
    )


def _mistakes(evaluation: Evaluation, mistakes: Sequence[Mapping[str, Any]]) -> str:
    if not mistakes:
        return '<p class="absent">There is none: every row was read as its target.</p>'
    cards = []
    for entry in mistakes:
        picture = (
            "" if evaluation.crops is None else _picture(evaluation.crops[entry["row"]], entry)
        )
        cards.append(
            f"<li>{picture}<p>read <b>{escape(entry['prediction'])}</b></p>"
            f"<p>is <b>{escape(entry['truth'])}</b></p>"
            f"<p>{_number(entry['confidence'])}\u2009% sure</p>"
            f'<p class="id">{escape(entry["id"])}</p></li>'
        )
    return f'<ul class="mistakes">{"".join(cards)}</ul>'


def _picture(crop: Any, entry: Mapping[str, Any]) -> str:
    from PIL import Image

    image = Image.fromarray(np.asarray(crop, np.uint8))
    image.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    text = escape(f"Face {entry['id']}: {entry['truth']}, read as {entry['prediction']}")
    return (
        f'<img src="data:image/png;base64,{data}" alt="{text}" '
        f'width="{image.width}" height="{image.height}">'
    )


def _left_out(report: Mapping[str, Any]) -> str:
    reasons: Mapping[str, int] = report["left_out"]
    if not reasons:
        return f"<p>None: all {report['n']:,} rows have a target.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(reason)}</th><td>{count:,}</td></tr>'
        for reason, count in reasons.items()
    )
    return (
        '<table class="plain"><thead><tr><th scope="col">Reason</th><th scope="col">Rows</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _terms(terms: str) -> str:
    return f'<h3>Terms of use</h3><p class="terms">{escape(terms)}</p>' if terms else ""


def _definitions(provenance: Mapping[str, str]) -> str:
    if not provenance:
        return '<p class="absent">Nothing was recorded.</p>'
    pairs = "".join(
        f"<div><dt>{escape(key)}</dt><dd>{escape(str(value))}</dd></div>"
        for key, value in provenance.items()
    )
    return f'<dl class="provenance">{pairs}</dl>'


def _how_intervals(report: Mapping[str, Any]) -> str:
    how = report["intervals"]
    if report["clustered_by"]:
        unit = (
            f"Each draw takes {report['clusters']:,} subjects with replacement, and each brings "
            "all its rows, so rows of one person do not pass for independent ones."
        )
    else:
        unit = (
            "Subjects are not known, so each draw takes single rows; where several rows show one "
            "person, the true uncertainty is larger."
        )
    return (
        f"Intervals are {100 * how['level']:g}\u2009% percentile bootstrap intervals from "
        f"{how['draws']:,} draws (seed {how['seed']}). {unit} They tell how much the numbers would "
        "change with other faces of this kind, not with another training run or another corpus. "
        "In retrieval the rows searched stay the same and only the queries are drawn."
    )
