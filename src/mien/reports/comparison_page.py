"""The page of a comparison: HTML with everything inlined, from the numbers of ``compare.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mien.metrics.classification import FloatArray, IntArray
from mien.reports import affect_page, page, plots, tables

MOST_CHANGES = 5
_ORDER = ("accuracy", "mean_class_accuracy", "macro_f1", "precision_at_1", "map_at_r", "nll")
_IN_TABLE = (*_ORDER, "ece", "distance_ratio")
_SHARES = tuple(name for name in _ORDER if name not in tables.NOT_SHARES)

Plane = tuple[FloatArray, IntArray, str] | None


def render_comparison(document: Mapping[str, Any], planes: Sequence[Plane], truth: IntArray) -> str:
    """The whole of ``compare.html``; every text that came from outside is escaped.

    ``planes`` has each entry's map (or None) and ``truth`` the ``(n,)`` classes it is marked by.
    """
    provenance = dict(document["provenance"])
    entries, comparisons = document["entries"], document["comparisons"]
    subjects = document["clusters"]
    facts = [
        f"dataset <b>{escape(provenance.get('dataset', 'unknown'))}</b>",
        f"split <b>{escape(document['split'])}</b>",
        f"<b>{document['n']:,}</b> row{tables.plural(document['n'])}",
        f"<b>{subjects:,}</b> subject{tables.plural(subjects)}" if subjects else "subjects unknown",
        f"targets <b>{escape(document['rule'])}</b>",
    ]
    return page.fill(
        "compare.html",
        title=escape(_title(entries)),
        facts=" <i>\u00b7</i> ".join(facts),
        warnings=page.warnings_aside(document["warnings"]),
        verdicts="".join(_verdict(document, comparison) for comparison in comparisons),
        forest=_forest(comparisons),
        bars=_bars(comparisons),
        differences=_difference_table(comparisons),
        values=_value_table(entries),
        runs=_run_table(entries),
        affect=affect_page.comparison_section(document),
        changes="".join(_change(document, comparison) for comparison in comparisons),
        maps=_maps(document, planes, truth),
        left_out=page.left_out_table(document),
        word=_how_the_word(document),
        license_terms=page.terms_of_use(provenance.pop("license_terms", "")),
        provenance=page.definitions(provenance),
        intervals=page.how_intervals(document),
    )


def _title(entries: Sequence[Mapping[str, Any]]) -> str:
    labels = [entry["label"] for entry in entries]
    if len(labels) <= 3:
        return f"{' and '.join(labels[1:])} against {labels[0]}"
    return f"{len(labels) - 1} models against {labels[0]}"


def _named(entry: Mapping[str, Any]) -> str:
    return f'<span class="letter">{entry["letter"]}</span> {escape(entry["label"])}'


def _by_letter(document: Mapping[str, Any], letter: str) -> Mapping[str, Any]:
    return next(entry for entry in document["entries"] if entry["letter"] == letter)


def _verdict(document: Mapping[str, Any], comparison: Mapping[str, Any]) -> str:
    this, first = (_by_letter(document, comparison[key]) for key in ("entry", "to"))
    found = comparison["metrics"][document["decided_by"]]
    word = comparison["verdict"]
    sentence = {
        "better": f"<b>{_named(this)}</b> is <em>better</em> than <b>{_named(first)}</b>",
        "worse": f"<b>{_named(this)}</b> is <em>worse</em> than <b>{_named(first)}</b>",
    }.get(
        word,
        f"<em>No difference shown</em> between <b>{_named(this)}</b> and <b>{_named(first)}</b>",
    )
    faces = tables.signed_interval(found["over_faces"])
    small = [f"over faces {faces or 'no interval'}"]
    if found["over_seeds"]:
        over_seeds = tables.signed_interval(found["over_seeds"])
        small.append(f"over {len(comparison['seeds'])} seeds {over_seeds}")
    test = comparison["test"]
    if test["p"] is not None:
        family = sum(other["test"]["p"] is not None for other in document["comparisons"])
        corrected = f", {_p(test['p_holm'])} after Holm over {family}" if family > 1 else ""
        small.append(f"{test['name']}: p {_p(test['p'], equals=True)}{corrected}")
    elif test["name"]:
        small.append(f"{test['name']}: none, the seeds\u2019 differences do not vary")
    notes = "".join(f"<p>{escape(tables.sentence(note))}</p>" for note in comparison["notes"])
    css = {"better": "good", "worse": "bad"}.get(word, "open")
    return (
        f'<li class="{css}"><div class="amount">{tables.signed(found["over_faces"]["value"])}'
        '<span class="unit">points</span><small>of accuracy</small></div>'
        f'<div><p class="word">{sentence}.</p><p class="evidence">{"<br>".join(small)}</p>'
        f'<div class="aside">{notes}</div></div></li>'
    )


def _p(value: float, *, equals: bool = False) -> str:
    sign = "= " if equals else ""
    return "&lt; 0.001" if value < 0.001 else f"{sign}{value:.3f}"


def _forest(comparisons: Sequence[Mapping[str, Any]]) -> str:
    groups = []
    for name in _SHARES:
        rows = [
            (entry["entry"], found["over_faces"], found["over_seeds"])
            for entry in comparisons
            if (found := entry["metrics"].get(name)) and found["over_faces"]["value"] is not None
        ]
        if rows:
            groups.append((tables.METRICS[name][0], rows))
    return plots.forest(groups)


def _bars(comparisons: Sequence[Mapping[str, Any]]) -> str:
    seeds = (
        " Thin bars below them: what other seeds could change."
        if any(entry["seeds"] for entry in comparisons)
        else ""
    )
    return f"Broad bars: what other faces of this kind could change.{seeds} Gray: zero is within."


def _difference_table(comparisons: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(
        f'<th scope="col"><span class="letter">{entry["entry"]}</span> \u2212 '
        f'<span class="letter">{entry["to"]}</span></th>'
        for entry in comparisons
    )
    rows = []
    for name in (*_ORDER, "distance_ratio"):
        cells = [
            tables.difference_cell(entry["metrics"].get(name), len(entry["seeds"]), name)
            for entry in comparisons
        ]
        unit = "points" if name in _SHARES else tables.METRICS[name][1]
        rows.append(
            f'<tr><th scope="row">{tables.METRICS[name][0]}<small>{escape(unit)}</small></th>'
            f"{''.join(cells)}</tr>"
        )
    return (
        f'<div class="wide"><table class="values"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _value_table(entries: Sequence[Mapping[str, Any]]) -> str:
    notes: list[str] = []
    head = "".join(f'<th scope="col">{_named(entry)}</th>' for entry in entries)
    rows = []
    for name in _IN_TABLE:
        cells = "".join(
            tables.value_cell(entry["metrics"][name], notes, name)
            if name in entry["metrics"]
            else "<td>\u2013</td>"
            for entry in entries
        )
        title, meaning = tables.METRICS[name]
        rows.append(f'<tr><th scope="row">{title}<small>{escape(meaning)}</small></th>{cells}</tr>')
    return (
        f'<div class="wide"><table class="values rules"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{tables.footnotes(notes)}"
    )


def _run_table(entries: Sequence[Mapping[str, Any]]) -> str:
    if all(len(entry["members"]) == 1 for entry in entries):
        return ""
    names = ("accuracy", "mean_class_accuracy", "macro_f1", "map_at_r")
    notes: list[str] = []
    rows = []
    for entry in entries:
        for member in entry["members"]:
            cells = "".join(tables.value_cell(member["metrics"][name], notes) for name in names)
            seed = "\u2013" if member["seed"] is None else member["seed"]
            rows.append(
                f'<tr><th scope="row"><span class="letter">{entry["letter"]}</span> '
                f"{escape(member['model'])}</th><td>{seed}</td>{cells}</tr>"
            )
    head = "".join(
        f'<th scope="col">{title}</th>'
        for title in ("Run", "Seed", *(tables.METRICS[name][0] for name in names))
    )
    return (
        "<h3>Each run</h3>"
        f'<div class="wide"><table class="values"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{tables.footnotes(notes)}"
    )


def _change(document: Mapping[str, Any], comparison: Mapping[str, Any]) -> str:
    names = document["label_space"]["names"]
    this, first = (_by_letter(document, comparison[key]) for key in ("entry", "to"))
    changes = comparison["confusion_change"]
    whole = all(float(value).is_integer() for row in changes for value in row)
    scale = max((abs(value) for row in changes for value in row), default=0.0) or 1.0
    body = "".join(
        f'<tr><th scope="row">{escape(truth)}</th>'
        + "".join(
            _change_cell(truth, name, value, scale, whole=whole)
            for name, value in zip(names, row, strict=True)
        )
        + "</tr>"
        for truth, row in zip(names, changes, strict=True)
    )
    tall = " tall" if len(names) > 9 or max(map(len, names)) > 10 else ""
    columns = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    rows = comparison["rows"]
    right, wrong = (
        _count(rows[key], whole=whole) for key in ("only_this_right", "only_first_right")
    )
    mean = " (means over the pairs of runs)" if len(comparison["seeds"]) > 1 else ""
    return (
        f"<h3>{_named(this)} against {_named(first)}</h3>"
        f'<p class="lead">Reads <b>{right}</b> faces right that {_named(first)} has wrong, and '
        f"<b>{wrong}</b> wrong that it has right{mean}. {_largest(names, changes, whole=whole)}</p>"
        f'<div class="wide"><table class="confusion change{tall}" style="--classes:{len(names)}">'
        '<thead><tr><td class="corner"><span>truth \u2193</span> <span>read as \u2192</span></td>'
        f"{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _change_cell(truth: str, name: str, value: float, scale: float, *, whole: bool) -> str:
    if abs(value) < 0.05:
        return '<td class="cell zero">\u00b7</td>'
    # More on the diagonal is good, more beside it is bad.
    kind = "gain" if (value > 0) == (truth == name) else "loss"
    strong = " strong" if abs(value) > 0.8 * scale else ""
    hint = escape(f"{truth} read as {name}: {_count(value, whole=whole, signed=True)} faces")
    return (
        f'<td class="cell {kind}{strong}" style="--share:{0.9 * abs(value) / scale:.3f}" '
        f'title="{hint}">{_count(value, whole=whole, signed=True)}</td>'
    )


def _largest(names: Sequence[str], changes: Sequence[Sequence[float]], *, whole: bool) -> str:
    """The confusions that changed most, in words."""
    found = [
        (value, truth, name)
        for truth, row in zip(names, changes, strict=True)
        for name, value in zip(names, row, strict=True)
        if truth != name and abs(value) >= 0.5
    ]
    found = sorted(found, key=lambda entry: -abs(entry[0]))[:MOST_CHANGES]
    if not found:
        return "No pair of classes changed."
    words = ", ".join(
        f"{escape(truth)} as {escape(name)} <b>{_count(value, whole=whole, signed=True)}</b>"
        for value, truth, name in found
    )
    return f"Changed most: {words}."


def _count(value: float, *, whole: bool, signed: bool = False) -> str:
    """Faces, with a decimal where they are a mean over runs."""
    digits = 0 if whole else 1
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return text.replace("-", "\u2212")


def _maps(document: Mapping[str, Any], planes: Sequence[Plane], truth: IntArray) -> str:
    names = document["label_space"]["names"]
    figures = []
    for entry, plane in zip(document["entries"], planes, strict=True):
        caption = [f"<b>{_named(entry)}</b>"]
        if len(entry["members"]) > 1:
            caption.append(f"the run of seed {entry['members'][0]['seed']}")
        if plane is None:
            figures.append(f"<figure><figcaption>{caption[0]}: no map.</figcaption></figure>")
            continue
        points, rows, method = plane
        drawing = plots.embedding_map(points, truth[rows], names, method, of=entry["letter"])
        shape = entry["members"][0]["embedding"]
        metrics = entry["members"][0]["metrics"]
        ratio = metrics["distance_ratio"]["value"]
        caption += [
            f"MAP at R {tables.number(metrics['map_at_r']['value'])}\u2009%",
            "distance ratio " + ("\u2013" if ratio is None else f"{ratio:.2f}"),
            f"effective rank {shape['effective_rank']:.1f}",
            f"spread {shape['spread']:.2f}",
        ]
        below = " \u00b7 ".join(caption)
        figures.append(f"<figure>{drawing}<figcaption>{below}</figcaption></figure>")
    drawn = [plane for plane in planes if plane is not None]
    if not drawn:
        return '<p class="absent">There are no maps: it takes an embedding and three rows.</p>'
    shown = truth[drawn[0][1]]
    return (
        f'<div class="maps">{"".join(figures)}</div>{plots.legend(shown, names)}'
        f'<p class="fine-print">The same {shown.size:,} rows in each, marked by their true class; '
        "PCA "
        "to 50 dimensions, then t-SNE where ten rows differ. A map has no scale: compare how pure "
        "the groups are, not where they lie. Distance ratio, effective rank and spread are of the "
        "whole embedding.</p>"
    )


def _how_the_word(document: Mapping[str, Any]) -> str:
    level = document["intervals"]["level"]
    grouped = any(len(entry["members"]) > 1 for entry in document["entries"])
    seeds = (
        " Where runs differ in their seed, the interval over seeds (t, of the differences paired "
        "by seed) has to agree, and p is that of the paired t-test."
        if grouped
        else ""
    )
    return (
        "An entry is called better or worse than the first one where the paired "
        f"{100 * level:g}\u2009% interval of the difference in accuracy lies on one side of zero "
        f"and p is below {1 - level:.2g}. Between two single models p is McNemar\u2019s exact test "
        f"of the rows that only one has right.{seeds} Where there are several comparisons, p is "
        "first raised by "
        "Holm\u2019s correction; the intervals are not corrected. No difference shown is not "
        "shown to be equal: the interval says what is still possible. The other metrics have no "
        "word, since among many one differs by chance."
    )
