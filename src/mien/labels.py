"""Names of expressions with their synonyms, label spaces of corpora, and action units.

A bare integer never crosses a file boundary: every dataset, run and model stores the
:class:`LabelSpace` that its numbers refer to.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

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
    "fear": ("fearful", "afraid", "scared", "af", "fe", "fea"),
    "contempt": ("contemptuous", "contemptful", "co", "con"),
    "other": ("others",),
    "anxiety": ("anxious",),
    "helplessness": ("helpless",),
    "disappointment": ("disappointed",),
}
_CANONICAL: dict[str, str] = {
    word: name for name, words in _SYNONYMS.items() for word in (name, *words)
}


def canonical_expression(name: str) -> str:
    """Return the canonical name of an expression for any spelling that corpora use.

    Raises ``ValueError`` that lists the names for an unknown one.

    >>> canonical_expression("Happy"), canonical_expression("FEAR")
    ('happiness', 'fear')
    """
    word = _letters(name)
    if word not in _CANONICAL:
        names = ", ".join(_SYNONYMS)
        raise ValueError(f"expected an expression name ({names}), got {name!r}")
    return _CANONICAL[word]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


class LabelSpace(BaseModel):
    """An ordered set of class names: class ``i`` is ``names[i]`` wherever it is stored.

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
        """Return the index of a class by its name or, failing that, a spelling or synonym of it.

        Raises ``ValueError`` that lists the classes for an unknown name.
        """
        if name in self.names:
            return self.names.index(name)
        spellings = [_spelling(each) for each in self.names]
        if spellings.count(_spelling(name)) == 1:
            return spellings.index(_spelling(name))
        try:
            canonical = canonical_expression(name)
        except ValueError:
            # "Happily Surprised" and "happily_surprised" are one class.
            words = _letters(name)
            canonical = next(
                (each for each in self.names if words and _letters(each) == words), name
            )
        if canonical not in self.names:
            raise ValueError(
                f"expected a class of label space {self.name!r} ({', '.join(self.names)}), "
                f"got {name!r}"
            )
        return self.names.index(canonical)

    def projection(self, target: LabelSpace) -> NDArray[np.float64]:
        """Return the 0/1 matrix ``(len(self), len(target))`` that maps probabilities to ``target``.

        A class that ``target`` lacks has a row of zeros: its probability is dropped, and the
        caller renormalizes. Raises ``ValueError`` for spaces that share fewer than two classes.
        """
        matrix = np.array(
            [[float(source == name) for name in target.names] for source in self.names]
        )
        if matrix.sum() < 2:
            raise ValueError(
                f"label spaces {self.name!r} ({', '.join(self.names)}) and {target.name!r} "
                f"({', '.join(target.names)}) share fewer than two classes"
            )
        return matrix


def label_space_of(names: Sequence[str], *, name: str = "custom") -> LabelSpace:
    """Make a label space of a user's class names.

    Where all are expressions, they get their canonical names and order, and words for the same
    expression are one class. Other names stay as they are, and those that differ in case or in
    spaces, hyphens and underscores are one class, which has the first of them.

    >>> label_space_of(["angry", "happy", "Happy"]).names
    ('happiness', 'anger')
    >>> label_space_of(["Cat", "dog", "cat"]).names
    ('Cat', 'dog')
    """
    try:
        canonical = [canonical_expression(word) for word in names]
    except ValueError:
        canonical = []
    # Words with different numbers, such as happy1 and happy2, are no spellings of one class.
    with_numbers = {
        (word, *re.findall(r"\d+", given)) for word, given in zip(canonical, names, strict=False)
    }
    if canonical and len(with_numbers) == len(set(canonical)):
        order = list(_SYNONYMS)
        return LabelSpace(name=name, names=tuple(sorted(set(canonical), key=order.index)))
    first: dict[str, str] = {}
    for given in names:
        first.setdefault(_spelling(given), given)
    return LabelSpace(name=name, names=tuple(first.values()))


def _spelling(name: str) -> str:
    """What is the same in all spellings of a name."""
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", text)


COMPOUND_EXPRESSIONS: tuple[str, ...] = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
)
"""Two expressions at once, in the order of RAF-DB."""


ACTION_UNITS: tuple[str, ...] = (
    *("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26"),
)
"""The action units, in this order everywhere: the twelve of Aff-Wild2 and ABAW."""

ACTION_UNIT_TITLES: dict[str, str] = {
    "AU1": "inner brow raiser",
    "AU2": "outer brow raiser",
    "AU4": "brow lowerer",
    "AU5": "upper lid raiser",
    "AU6": "cheek raiser",
    "AU7": "lid tightener",
    "AU9": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU17": "chin raiser",
    "AU20": "lip stretcher",
    "AU23": "lip tightener",
    "AU24": "lip pressor",
    "AU25": "lips part",
    "AU26": "jaw drop",
}
"""FACS's names of :data:`ACTION_UNITS` and of others that are read from a face's mesh."""

ACTION_UNIT_PRESENT = 0.4
"""The least value of an action unit that is present: an intensity of 2 of 5, as usual on DISFA.
Annotations of presence are 0 or 1."""

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

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
        LabelSpace(name="rafdb-compound", names=COMPOUND_EXPRESSIONS),
        LabelSpace(
            name="ckplus7",
            names=("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
        ),
        LabelSpace(name="oulu", names=_SIX),
        LabelSpace(name="mmi", names=_SIX),
        LabelSpace(name="jaffe", names=EXPRESSIONS[:-1]),
        LabelSpace(name="kdef", names=EXPRESSIONS[:-1]),
        LabelSpace(name="sfew", names=EXPRESSIONS[:-1]),
        LabelSpace(
            name="expw",
            names=("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        ),
        LabelSpace(
            name="dfew",
            names=("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
        ),
        LabelSpace(name="ferv39k", names=EXPRESSIONS[:-1]),
        LabelSpace(
            name="mafw",
            names=(
                "anger",
                "disgust",
                "fear",
                "happiness",
                "neutral",
                "sadness",
                "surprise",
                "contempt",
                "anxiety",
                "helplessness",
                "disappointment",
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
"""Label spaces in use, by the name of the corpus or tool that defined them."""
