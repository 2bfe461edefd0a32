"""The page on evaluation: its Python runs, and its tables name what reports hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from evaluations import alone, make, recordings, severity, valence_arousal

from mien.heads.action_units import ActionUnitInfo
from mien.reports.report import evaluate
from mien.reports.sections.action_units import ActionUnitArrays

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")


def named_in(title: str) -> set[str]:
    """The names in the first column of the tables under a heading."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    cells = " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))
    return set(re.findall(r"`(\w+)[`.]", cells))


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile("\n".join(blocks), "docs/evaluation.md", "exec"), {})
    written = ["comparison/compare.html", "report/report.html", "severity/report.html"]
    assert all((tmp_path / name).is_file() for name in written)


def test_the_tables_name_what_a_report_holds() -> None:
    votes = np.ones((20, 8))
    report = evaluate(
        make(20, votes=votes, others={"valence_arousal": valence_arousal(20)}), draws=20
    )
    assert named_in("What `report.json` holds") == set(report)
    heads = report["heads"]
    assert named_in("Expression") == set(heads["expression"]["metrics"])
    assert named_in("Valence and arousal") == set(heads["valence_arousal"]["metrics"])


def test_the_table_of_action_units() -> None:
    rng = np.random.default_rng(0)
    arrays = ActionUnitArrays(
        info=ActionUnitInfo(),
        targets=rng.integers(0, 2, (20, 12)).astype(float),
        predictions=rng.random((20, 12)),
    )
    entry = evaluate(alone("action_units", arrays), draws=20)["heads"]["action_units"]
    assert named_in("Action units") == set(entry["metrics"])


def test_the_table_of_severity() -> None:
    evaluation = severity(
        recordings({"a": ("p", "x", 3, 5), "b": ("q", "x", 9, 5)}),
        recordings({"c": ("r", "x", 5, None)}),
    )
    entry = evaluate(evaluation, draws=20)["heads"]["severity"]
    described = named_in("Severity") - {"differences"}
    common = {"n", "subjects", "scale", "training", "confusion_shares", "left_out"}
    assert described == set(entry) - common
    assert "differences" in entry["baselines"]["mean"]
