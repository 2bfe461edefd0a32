"""The page of a report of severity: HTML with everything inlined, from ``report.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mien.reports import severity_plots, tables
from mien.reports.page import definitions, fill, terms_of_use, warnings_aside
from mien.statistics.baselines import COMPARED, MEASURES

if TYPE_CHECKING:
    from mien.statistics.recordings import SeverityEvaluation

TITLES: dict[str, tuple[str, str]] = {
    "mae": ("Absolute error (MAE)", "mean, in points of the scale; 0 is best"),
    "rmse": ("Squared error (RMSE)", "root of the mean, in points; large misses weigh more"),
    "pcc": ("Correlation (PCC)", "agreement up to shift and scale; 1 is best"),
    "ccc": ("Concordance (CCC)", "agreement in value; 1 is best, a constant has 0"),
}
BASELINE_TITLES = {
    "mean": ("Training mean", "always the same score"),
    "median": ("Training median", "always the same score"),
    "person": (
        "Only the person",
        "mean of the subject\u2019s other recordings in training, without any the training mean",
    ),
}
_PAIRS_DRAWN = (
    " In the rank correlation a pair of two subjects counts as often as the product of how often "
    "they were drawn, a pair of one subject as often as it was; copies of a subject make no pairs."
)
PERSON_TITLES = {
    "seen": "Subject in training",
    "unseen": "Subject not in training",
    "unknown": "Subject not known",
}


def render_severity(evaluation: SeverityEvaluation, report: Mapping[str, Any]) -> str:
    """The whole of ``report.html``; every text that came from outside is escaped."""
    provenance = dict(report["provenance"])
    title = " on ".join(filter(None, (provenance.get("model"), provenance.get("dataset"))))
    subjects, scale, listed = report["subjects"], report["scale"], report["recordings"]
    facts = [
        f"split <b>{escape(report['split'])}</b>",
        f"<b>{report['n']:,}</b> recording{tables.plural(report['n'])}",
        f"<b>{subjects:,}</b> subject{tables.plural(subjects)}" if subjects else "subjects unknown",
        f"scale <b>{escape(scale['name'])}</b>, 0 to {scale['top']}",
    ]
    trained_on = provenance.pop("trained_on", "") or "what the model was trained on is not recorded"
    lines, several = severity_plots.subject_lines(listed)
    half = report["conformal"]["half_width"]
    return fill(
        "severity.html",
        title=escape(title or f"Split {report['split']}"),
        warnings=warnings_aside(report["warnings"]),
        use=escape(report["use"]),
        facts=" <i>\u00b7</i> ".join(facts),
        trained=f"Trained on: {escape(trained_on)}",
        headline=_headline(report["metrics"]),
        verdicts="".join(said(text) for text in report["verdicts"]),
        baselines=_baselines(report),
        persons_lead=_persons_lead(report),
        persons=_columns(
            {
                PERSON_TITLES[key]: own
                for key, own in report["persons"].items()
                if own["n"] or key != "unknown"
            }
        ),
        scatter=severity_plots.scatter(listed, scale, half),
        legend=severity_plots.legend(listed),
        scatter_caption=_scatter_caption(half, report["conformal"]["coverage"]),
        residuals=severity_plots.residuals(listed, scale),
        lines=_lines(lines, several),
        conformal=_conformal(report["conformal"]),
        bands=_bands(report),
        tasks=_tasks(report),
        usable=_usable(report["by_usable"]),
        order=_order(report["order"]),
        left_out=_left_out(report["left_out"]),
        license_terms=terms_of_use(provenance.pop("license_terms", "")),
        provenance=definitions(provenance),
        intervals=how_intervals(report) + _PAIRS_DRAWN,
    )


def said(text: str) -> str:
    """A sentence as a paragraph, its minus signs set as such."""
    signed = tables.sentence(text).replace(" -", " \u2212")
    return f'<p class="said">{escape(signed)}</p>'


def form(measure: str) -> str:
    """How :mod:`mien.reports.tables` writes a measure: errors are in points of the scale."""
    return tables.POINTS if measure in ("mae", "rmse") else measure


def _headline(metrics: Mapping[str, Any]) -> str:
    cells = []
    for name in MEASURES:
        entry, written = metrics[name], form(name)
        below = tables.interval(entry, written) or escape(entry.get("reason", "no interval"))
        value = tables.number(entry["value"], written)
        cells.append(f"<div><dt>{TITLES[name][0]}</dt><dd>{value}<small>{below}</small></dd></div>")
    return f'<dl class="headline">{"".join(cells)}</dl>'


def row(title: str, meaning: str, cells: Iterable[str]) -> str:
    """A row of a table with what it means below its title."""
    small = f"<small>{escape(meaning)}</small>" if meaning else ""
    return f'<tr><th scope="row">{escape(title)}{small}</th>{"".join(cells)}</tr>'


def table(head: Sequence[str], rows: Iterable[str], notes: Iterable[str]) -> str:
    """A table of values with its footnotes."""
    columns = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return (
        f'<div class="wide"><table class="values rules"><thead><tr><td></td>{columns}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>{tables.footnotes(notes)}"
    )


def _baselines(report: Mapping[str, Any]) -> str:
    """The values of the model and of each baseline, and below each the difference."""
    notes: list[str] = []
    metrics = report["metrics"]
    cells = [tables.value_cell(metrics[name], notes, form(name)) for name in COMPARED]
    rows = [row("The model", "", cells)]
    for name, entry in report["baselines"].items():
        title, meaning = BASELINE_TITLES[name]
        if name == "person":
            meaning += f" ({report['n'] - entry['known']} of {report['n']} here)"
        cells = [tables.value_cell(entry[key], notes, form(key)) for key in COMPARED]
        rows.append(row(title, meaning, cells))
        cells = [difference(entry["differences"][key], key) for key in COMPARED]
        rows.append(row("\u2003the model less that", "", cells))
    return table([TITLES[name][0] for name in COMPARED], rows, notes)


def difference(found: Mapping[str, Any], measure: str) -> str:
    """A paired difference, its interval and what it says."""
    if found["value"] is None:
        return "<td>\u2013</td>"
    span = tables.signed_interval(found, form(measure)) or "no interval"
    value = tables.signed(found["value"], form(measure))
    return f"<td>{value}<small>{span}<br>{found['word']}</small></td>"


def _columns(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Measures in rows, one column for each group of recordings."""
    notes: list[str] = []
    counts = [
        f"<td>{entry['n']:,}<small>{people(entry['subjects'])}</small></td>"
        for entry in columns.values()
    ]
    rows = [f'<tr class="count"><th scope="row">Recordings</th>{"".join(counts)}</tr>']
    for name in MEASURES:
        cells = [tables.value_cell(entry[name], notes, form(name)) for entry in columns.values()]
        rows.append(row(*TITLES[name], cells))
    for name in ("mean", "person"):
        found = [entry["baselines"].get(name) for entry in columns.values()]
        cells = [
            tables.value_cell(own["mae"], notes, tables.POINTS) if own else "<td>\u2013</td>"
            for own in found
        ]
        rows.append(row(f"MAE of: {BASELINE_TITLES[name][0].lower()}", "", cells))
        cells = [
            difference(own["differences"]["mae"], "mae") if own else "<td>\u2013</td>"
            for own in found
        ]
        rows.append(row("\u2003MAE of the model less that", "", cells))
    return table(list(columns), rows, notes)


def people(count: int | None) -> str:
    """How many subjects there are, in words."""
    return "subjects unknown" if count is None else f"{count:,} subject{tables.plural(count)}"


def _persons_lead(report: Mapping[str, Any]) -> str:
    training = report["training"]
    return (
        f"Training had {training['n']:,} scored recording{tables.plural(training['n'])} of "
        f"{training['subjects']:,} known subject{tables.plural(training['subjects'])}. Only people "
        "who are not among them show what the model says of somebody new."
    )


def _scatter_caption(half: float | None, coverage: float) -> str:
    text = "Each mark is a recording. Thin lines part the bands of the scale; on the dashed "
    text += "diagonal a prediction is right."
    if half is not None:
        text += (
            f" Within the shaded strip the truth lies in the interval of {100 * coverage:g}\u2009%."
        )
    return text


def _lines(figure: str, count: int) -> str:
    if not figure:
        return '<p class="absent">No subject has several recordings here.</p>'
    return (
        f"<figure>{figure}<figcaption>The {count:,} subject{tables.plural(count)} with several "
        "recordings: true scores (open) and predictions (filled). Filled marks that stay "
        "together while the open ones part show a model that knows the person."
        "</figcaption></figure>"
    )


def _conformal(conformal: Mapping[str, Any]) -> str:
    nominal = f"{100 * conformal['coverage']:g}\u2009%"
    if conformal["half_width"] is None:
        why = escape(tables.sentence(f"No interval: {conformal['reason']}"))
        return f'<p class="absent">{why}</p>'
    notes: list[str] = []
    measured = {"all": "All"} | {
        key: title for key, title in PERSON_TITLES.items() if conformal["n"][key] or key == "unseen"
    }
    cells = [tables.value_cell(conformal["measured"][key], notes) for key in measured]
    caveats = "".join(said(text) for text in conformal["warnings"])
    count = conformal["subjects"]
    return (
        f'<p class="lead">A prediction \u00b1 <b>{conformal["half_width"]:.2f}</b> points is meant '
        f"to hold the true score of {nominal} of new people\u2019s recordings. Calibrated on split "
        f"{escape(conformal['split'])} by subject ({count:,}).</p>{caveats}"
        + table(list(measured.values()), [row("Measured coverage, %", "", cells)], notes)
    )


def _grouped_rows(groups: Iterable[tuple[str, Mapping[str, Any]]], notes: list[str]) -> list[str]:
    return [
        row(
            title,
            "",
            [
                f"<td>{entry['n']:,}<small>{people(entry['subjects'])}</small></td>",
                tables.value_cell(entry["mae"], notes, tables.POINTS),
                tables.value_cell(entry["bias"], notes, tables.POINTS),
            ],
        )
        for title, entry in groups
    ]


_GROUP_HEAD = ("Recordings", "MAE", "Predicted less true")


def _bands(report: Mapping[str, Any]) -> str:
    if not report["by_band"]:
        return ""
    notes: list[str] = []
    rows = _grouped_rows(
        ((f"{own['name']} ({own['from']}\u2013{own['to']})", own) for own in report["by_band"]),
        notes,
    )
    names = [own["name"] for own in report["by_band"]]
    return (
        "<section>\n<h2>Bands of the scale</h2>\n"
        f"{table(_GROUP_HEAD, rows, notes)}<h3>Which band is read as which</h3>"
        '<p class="lead">Each row is a true band: the percentage of its recordings whose '
        "prediction, to the nearest whole score, lies in each band.</p>"
        f"{tables.confusion_table(report, names)}\n</section>\n"
    )


def _tasks(report: Mapping[str, Any]) -> str:
    if not report["by_task"]:
        return ""
    columns = dict(report["by_task"])
    if report["sessions"] is not None:
        columns["mean of a session\u2019s tasks"] = report["sessions"]
    return (
        "<section>\n<h2>By task</h2>\n"
        '<p class="lead">Papers score tasks apart, together or fused: the last column, where there '
        "is one, averages the predictions of a session\u2019s tasks first.</p>\n"
        f"{_columns(columns)}\n</section>\n"
    )


def _usable(groups: Sequence[Mapping[str, Any]]) -> str:
    if not groups:
        return ""
    notes: list[str] = []
    titles = [f"{100 * own['from']:g} to {100 * own['below']:g}\u2009%" for own in groups]
    rows = _grouped_rows(zip(titles, groups, strict=True), notes)
    return (
        "<section>\n<h2>By usable frames</h2>\n"
        '<p class="lead">Recordings by the share of their frames in which a face could be used.'
        f"</p>\n{table(_GROUP_HEAD, rows, notes)}\n</section>\n"
    )


def _order(order: Mapping[str, Any]) -> str:
    notes: list[str] = []
    titles = {"other_subjects": "Pairs of two subjects", "all_pairs": "All pairs"}
    cells = [tables.value_cell(order[key], notes, "ccc") for key in titles]
    pairs = [f"<td>{order[key]['pairs']:,}</td>" for key in titles]
    return (
        '<p class="lead">Spearman\u2019s correlation of the cosine of two recordings\u2019 '
        "embeddings with minus the gap of their scores; 1 is an embedding in which the likest "
        "scores are the likest vectors. Pairs of one person raise it without any severity being "
        "read, so the first column counts.</p>"
        + table(
            list(titles.values()),
            [
                f'<tr class="count"><th scope="row">Pairs</th>{"".join(pairs)}</tr>',
                row("Rank correlation", "", cells),
            ],
            notes,
        )
    )


def _left_out(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return '<p class="absent">Nothing: every recording has a score and a prediction.</p>'
    rows = "".join(
        f'<tr><th scope="row">{escape(reason)}</th><td>{count:,}</td></tr>'
        for reason, count in reasons.items()
    )
    return (
        '<table class="plain"><thead><tr><th scope="col">Reason</th>'
        f'<th scope="col">Recordings</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def how_intervals(report: Mapping[str, Any]) -> str:
    """What an interval over recordings is, in words."""
    how = report["intervals"]
    unit = (
        f"Each draw takes {report['clusters']:,} subjects with replacement, and each brings all "
        "its recordings."
        if report["clustered_by"]
        else "Subjects are not known, so each draw takes single recordings; where several show "
        "one person, the true uncertainty is larger."
    )
    return (
        f"Intervals are {100 * how['level']:g}\u2009% percentile bootstrap intervals from "
        f"{how['draws']:,} draws (seed {how['seed']}). {unit} Differences are paired: a draw takes "
        "the same recordings for both. They tell how much the numbers would change with other "
        "people of this kind, not with another training set, training run or corpus."
    )
