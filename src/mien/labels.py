"""Expression names, their synonyms and the label orders of the corpora.

A bare integer never crosses a file boundary: every dataset, run and model stores the
:class:`LabelSpace` its numbers belong to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

EXPRESSIONS: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
"""The canonical names, in the order of FER+."""

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "neutral": ("neutrality", "calm", "ne", "neu"),
    "happiness": ("happy", "joy", "smile", "ha", "hap"),
    "surprise": ("surprised", "su", "sur"),
    "sadness": ("sad", "sa"),
    "anger": ("angry", "an", "ang"),
    "disgust": ("disgusted", "di", "dis"),
    "fear": ("fearful", "afraid", "scared", "fe", "fea"),
    "contempt": ("contemptuous", "contemptful", "co", "con"),
    "other": ("others",),
}
_CANONICAL: dict[str, str] = {
    word: name for name, words in _SYNONYMS.items() for word in (name, *words)
}


def canonical_expression(name: str) -> str:
    """The canonical name of an expression, for any spelling that corpora use.

    Raises ``ValueError`` with the known names for an unknown one.

    >>> canonical_expression("Happy"), canonical_expression("FEAR")
    ('happiness', 'fear')
    """
    word = re.sub(r"[^a-z]", "", name.lower())
    if word not in _CANONICAL:
        known = ", ".join(_SYNONYMS)
        raise ValueError(f"expected an expression name ({known}), got {name!r}")
    return _CANONICAL[word]


class LabelSpace(BaseModel):
    """An ordered set of class names; class ``i`` is ``names[i]`` everywhere it is stored.

    >>> LABEL_SPACES["ferplus"].index("happy")
    1
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    names: tuple[str, ...]

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) < 2 or len(set(names)) != len(names):
            raise ValueError(f"expected at least two distinct class names, got {list(names)}")
        return names

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The index of a class, by its own name or, failing that, by a synonym of it."""
        if name in self.names:
            return self.names.index(name)
        try:
            canonical = canonical_expression(name)
        except ValueError:
            canonical = name
        if canonical not in self.names:
            raise ValueError(
                f"expected a class of label space {self.name!r} ({', '.join(self.names)}), "
                f"got {name!r}"
            )
        return self.names.index(canonical)

    def projection(self, target: LabelSpace) -> NDArray[np.float64]:
        """The ``(len(self), len(target))`` 0/1 matrix that carries probabilities into ``target``.

        A class that ``target`` lacks has an all-zero row: its probability is dropped, and the
        caller renormalizes. The spaces must share at least two classes (``ValueError``).
        """
        matrix = np.array(
            [[float(mine == theirs) for theirs in target.names] for mine in self.names]
        )
        if matrix.sum() < 2:
            raise ValueError(
                f"label spaces {self.name!r} ({', '.join(self.names)}) and {target.name!r} "
                f"({', '.join(target.names)}) share fewer than two classes"
            )
        return matrix


def label_space_of(names: Sequence[str], *, name: str = "custom") -> LabelSpace:
    """The label space of a user's class names: canonical where all are expressions, else as given.

    Expressions come in canonical order whatever order the folder lists them in; other classes
    keep the given order.

    >>> label_space_of(["angry", "happy"]).names
    ('happiness', 'anger')
    """
    try:
        canonical = [canonical_expression(word) for word in names]
    except ValueError:
        return LabelSpace(name=name, names=tuple(names))
    if len(set(canonical)) != len(canonical):
        return LabelSpace(name=name, names=tuple(names))
    order = (*EXPRESSIONS, "other")
    return LabelSpace(name=name, names=tuple(sorted(canonical, key=order.index)))


LABEL_SPACES: dict[str, LabelSpace] = {
    space.name: space
    for space in (
        LabelSpace(name="ferplus", names=EXPRESSIONS),
        LabelSpace(
            name="fer2013",
            names=("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        ),
        LabelSpace(
            name="affectnet8",
            names=(
                "neutral",
                "happiness",
                "sadness",
                "surprise",
                "fear",
                "disgust",
                "anger",
                "contempt",
            ),
        ),
        LabelSpace(
            name="affectnet7",
            names=("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"),
        ),
        LabelSpace(
            name="rafdb",
            names=("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
        ),
        LabelSpace(
            name="ckplus",
            names=(
                "neutral",
                "anger",
                "contempt",
                "disgust",
                "fear",
                "happiness",
                "sadness",
                "surprise",
            ),
        ),
        LabelSpace(
            name="abaw",
            names=(
                "neutral",
                "anger",
                "disgust",
                "fear",
                "happiness",
                "sadness",
                "surprise",
                "other",
            ),
        ),
        LabelSpace(
            name="emotieff8",
            names=(
                "anger",
                "contempt",
                "disgust",
                "fear",
                "happiness",
                "neutral",
                "sadness",
                "surprise",
            ),
        ),
    )
}
"""Label orders that are in use, by the name of the corpus or tool that fixed them."""


class Scale(BaseModel):
    """A bounded ordinal score, such as the sum of a questionnaire: whole numbers 0 to ``top``.

    ``bands`` are ranges that have names, lowest first: each name and its lowest score, the first
    of which is 0. They describe scores; nothing is learned from them.

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
        """How many scores there are."""
        return self.top + 1

    def band(self, score: float) -> str:
        """The name of the band that the nearest whole score lies in; "" without bands.

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
"""Scales by name: BDI-II (Beck, Steer and Brown, 1996), PHQ-8 (Kroenke et al., 2009), and the
severity of rendered videos, which borrows the steps of the first."""

RESEARCH_ONLY = (
    "Research output, not a diagnosis: a score that was estimated from a face says nothing "
    "certain about a person and must not decide anything about one."
)
"""Goes with every severity, wherever one is written."""
