"""What the README and the pages say can be done, can be done."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from mien.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
GROUP = typer.main.get_command(app)


def commands() -> list[str]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.splitlines():
                if match := re.search(r"(?:^|\| )mien (.*)", line):
                    found.append(match[1])
    return sorted(set(found))


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_pages_parses(line: str) -> None:
    name, *arguments = shlex.split(line.split(" | ")[0], comments=True)
    # Parsing checks names and types of options and arguments; nothing is run.
    GROUP.commands[name].make_context(name, arguments)


def test_make_targets_of_the_pages_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        used = set(re.findall(r"^make (\w+)|`make (\w+)`", page.read_text("utf-8"), re.MULTILINE))
        assert {a or b for a, b in used} <= targets


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
def test_the_python_of_the_training_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "training.md").read_text("utf-8"), re.DOTALL
    )
    assert blocks
    exec("\n".join(blocks), {})
    assert "largest_difference" in capsys.readouterr().out
    assert (tmp_path / "toy.onnx").is_file()


def test_the_keys_of_the_training_page_are_those_of_a_recipe() -> None:
    from mien.training.recipe import Recipe

    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    table = page.split("| key | content |\n|---|---|\n")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()))
    assert sorted(named) == sorted(Recipe.model_fields)


@pytest.mark.slow
def test_the_python_of_the_page_on_rendered_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "synthetic.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    exec("\n".join(blocks), {})
    assert "['neutral' 'happiness' 'surprise']" in capsys.readouterr().out
