"""Scales of severity, and the statement that accompanies every severity."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Scale(BaseModel):
    """A bounded ordinal score, such as the sum of a questionnaire: whole numbers 0 to ``top``.

    ``bands`` are named ranges, lowest first: each name and its lowest score, the first of which is
    0. They describe scores; nothing is learned from them.

    >>> SCALES["bdi-ii"].levels, SCALES["bdi-ii"].band(19.6)
    (64, 'moderate')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    top: int = Field(ge=1, le=1000)
    bands: tuple[tuple[str, int], ...] = ()

    @model_validator(mode="after")
    def _bands_ascend(self) -> Scale:
        starts = [start for _, start in self.bands]
        if starts and (starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] > self.top):
            raise ValueError(f"expected bands that ascend from 0 to {self.top}, got {starts}")
        return self

    @property
    def levels(self) -> int:
        """The number of scores."""
        return self.top + 1

    def band(self, score: float) -> str:
        """Return the name of the band of the nearest whole score; "" without bands.

        Raises ``ValueError`` for a score outside [0, top] and for NaN.
        """
        if not 0 <= score <= self.top:
            raise ValueError(f"expected a score in [0, {self.top}], got {score}")
        whole = int(score + 0.5)
        return next((name for name, start in reversed(self.bands) if whole >= start), "")


_BDI = (("minimal", 0), ("mild", 14), ("moderate", 20), ("severe", 29))

SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(name="bdi-ii", top=63, bands=_BDI),
        Scale(
            name="phq-8",
            top=24,
            bands=(
                ("none", 0),
                ("mild", 5),
                ("moderate", 10),
                ("moderately severe", 15),
                ("severe", 20),
            ),
        ),
        Scale(name="rendered", top=63, bands=_BDI),
    )
}
"""Scales by name: BDI-II (Beck, Steer and Brown, 1996), PHQ-8 (Kroenke et al., 2009), and that of
rendered videos, with the bands of the first."""

RESEARCH_ONLY = (
    "Research output, not a diagnosis: a score that was estimated from a face says nothing "
    "certain about a person and must not decide anything about one."
)
"""Accompanies every severity that is written."""
