"""The pages on the methods: examples run, defaults are the code's, formulas are closed."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
import torch

from mien import losses

PAGES = sorted((Path(__file__).parents[2] / "docs" / "methods").glob("*.md"))
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
DEFAULT = re.compile(r"^\| `(\w+)\((\w+)\)` \| (.+?) \| (\w+) \|", re.MULTILINE)


@EACH_PAGE
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    assert any("assert" in block for block in blocks)


@EACH_PAGE
def test_stated_defaults_are_those_of_the_code(page: Path) -> None:
    for name, parameter, stated, mark in DEFAULT.findall(page.read_text()):
        real = inspect.signature(getattr(losses, name)).parameters[parameter].default
        assert real == ast.literal_eval(stated), f"{name}({parameter})"
        assert mark in ("KNOWN", "RECON", "CHOICE")


def test_every_default_of_a_loss_is_on_a_page() -> None:
    stated = {
        (name, parameter)
        for page in PAGES
        for name, parameter, *_ in DEFAULT.findall(page.read_text())
    }
    optional = {
        (name, parameter.name)
        for name in losses.__all__
        if name.endswith("_loss") and name != "pytorch_metric_learning_loss"
        for parameter in inspect.signature(getattr(losses, name)).parameters.values()
        if parameter.default is not inspect.Parameter.empty
    }
    assert optional <= stated


def test_every_public_loss_is_on_a_page_and_in_the_index() -> None:
    index = next(page for page in PAGES if page.stem == "README").read_text()
    for name in set(losses.__all__) - {"pytorch_metric_learning_loss"}:
        assert f"`{name}`" in index
    for page in PAGES:
        assert page.stem == "README" or f"({page.name})" in index


@EACH_PAGE
def test_formulas_are_closed(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert text.count("$$") % 2 == 0
    for formula in re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL):
        # A blank line ends the formula on GitHub.
        assert "\n\n" not in formula
        assert formula.count("{") == formula.count("}")
        assert len(re.findall(r"\\left\b", formula)) == len(re.findall(r"\\right\b", formula))
    for paragraph in text.replace("$$", "").split("\n\n"):
        assert paragraph.count("$") % 2 == 0, paragraph
