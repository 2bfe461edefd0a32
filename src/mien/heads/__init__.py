"""The heads: what a network can read from a face, each described once for all stages."""

from __future__ import annotations

from typing import Any

from mien.heads.expression import ExpressionHead
from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.severity import SeverityHead
from mien.heads.valence_arousal import ValenceArousalHead

__all__ = ["HEADS", "Arrays", "Head", "HeadInfo", "HeadSettings", "Labels", "Validation"]

HEADS: dict[str, Head[Any, Any]] = {
    head.name: head for head in (ExpressionHead(), ValenceArousalHead(), SeverityHead())
}
"""Every head by name, in the order in which tables and reports show them."""
