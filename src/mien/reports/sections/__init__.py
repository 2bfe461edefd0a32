"""One section of reports and comparisons for each head."""

from __future__ import annotations

from mien.reports.sections import action_units, expression, severity, valence_arousal
from mien.reports.sections.section import Block, Pairing, Section, Side, Verdict

__all__ = ["SECTIONS", "Block", "Pairing", "Section", "Side", "Verdict"]

SECTIONS: dict[str, Section] = {
    "expression": expression,
    "valence_arousal": valence_arousal,
    "action_units": action_units,
    "severity": severity,
}
"""The section of each head by the head's name."""
