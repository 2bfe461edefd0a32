"""One word, one meaning: the glossary is read, and code, options, keys and pages follow it."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from mien.cli import app
from mien.training.recipe import load_recipe

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mien"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *SOURCE.rglob("*.md")])
GLOSSARY = ROOT / "docs" / "glossary.md"
TERMS_PART, _, OUTLAWED_PART = GLOSSARY.read_text("utf-8").partition("## Words that are not used")


def rows(text: str, columns: int) -> list[list[str]]:
    """The cells of every table with so many columns, without header and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == columns and row[0] not in ("term", "not", "---")]


TERMS = [row[0] for row in rows(TERMS_PART, 3)]
SPELLINGS = {row[0].strip("`"): row[1] for row in rows(OUTLAWED_PART, 2)}
NAMES = {
    row[0].strip("`"): (row[1], re.findall(r"`([^`]+)`", row[2])) for row in rows(OUTLAWED_PART, 3)
}


def parts(name: str) -> list[str]:
    """The words of an identifier, an option or a key."""
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def outlawed(name: str, place: str = "") -> str | None:
    """What to call ``name`` instead, None where it may be called so in the file ``place``."""
    for word, (instead, exceptions) in NAMES.items():
        if any(place.startswith(exception) for exception in exceptions):
            continue
        rest = name
        for exception in exceptions:
            rest = re.sub(exception, "", rest, flags=re.IGNORECASE)
        if word in parts(rest):
            return instead
    return None


def defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that the code itself gives, and every key of a dict that it writes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.Dict():
                for key in node.keys:
                    match key:
                        case ast.Constant(value=str(text)) if re.fullmatch(r"[a-z_]+", text):
                            yield text, key.lineno


def keys(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield str(key)
            yield from keys(value)
    elif isinstance(document, list):
        for item in document:
            yield from keys(item)


def test_the_glossary_is_read() -> None:
    assert len(TERMS) > 80 and len(SPELLINGS) > 10 and len(NAMES) > 10
    for term in ("head", "lr_multiplier", "subject", "track", "license terms"):
        assert term in TERMS
    assert outlawed("learning_rate") and outlawed("LossTerm") and not outlawed("license_terms")
    assert outlawed("task", "training/fit.py") and not outlawed(
        "task", "corpora/depression/avec.py"
    )


def test_no_term_is_defined_twice() -> None:
    assert len(TERMS) == len(set(TERMS))


def test_terms_are_in_order_and_none_is_outlawed() -> None:
    for section in TERMS_PART.split("\n## ")[1:]:
        terms = [row[0] for row in rows(section, 3)]
        assert terms == sorted(terms)
    assert not set(TERMS) & (set(NAMES) - {"task"})


def test_no_outlawed_name_is_in_the_code() -> None:
    faults = []
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        for name, line in defined_names(ast.parse(path.read_text("utf-8"))):
            if instead := outlawed(name, place):
                faults.append(f"{place}:{line}: {name}: use {instead}")
    assert not faults, "\n".join(faults)


def test_no_outlawed_name_is_an_option_or_a_command() -> None:
    for name, command in typer.main.get_command(app).commands.items():
        for option in [name, *(text for each in command.params for text in each.opts)]:
            assert not outlawed(option, f"cli/{name}.py"), f"mien {name} {option}"


@pytest.mark.parametrize("path", sorted(SOURCE.glob("recipes/*.yaml")), ids=lambda path: path.stem)
def test_no_outlawed_name_is_a_key_of_a_recipe(path: Path) -> None:
    assert not [key for key in keys(yaml.safe_load(path.read_text("utf-8"))) if outlawed(key)]


def test_spelling_is_american() -> None:
    pattern = re.compile("|".join(SPELLINGS), re.IGNORECASE)
    sources = [
        path for suffix in ("py", "yaml", "html", "css") for path in SOURCE.rglob(f"*.{suffix}")
    ]
    faults = []
    for path in [*PAGES, *sources]:
        text = path.read_text("utf-8")
        if path == GLOSSARY:
            text = TERMS_PART
        for number, line in enumerate(text.splitlines(), 1):
            # An attribute of HTML has its own spelling.
            if match := pattern.search(line.replace("aria-labelledby", "")):
                faults.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: page.stem
)
def test_no_outlawed_name_is_in_the_code_of_a_page(page: Path) -> None:
    text = page.read_text("utf-8")
    blocks = re.findall(r"```(?:sh|python|yaml)\n(.*?)```", text, re.DOTALL)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    code = "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", prose)])
    names = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"#.*|\"[^\"\n]*\"", "", code)))
    assert not {name: outlawed(name, "docs") for name in names if outlawed(name, "docs")}


def test_what_the_glossary_points_to_exists() -> None:
    commands = typer.main.get_command(app).commands
    options = {opt for command in commands.values() for each in command.params for opt in each.opts}
    recipe_keys = set(keys(load_recipe("emotion-gcn").model_dump())) | {"clips", "temporal"}
    for _, _, where in rows(TERMS_PART, 3):
        for code in re.findall(r"`([^`]+)`", where):
            for option in re.findall(r"--[\w-]+", code):
                assert option in options, where
            if match := re.match(r"mien (\w+)", code):
                assert match[1] in commands, where
            if code.startswith("mien."):
                assert importlib.util.find_spec(code), where
        for key in re.findall(r"recipe key `([\w.]+)`", where):
            assert set(key.split(".")) <= recipe_keys, where
