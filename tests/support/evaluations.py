"""Ordinary evaluations of each head, and a reader of pages, for the tests of reports."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from mien.heads.expression import ExpressionInfo
from mien.heads.severity import Conformal, SeverityInfo
from mien.labels import LABEL_SPACES, LabelSpace
from mien.reports.evaluation import (
    Evaluation,
    ExpressionArrays,
    HeadArrays,
    SeverityArrays,
    ValenceArousalArrays,
)
from mien.scales import SCALES
from mien.statistics.recordings import Recordings

SPACE = LABEL_SPACES["ferplus"]
OF_EVALUATION = {
    "ids", "subjects", "embeddings", "crops", "split", "provenance", "warnings", "graph", "left_out"
}  # fmt: skip


def make(
    n: int = 80, classes: int = 8, *, others: dict[str, HeadArrays] | None = None, **changes
) -> Evaluation:
    """Expressions of ``n`` rows; ``others`` are further heads, ``reasons`` the head's left_out."""
    rng = np.random.default_rng(0)
    space = SPACE if classes == 8 else LabelSpace(name="few", names=SPACE.names[:classes])
    targets = rng.integers(0, classes, n)
    scores = np.exp(rng.gumbel(size=(n, classes)) + 2 * np.eye(classes)[targets])
    of_head = {
        "targets": targets,
        "predictions": (scores / scores.sum(1, keepdims=True)).astype(np.float32),
        "rule": "majority",
    }
    given = {
        "ids": [f"face-{row}" for row in range(n)],
        "embeddings": (scores + rng.normal(size=scores.shape)).astype(np.float32),
        "subjects": np.array([f"person-{row // 2}" for row in range(n)]),
        "crops": rng.integers(0, 256, (n, 24, 24, 3), dtype=np.uint8),
        "split": "test",
    }
    info = ExpressionInfo(label_space=changes.pop("label_space", space))
    if "reasons" in changes:
        of_head["left_out"] = changes.pop("reasons")
    given |= {name: value for name, value in changes.items() if name in OF_EVALUATION}
    of_head |= {name: value for name, value in changes.items() if name not in OF_EVALUATION}
    return Evaluation(
        **given, heads={"expression": ExpressionArrays(info=info, **of_head), **(others or {})}
    )


def expression(evaluation: Evaluation) -> ExpressionArrays:
    arrays = evaluation.heads["expression"]
    assert isinstance(arrays, ExpressionArrays)
    return arrays


def valence_arousal(n: int = 80, **changes) -> ValenceArousalArrays:
    """Valence and arousal by class, predicted with shrinkage; every tenth row is unlabeled."""
    rng = np.random.default_rng(1)
    turn = expression(make(n)).targets * 0.7
    targets = np.stack([np.cos(turn), np.sin(turn)], 1) * 0.7
    targets = np.round(targets + rng.normal(0, 0.1, (n, 2)), 1).clip(-1, 1)
    targets[::10] = np.nan
    predictions = np.nan_to_num(0.6 * targets) + rng.normal(0, 0.15, (n, 2))
    given = {"predictions": predictions.astype(np.float32), "targets": targets}
    return ValenceArousalArrays(**(given | changes))


def alone(head: str, arrays: HeadArrays, **changes) -> Evaluation:
    """Rows that only one head is evaluated on, without pictures or embeddings."""
    n = len(arrays.targets)
    given = {
        "ids": [f"row-{row}" for row in range(n)],
        "subjects": np.array([f"person-{row // 2}" for row in range(n)]),
        "split": "test",
    }
    return Evaluation(**(given | changes), heads={head: arrays})


def recordings(rows: dict[str, tuple], **more) -> Recordings:
    """From id: (subject, task, score, prediction or None)."""
    subjects, tasks, scores, predictions = zip(*rows.values(), strict=True)
    return Recordings(
        ids=np.array(list(rows)),
        subjects=np.array(subjects),
        scores=np.array(scores, float),
        predictions=None if None in predictions else np.array(predictions, float),
        tasks=np.array(tasks),
        **more,
    )


def severity(
    evaluated: Recordings,
    training: Recordings,
    *,
    scale=SCALES["bdi-ii"],
    coverage: float = 0.9,
    validation: Recordings | None = None,
    **changes,
) -> Evaluation:
    """An evaluation of severity; ``changes`` are of the evaluation."""
    arrays = SeverityArrays(
        info=SeverityInfo(scale=scale, conformal=Conformal(coverage=coverage)),
        targets=evaluated.scores,
        predictions=evaluated.predictions,
        training=training,
        validation=validation,
        tasks=evaluated.tasks,
        sessions=evaluated.sessions,
        usable=evaluated.usable,
    )
    given = {
        "ids": evaluated.ids,
        "subjects": evaluated.subjects,
        "embeddings": evaluated.embeddings,
        "split": "test",
        "unit": "recording",
    }
    return Evaluation(**(given | changes), heads={"severity": arrays})


def read_documents(page: Path) -> tuple[dict, str]:
    """What was written beside a page, as another program reads it, and the page."""
    written = [page.with_suffix(".html").name, page.with_suffix(".json").name]
    assert sorted(path.name for path in page.parent.iterdir()) == written

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} in {page.stem}.json")

    text = page.with_suffix(".json").read_text("utf-8")
    return json.loads(text, parse_constant=no_constant), page.read_text("utf-8")


class Page(HTMLParser):
    """Checks that tags close in order and collects what matters.

    ``articles`` are the ids of heads, ``figures`` the classes of drawings, and ``tables`` the rows
    of each table as texts of its cells.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict] = []
        self.ids: list[str] = []
        self.articles: list[str] = []
        self.figures: list[str] = []
        self.links: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.html = html
        self.feed(html)
        self.close()
        assert self.open == []
        assert not re.search(r"\bnan\b|\bNone\b|{{|{%|Undefined", self.text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.images += [found] if tag == "img" else []
        self.ids += [found["id"]] if "id" in found else []
        self.articles += [found["id"]] if tag == "article" else []
        self.figures += [found["class"]] if tag == "svg" and found["class"] != "mark" else []
        self.links += [found[key] for key in ("href", "src", "xlink:href") if key in found]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)
        if tag in ("br", "small", "sup"):
            self.handle_data(" ")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in ("img", "meta", "br"):
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "table" in self.open and {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data + ("" if self.open[-1] in ("td", "th") else " ")

    def row(self, title: str, match: int = 0) -> list[str]:
        """The cells of one of the rows, of all tables, whose title starts so."""
        rows = [[" ".join(cell.split()) for cell in row] for of in self.tables for row in of]
        return [row for row in rows if row and row[0].startswith(title)][match]


def assert_self_contained(html: str) -> None:
    """No other file, no network, and no figure that refers to another's parts."""
    page = Page(html)
    outside = r"""https?://|['"(=]//|@import|<script|<link|url\((?!#)"""
    assert not re.search(outside, html)
    assert all(link.startswith(("#", "data:image/png")) for link in page.links)
    assert len(page.ids) == len(set(page.ids)), "ids of two figures clash"
    used = set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {link[1:] for link in page.links if link[0] == "#"}
    assert used <= set(page.ids), "a figure refers to an id that was cut out"
    assert not re.search(r"#0a0[bc]\d\d", html), "a color did not become the page's"
