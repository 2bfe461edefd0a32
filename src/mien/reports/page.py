"""The page of a report: HTML with everything inlined, from the numbers of ``report.json``."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.metrics.attention import attention_section
from mien.reports import affect_page, graph_page, plots, tables

if TYPE_CHECKING:
    from mien.statistics.arrays import Evaluation

LARGEST_PICTURE = 192


def render_page(evaluation: Evaluation, report: Mapping[str, Any]) -> str:
    """The whole of ``report.html``; every text that came from outside is escaped."""
    names = report["label_space"]["names"]
    provenance = dict(report["provenance"])
    title = " on ".join(filter(None, (provenance.get("model"), provenance.get("dataset"))))
    subjects = report["clusters"]
    rows = report["n"] or report["valence_arousal"]["n"]
    facts = [
        f"split <b>{escape(report['split'])}</b>",
        f"<b>{rows:,}</b> row{tables.plural(rows)}",
        f"<b>{subjects:,}</b> subject{tables.plural(subjects)}" if subjects else "subjects unknown",
        f"label space <b>{escape(report['label_space']['name'])}</b>",
    ]
    # Where no row has an expression, what is about expressions is left out, not shown empty.
    expressions = _expressions(evaluation, report, names) if report["metrics"] else None
    return fill(
        "report.html",
        without=() if expressions else ("expressions",),
        title=escape(title or f"Split {report['split']}"),
        facts=" <i>\u00b7</i> ".join(facts),
        rule=escape(report["rule"]),
        warnings=warnings_aside(report["warnings"]),
        **(expressions or {}),
        affect=affect_page.report_section(evaluation, report),
        graph=graph_page.graph_section(report),
        left_out=left_out_table(report),
        license_terms=terms_of_use(provenance.pop("license_terms", "")),
        provenance=definitions(provenance),
        intervals=how_intervals(report),
    )


def _expressions(
    evaluation: Evaluation, report: Mapping[str, Any], names: Sequence[str]
) -> dict[str, str]:
    return {
        "headline": tables.headline(report["metrics"]),
        "metrics": tables.metric_table(report["metrics"]),
        "other_rules": tables.rules_table(report),
        "reference": tables.readings_section(report["reference"]),
        "per_class": tables.class_table(report["per_class"]),
        "confusion": tables.confusion_table(report, names),
        "reliability": plots.reliability_diagram(report["reliability"]),
        "calibration": _calibration(report["metrics"]),
        "map": _map(evaluation, report, names),
        "attention": attention_section(evaluation.attention, names),
        "mistakes": _mistakes(evaluation, report["mistakes"]),
    }


def fill(template: str, *, without: Sequence[str] = (), **parts: str) -> str:
    """A page of this package with its parts, and the style that all pages share.

    What a template has between ``<!-- NAME -->`` and ``<!-- end -->`` can be left out.
    """
    folder = files("mien.reports")
    text = folder.joinpath(template).read_text("utf-8")
    for name in without:
        text = re.sub(f"<!-- {name} -->.*?<!-- end -->\n", "", text, flags=re.DOTALL)
    text = re.sub("<!-- .*? -->\n", "", text)
    return Template(text).substitute(parts, style=folder.joinpath("page.css").read_text("utf-8"))


def warnings_aside(warnings: Sequence[str]) -> str:
    """Warnings as the first thing on the page."""
    if not warnings:
        return ""
    lines = "".join(f"<p>{escape(tables.sentence(warning))}</p>" for warning in warnings)
    return f'<aside class="warnings" role="note" aria-label="Warnings">{lines}</aside>'


def _calibration(metrics: Mapping[str, Any]) -> str:
    ece = tables.number(metrics["ece"]["value"])
    nll = tables.number(metrics["nll"]["value"], "nll")
    return (
        f"On average a bin\u2019s confidence is <b>{ece}\u2009%</b> from its accuracy (expected "
        f"calibration error, 15 bins); the log loss is <b>{nll}</b> nats."
    )


def _map(evaluation: Evaluation, report: Mapping[str, Any], names: Sequence[str]) -> str:
    if evaluation.embeddings is None:
        return '<p class="absent">There is no map: the model gave no embedding.</p>'
    kept = np.flatnonzero(evaluation.targets >= 0)
    if kept.size < plots.FEWEST_FOR_MAP:
        return '<p class="absent">There is no map: it takes three rows.</p>'
    points, rows, method = plots.project(
        evaluation.embeddings[kept], seed=report["intervals"]["seed"]
    )
    targets = evaluation.targets[kept][rows]
    drawn = f"{rows.size:,} of {kept.size:,}" if rows.size < kept.size else f"All {kept.size:,}"
    at_random = " drawn at random" if rows.size < kept.size else ""
    made = (
        "PCA to 50 dimensions, then t-SNE, which keeps neighbors together: the size of a cluster "
        "and its distance to others mean nothing"
        if method == "t-SNE"
        else "the first two principal components"
    )
    return (
        f"<figure>{plots.embedding_map(points, targets, names, method)}"
        f"{plots.legend(targets, names)}<figcaption>{drawn} rows{at_random}, "
        f"marked by their true class; {made}.</figcaption></figure>"
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
            f"<p>{tables.number(entry['confidence'])}\u2009% sure</p>"
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


def left_out_table(report: Mapping[str, Any]) -> str:
    """The rows without a target, by reason."""
    reasons: Mapping[str, int] = report["left_out"]
    if not report["n"]:
        what = "No row has an expression: all of this page is about valence and arousal."
        return f'<p class="absent">{what}</p>'
    if not reasons:
        return '<p class="absent">Nothing: every row has a target.</p>'
    rows = "".join(
        f'<tr><th scope="row">{escape(reason)}</th><td>{count:,}</td></tr>'
        for reason, count in reasons.items()
    )
    return (
        '<table class="plain"><thead><tr><th scope="col">Reason</th><th scope="col">Rows</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def terms_of_use(terms: str) -> str:
    """The terms under a heading of their own."""
    return f'<h3>Terms of use</h3><p class="fine-print">{escape(terms)}</p>' if terms else ""


def definitions(provenance: Mapping[str, str]) -> str:
    """Where the numbers come from, key by key."""
    if not provenance:
        return '<p class="absent">Nothing was recorded.</p>'
    pairs = "".join(
        f"<div><dt>{escape(key)}</dt><dd>{escape(str(value))}</dd></div>"
        for key, value in provenance.items()
    )
    return f'<dl class="provenance">{pairs}</dl>'


def how_intervals(report: Mapping[str, Any]) -> str:
    """What an interval over faces is, in words."""
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
