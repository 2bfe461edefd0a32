"""The page of a comparison of severity, from the numbers of ``compare.json``."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from mien.reports import page, severity_page, tables
from mien.statistics.baselines import COMPARED, MEASURES


def render_severity_comparison(document: Mapping[str, Any]) -> str:
    """The whole of ``compare.html``; every text that came from outside is escaped."""
    provenance, entries = dict(document["provenance"]), document["entries"]
    scale, n = document["scale"], document["n"]
    others = " and ".join(entry["label"] for entry in entries[1:])
    facts = [
        f"dataset <b>{escape(provenance.get('dataset', 'unknown'))}</b>",
        f"split <b>{escape(document['split'])}</b>",
        f"<b>{n:,}</b> recording{tables.plural(n)}",
        f"<b>{severity_page.people(document['subjects'])}</b>",
        f"scale <b>{escape(scale['name'])}</b>, 0 to {scale['top']}",
    ]
    return page.fill(
        "severity_comparison.html",
        title=escape(f"{others} against {entries[0]['label']}"),
        warnings=page.warnings_aside(document["warnings"]),
        use=escape(document["use"]),
        facts=" <i>\u00b7</i> ".join(facts),
        differences=_differences(document),
        values=_values(document),
        license_terms=page.terms_of_use(provenance.pop("license_terms", "")),
        provenance=page.definitions(provenance),
        intervals=severity_page.how_intervals(document)
        + " Where both sides have several seeds, a difference\u2019s interval adds the variance "
        "of the seeds\u2019 differences to that over subjects, as crossed random effects.",
    )


def _differences(document: Mapping[str, Any]) -> str:
    labels = {entry["letter"]: entry["label"] for entry in document["entries"]}
    rows, notes, said = [], list[str](), []
    for found in document["comparisons"]:
        name = f"{labels[found['entry']]} less {labels[found['to']]}"
        words = "; ".join([found["word"], *found["notes"]])
        said.append(
            severity_page.said(
                f"In absolute error {labels[found['entry']]} against {labels[found['to']]}: {words}"
            )
        )
        for key, who in (("differences", "all"), ("unseen", "subjects not in training")):
            if found[key]:
                cells = [
                    severity_page.difference(found[key][measure], measure) for measure in COMPARED
                ]
                count = document["n"] if key == "differences" else document["unseen"]
                rows.append(severity_page.row(name, f"{who}, {count:,} recordings", cells))
    head = [severity_page.TITLES[name][0] for name in COMPARED]
    return "".join(said) + severity_page.table(head, rows, notes)


def _values(document: Mapping[str, Any]) -> str:
    rows, notes = [], list[str]()
    for entry in document["entries"]:
        for member in entry["members"]:
            cells = [
                tables.value_cell(member["metrics"][name], notes, severity_page.form(name))
                for name in MEASURES
            ]
            seed = "" if member["seed"] is None else f"seed {member['seed']}"
            rows.append(severity_page.row(f"{entry['letter']} {entry['label']}", seed, cells))
    return severity_page.table([severity_page.TITLES[m][0] for m in MEASURES], rows, notes)
