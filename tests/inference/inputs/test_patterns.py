"""Patterns that no shell has expanded."""

from pathlib import Path

import pytest

from mien.inference.inputs.patterns import is_pattern, matches
from mien.inference.inputs.sources import Source, find_sources


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg", "x/y/d.png", "z/y/e.jpg", ".h/f.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "x" / "loop").symlink_to(".")
    (tmp_path / "x" / "up").symlink_to("..")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.jpg", ["a.jpg"]),
        ("?/*.jpg", ["x/b.jpg"]),
        ("**/*.jpg", ["a.jpg", "x/b.jpg", "x/y/c.jpg", "z/y/e.jpg"]),
        ("x/**", ["x/b.jpg", "x/y/c.jpg", "x/y/d.png"]),
        ("**/y/*.jpg", ["x/y/c.jpg", "z/y/e.jpg"]),
        ("*/**/[ce].jpg", ["x/y/c.jpg", "z/y/e.jpg"]),
        ("**/none.*", []),
    ],
)
def test_what_a_pattern_matches(tree: Path, pattern: str, paths: list[str]) -> None:
    assert matches(pattern) == paths
    assert matches(str(tree / pattern)) == [str(tree / path) for path in paths]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tree: Path) -> None:
    (tree / "[ab].jpg").touch()
    assert not is_pattern("[ab].jpg")
    assert list(find_sources(["[ab].jpg"])) == [Source("[ab].jpg")]


def test_a_pattern_without_matches_is_a_source_with_a_fault(tree: Path) -> None:
    [source] = find_sources(["*.webp"])
    assert source.path == "*.webp" and "files that match, got none" in source.fault


def test_lists_hold_names_and_no_patterns(tree: Path) -> None:
    assert list(find_sources(["-"], ["*.jpg"])) == [Source("*.jpg")]
