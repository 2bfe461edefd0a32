"""One section of reports and comparisons for each head: the module of the head's name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from mien.heads import HEADS
from mien.reports.sections.section import Block, Pairing, Section, Side, Verdict

__all__ = ["SECTIONS", "Block", "Pairing", "Section", "Side", "Verdict"]

SECTIONS: dict[str, Section] = {
    name: cast(Section, import_module(f"mien.reports.sections.{name}")) for name in HEADS
}
"""The section of each head of :data:`mien.heads.HEADS`, by name."""
