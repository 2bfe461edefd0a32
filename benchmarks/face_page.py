"""The parts of benchmarks/faces.md, each written by a script of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent / "faces.md"
_PARTS = (
    "Time and memory",
    "Large photos",
    "Real photos",
    "Rendered photos",
    "Covered faces",
    "Crops",
    "Persons across cuts",
)


def write_part(title: str, lines: Sequence[str]) -> None:
    """Replace one part of the page, and leave the others as they are."""
    text = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    parts = {}
    for part in text.split("\n## ")[1:]:
        head, _, body = part.partition("\n")
        parts[head] = body.strip("\n")
    parts[title] = "\n".join(lines).strip("\n")
    written = [f"## {name}\n\n{parts[name]}\n" for name in _PARTS if name in parts]
    PAGE.write_text("\n".join(["# Finding and reading faces\n", *written]), "utf-8")
