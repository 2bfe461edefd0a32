"""What a model file says of itself, and where the models that come with mien are.

A model is one ONNX file whose metadata describe it; :mod:`mien.inference.model` opens one for
prediction, :mod:`mien.training.start` takes one's backbone as start weights.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.labels import LabelSpace, Scale
from mien.schema import MienError, Preprocessing

METADATA_KEY = "mien"
FORMAT = 1
OUTPUTS = ("probabilities", "embedding")
OPTIONAL_OUTPUTS = ("valence_arousal", "attention")
"""Outputs that a model may have; without them it reads expressions only."""


class Calibration(BaseModel):
    """How the probabilities were calibrated; the temperature is already inside the network."""

    model_config = ConfigDict(frozen=True)

    temperature: float = Field(default=1.0, gt=0)
    method: str = "none"


class _Described(BaseModel):
    """What every model says. ``card`` is Markdown, ``terms`` the terms of use in one paragraph."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    preprocessing: Preprocessing
    preprocessing_hash: str
    card: str = ""
    license_terms: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    created_with: str = ""
    parity: dict[str, Any] = Field(default_factory=dict)


class ModelInfo(_Described):
    """What a model of expressions says of itself: the JSON under ``mien`` of its ONNX metadata.

    ``abstain_below`` is the confidence under which the model would rather not answer, None for
    always answering. ``outputs`` are those of the ONNX graph itself, whatever the metadata say.
    """

    label_space: LabelSpace
    calibration: Calibration = Calibration()
    abstain_below: float | None = Field(default=None, ge=0, le=1)
    outputs: tuple[str, ...] = OUTPUTS


class ClipsInfo(BaseModel):
    """How clips are cut: ``length`` frames, every ``stride``-th of ``rate`` a second.

    ``rate`` is that of the training data, None where it is unknown; ``per_video`` clips make the
    score of a recording by ``aggregate``.
    """

    model_config = ConfigDict(frozen=True)

    length: int = Field(ge=1)
    stride: int = Field(ge=1)
    rate: float | None = Field(default=None, gt=0)
    per_video: int = Field(default=4, ge=1)
    aggregate: Literal["mean", "median", "trimmed"] = "mean"


class Conformal(BaseModel):
    """The interval around a score: ``half_width`` points each way, None with a ``reason``."""

    model_config = ConfigDict(frozen=True)

    coverage: float = Field(default=0.9, gt=0, lt=1)
    half_width: float | None = None
    subjects: int = 0
    split: str = "valid"
    reason: str = ""


class SeverityInfo(_Described):
    """What a model of severity says of itself; ``use`` is what it is for and what it is not."""

    task: Literal["severity"]
    scale: Scale
    clips: ClipsInfo
    conformal: Conformal = Conformal()
    use: str


def shipped_models() -> dict[str, Path]:
    """The models that come with mien: name -> ONNX file."""
    folder = Path(str(files("mien").joinpath("assets")))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def is_model(name_or_file: str | os.PathLike[str]) -> bool:
    """Whether this is a shipped model's name or names an ONNX file, be it there or not."""
    return Path(name_or_file).suffix == ".onnx" or str(name_or_file) in shipped_models()


def find_model(name_or_file: str | os.PathLike[str]) -> Path:
    """The ONNX file behind a shipped model's name or a path.

    Raises :class:`~mien.schema.MienError`, which lists the names, when it is neither.
    """
    shipped = shipped_models()
    if isinstance(name_or_file, str) and name_or_file in shipped:
        return shipped[name_or_file]
    path = Path(name_or_file)
    if path.is_file():
        return path
    names = ", ".join(shipped) or "none in this installation"
    got = f"the folder {str(path)!r}" if path.is_dir() else repr(str(path))
    raise MienError(f"expected an ONNX file or the name of a shipped model ({names}), got {got}")


def parse_description(text: str, path: str | os.PathLike[str]) -> ModelInfo | SeverityInfo:
    """The description in ``text``, the metadata of the model file ``path``.

    Raises :class:`~mien.schema.MienError` where it is damaged, incomplete or of another format.
    """
    name = repr(os.fspath(path))
    try:
        fields = json.loads(text)
        version = fields["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise MienError(
            f"expected JSON with a format number in the metadata of {name}, got {text[:40]!r}; "
            "export the model again"
        ) from error
    if version != FORMAT:
        raise MienError(
            f"expected model format {FORMAT}, got {version!r} in {name}; "
            "use the mien version that wrote it"
            + (f" ({fields['created_with']})" if fields.get("created_with") else "")
        )
    try:
        kind = SeverityInfo if fields.get("task") == "severity" else ModelInfo
        info: ModelInfo | SeverityInfo = kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MienError(
            f"expected complete mien metadata in {name}, got a fault at {where!r} "
            f"({first['msg']}); export the model again"
        ) from error
    if info.preprocessing_hash != info.preprocessing.hash:
        raise MienError(
            f"expected preprocessing hash {info.preprocessing.hash} in {name}, "
            f"got {info.preprocessing_hash}; the metadata was edited, export the model again"
        )
    return info
