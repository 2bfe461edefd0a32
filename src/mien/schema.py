"""The nouns that stages exchange: how a crop was made, a face, a prediction.

Everything here is frozen and validated, and needs nothing but numpy and pydantic.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]


_Positive = Annotated[float, Field(gt=0)]


class Preprocessing(BaseModel):
    """How a face becomes a crop and a crop a tensor; stored in every dataset, run and model.

    ``template`` names where eyes and mouth land in the crop, ``size`` is the side of the square
    crop in pixels and ``margin`` widens the template (0.1: a tenth of the side more context on
    each side). ``color`` ``"gray"`` means luma repeated in three channels. ``mean`` and ``std``
    are per channel for values in [0, 1]. ``partial_image`` composes the crop's regions of
    expression to another image of the same size, see :mod:`mien.faces.partial_image`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    template: Literal["eyes-mouth"] = "eyes-mouth"
    size: int = Field(default=112, ge=16, le=1024)
    margin: float = Field(default=0.0, ge=-0.2, le=1.0)
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    interpolation: Literal["linear", "cubic", "area"] = "cubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[_Positive, _Positive, _Positive] = (0.229, 0.224, 0.225)
    partial_image: Literal["full", "stack", "stack-eyes-mouth", "mask"] = "full"

    @property
    def hash(self) -> str:
        """Twelve hex digits that change with any setting."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def cuts_like(self, other: Preprocessing) -> bool:
        """Whether both cut the same crops; what acts on the cut crop later is not compared.

        That are ``mean`` and ``std``, which act on the tensor, and ``partial_image``: a dataset
        keeps whole crops, and a partial image is composed of one when it is read. Crops are kept
        in RGB order, so ``"rgb"`` and ``"bgr"`` cut alike.
        """
        return not self.differences(other)

    def differences(self, other: Preprocessing) -> str:
        """The settings in which two recipes cut differently, as one phrase for a message."""
        mine, theirs = (
            recipe.model_dump(exclude={"mean", "std", "partial_image"}) for recipe in (self, other)
        )
        if "gray" not in (self.color, other.color):
            del mine["color"]
        return ", ".join(
            f"{key} {mine[key]!r} against {theirs[key]!r}"
            for key in mine
            if mine[key] != theirs[key]
        )


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright image; it may reach over the image's edge."""

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"expected a positive size, got {self.width} x {self.height}")


@dataclass(frozen=True)
class Pose:
    """Head rotation in degrees: yaw to the image's right, pitch up, roll clockwise positive."""

    yaw: float
    pitch: float
    roll: float


class Alignment(StrEnum):
    """How a crop was cut out of its image."""

    SIMILARITY = "similarity"  # eyes and mouth moved onto the template
    BOX = "box"  # the detector's box, no landmarks
    FIXED = "fixed"  # the image was a tight face crop already and was only resized


@dataclass(frozen=True, eq=False)
class Face:
    """One face of an image.

    ``landmarks`` is ``(478, 2)`` (MediaPipe's mesh) or ``(5, 2)`` (right eye, left eye, nose
    tip, right and left mouth corner; right and left are the person's), float32, in pixels of the
    upright image. ``blendshapes`` maps MediaPipe's 52 names to [0, 1], computed when it is looked
    at. ``score`` is the detector's in [0, 1]. ``reason`` says why a face that was seen cannot be
    read, such as a profile; it is empty for all others.
    """

    box: Box
    score: float
    landmarks: FloatArray | None = None
    pose: Pose | None = None
    blendshapes: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        if self.landmarks is not None and self.landmarks.shape not in ((478, 2), (5, 2)):
            raise ValueError(
                f"expected landmarks of shape (478, 2) or (5, 2), got {self.landmarks.shape}"
            )

    def __repr__(self) -> str:
        box = self.box
        parts = [f"{box.width:.0f} x {box.height:.0f} at ({box.left:.0f}, {box.top:.0f})"]
        parts.append(f"score {self.score:.2f}")
        if self.landmarks is not None:
            parts.append(f"{len(self.landmarks)} landmarks")
        if self.reason:
            parts.append(f"reason={self.reason!r}")
        return f"Face({', '.join(parts)})"


class ModelOutput(NamedTuple):
    """What a model gives for N crops or clips.

    ``embeddings`` ``(N, D)`` have length one; ``heads`` are the arrays of its heads by the name of
    the output, such as ``expression`` ``(N, C)``, rows that sum to one, or ``valence_arousal``
    ``(N, 2)``; ``attention`` ``(N, h, w)`` in [0, 1], None without. All float32.
    """

    embeddings: FloatArray
    heads: dict[str, FloatArray]
    attention: FloatArray | None = None


def concatenate_outputs(parts: Sequence[ModelOutput]) -> ModelOutput:
    """The outputs of several batches of one model, one after the other."""
    attention = [part.attention for part in parts if part.attention is not None]
    return ModelOutput(
        np.concatenate([part.embeddings for part in parts]),
        {name: np.concatenate([part.heads[name] for part in parts]) for name in parts[0].heads},
        np.concatenate(attention) if attention else None,
    )


class Status(StrEnum):
    """What came of one input."""

    OK = "ok"
    NO_FACE = "no-face"
    UNREADABLE = "unreadable"
    ABSTAINED = "abstained"


class Patch(NamedTuple):
    """Rows of what a network saw, and where in the upright image they were taken from.

    ``matrix`` ``(2, 3)`` takes pixels of the image to fractions of the network's crop, of which
    the rows from ``top`` to ``bottom``, in fractions as well, are meant.
    """

    matrix: NDArray[np.float64]
    top: float = 0.0
    bottom: float = 1.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one face, or why there is nothing to say.

    With status ``no-face`` or ``unreadable`` there is no face and ``reason`` says why; with
    ``abstained`` the values are there and ``reason`` says why they should not be used. What a
    model's heads do not give is None or empty: ``probabilities`` follows the label space and sums
    to one, ``valence`` and ``arousal`` lie in [-1, 1], ``action_units`` maps units to
    probabilities or intensities in [0, 1], ``severity`` is in points of a scale with
    ``severity_low`` and ``severity_high`` its conformal interval. ``frame`` counts from 0 and
    ``time`` is in seconds, both None for a photo; ``track`` is the number of the person in a
    video. ``attention`` ``(h, w)`` float32 in [0, 1] lies over the crop.
    """

    status: Status
    source: str = ""
    reason: str = ""
    frame: int | None = None
    time: float | None = None
    index: int = 0
    face: Face | None = None
    alignment: Alignment | None = None
    expression: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    embedding: FloatArray | None = None
    crop: UInt8Array | None = None
    valence: float | None = None
    arousal: float | None = None
    action_units: dict[str, float] = field(default_factory=dict)
    severity: float | None = None
    severity_low: float | None = None
    severity_high: float | None = None
    band: str = ""
    use: str = ""
    attention: FloatArray | None = None
    patches: tuple[Patch, ...] = ()
    track: int | None = None

    def __post_init__(self) -> None:
        if self.status is not Status.OK and not self.reason:
            raise ValueError(f"a prediction with status {self.status.value!r} needs a reason")

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The fields as plain values that JSON can hold.

        ``arrays`` adds landmarks, embedding, crop and attention as nested lists.
        """
        left_out = ("face", "embedding", "crop", "attention", "patches")
        values = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in left_out
        }
        values["status"] = self.status.value
        values["alignment"] = self.alignment.value if self.alignment else None
        face = self.face
        values["face"] = face and {
            "box": asdict(face.box),
            "score": face.score,
            "pose": asdict(face.pose) if face.pose else None,
            "blendshapes": dict(face.blendshapes),
        }
        if arrays:
            lists = {name: getattr(self, name) for name in ("embedding", "crop", "attention")}
            lists["landmarks"] = face.landmarks if face else None
            values |= {name: None if a is None else a.tolist() for name, a in lists.items()}
        return values

    def __repr__(self) -> str:
        parts = [self.status.value]
        if self.expression is not None and self.confidence is not None:
            parts.append(f"{self.expression} {self.confidence:.2f}")
        parts += [
            f"{name}={getattr(self, name):.2f}"
            for name in ("valence", "arousal", "severity")
            if getattr(self, name) is not None
        ]
        if self.source:
            parts.append(f"source={self.source!r}")
        parts += [
            f"{name}={getattr(self, name)}"
            for name in ("time", "track")
            if getattr(self, name) is not None
        ]
        if self.face is not None:
            parts.append(f"face {self.index}")
        if self.reason:
            parts.append(f"reason={self.reason!r}")
        return f"Prediction({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from mien.inference.drawing.html import html_card

        return html_card(self)
