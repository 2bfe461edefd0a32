"""The shapes of the answers, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class BoxAnswer(BaseModel):
    """A rectangle in pixels of the upright picture; it may reach over the edge."""

    left: float
    top: float
    width: float
    height: float


class NeighborAnswer(BaseModel):
    """A face of the server's index that is nearest to a face of the picture."""

    label: str | None
    similarity: float = Field(description="The cosine of the embeddings of both.")
    picture: str | None = Field(description="A data URL; empty where its file has gone.")


class FaceAnswer(BaseModel):
    """One face: the row that `mien predict` writes; the model's heads add their fields."""

    model_config = ConfigDict(extra="allow")

    source: str = Field(description="The name of the uploaded file.")
    frame: int | None = Field(description="Empty for pictures, as are time and track.")
    time: float | None
    track: int | None
    face: int | None = Field(description="The number of the face in its picture, from 0.")
    box: BoxAnswer | None
    status: str = Field(description="ok, or abstained with the reason.")
    reason: str | None
    alignment: str | None
    yaw: float | None = Field(description="Degrees, as pitch and roll.")
    pitch: float | None
    roll: float | None
    model: str
    neighbors: list[NeighborAnswer] | None = Field(
        default=None, description="Only where the server has an index."
    )


class ImageAnswer(BaseModel):
    """One picture of the request, in order."""

    source: str
    status: str = Field(description="ok (with faces), no-face or unreadable.")
    reason: str | None
    width: int | None = Field(description="Pixels, once the picture is upright.")
    height: int | None
    faces: list[FaceAnswer] = Field(description="The largest face first.")


class PredictAnswer(BaseModel):
    """What a model says of pictures."""

    model: str
    seconds: float = Field(description="How long the model took, without waiting.")
    images: list[ImageAnswer]


class PersonAnswer(BaseModel):
    """One person of a video: the row of the table, and curves over time."""

    summary: dict[str, Any]
    timeline: dict[str, Any]


class VideoAnswer(BaseModel):
    """The state of a video and, once it is done, its result."""

    id: str
    source: str
    state: str = Field(description="waiting, running, done, failed or cancelled.")
    reason: str | None
    read_seconds: float
    total_seconds: float | None = Field(description="Empty where the file does not state it.")
    persons: list[PersonAnswer]
    tables: list[str] = Field(description="Where the tables are.")


class ModelAnswer(BaseModel):
    """What a model says of itself."""

    name: str
    reads: str = Field(description="faces or clips")
    heads: dict[str, Any]
    colors: dict[str, str] = Field(description="A color for each name that a head gives shares to.")
    preprocessing: dict[str, Any]
    license_terms: str
    commercial_use: str = Field(description="yes, no or unclear, by the license ledger.")
    ledger: dict[str, Any]
    card: str = Field(description="Markdown.")


class ServerAnswer(BaseModel):
    """The models that answer, and what a request may ask."""

    version: str
    models: list[ModelAnswer]
    limits: dict[str, float]


class HealthAnswer(BaseModel):
    """Whether the server runs, or is ready."""

    status: str
