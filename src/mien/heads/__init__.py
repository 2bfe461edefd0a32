"""The heads: what a network can read from a face, each described once for all stages."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from mien.heads.action_units import ActionUnitHead
from mien.heads.expression import ExpressionHead
from mien.heads.head import Arrays, Head, HeadInfo, HeadSettings, Labels, Validation
from mien.heads.severity import SeverityHead
from mien.heads.valence_arousal import ValenceArousalHead

__all__ = ["HEADS", "Arrays", "ByHead", "Head", "HeadInfo", "HeadSettings", "Labels", "Validation"]

HEADS: dict[str, Head[Any, Any]] = {
    head.name: head
    for head in (ExpressionHead(), ValenceArousalHead(), ActionUnitHead(), SeverityHead())
}
"""Every head by name, in the order in which tables and reports show them."""


class ByHead:
    """Annotates a dict of a pydantic model: heads by name, in the order of :data:`HEADS`.

    Each value is validated as its own head's ``Settings`` or ``Info``.
    """

    def __init__(self, attribute: Literal["Settings", "Info"]) -> None:
        self.attribute = attribute

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """A dict with a known key per head."""
        return core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(
                    handler.generate_schema(getattr(head, self.attribute)), required=False
                )
                for name, head in HEADS.items()
            },
            extra_behavior="forbid",
        )
