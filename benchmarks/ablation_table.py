"""The ablation's table and verdicts from its results."""

from __future__ import annotations

from typing import Any


def write_table(results: list[dict[str, Any]]) -> str:
    """Markdown."""
    return str(len(results))
