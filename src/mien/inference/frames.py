"""The tracked faces of one frame through a model of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mien.faces.tracks import NO_FACE
from mien.faces.video import Frame
from mien.heads import Arrays
from mien.inference.predictor import Predictor, unreadable_because
from mien.inference.units import with_units
from mien.schema import Face, Prediction, Status

NO_MODEL_OF_FACES = "no model of faces"


class FaceOutput(NamedTuple):
    """A face of a frame: its prediction, and the outputs ``(1, ...)`` where it is usable."""

    prediction: Prediction
    outputs: Arrays | None


def read_frame(
    predictor: Predictor | None, frame: Frame, faces: Sequence[tuple[int, Face]], source: str
) -> list[FaceOutput]:
    """The faces of a frame, given with their track numbers, in the same order.

    Without a predictor all are abstained, with empty outputs.
    """
    outputs = (
        [FaceOutput(_abstained(NO_MODEL_OF_FACES, face), {}) for _, face in faces]
        if predictor is None
        else _predict_faces(predictor, frame, [face for _, face in faces])
    )
    return [
        output._replace(
            prediction=replace(
                output.prediction,
                source=source,
                frame=frame.index,
                time=frame.time,
                index=index,
                track=track,
            )
        )
        for index, (output, (track, _)) in enumerate(zip(outputs, faces, strict=True))
    ]


def no_face(frame: Frame, source: str) -> Prediction:
    """The prediction for a frame without a face."""
    return Prediction(
        Status.NO_FACE, source=source, reason=NO_FACE, frame=frame.index, time=frame.time
    )


def _predict_faces(predictor: Predictor, frame: Frame, faces: Sequence[Face]) -> list[FaceOutput]:
    """The faces of a frame in one run; larger batches are no faster on a CPU."""
    predictions: dict[int, FaceOutput] = {}
    crops = {}
    for index, face in enumerate(faces):
        try:
            crops[index] = predictor.crop_face(frame.pixels, face)
        except ValueError as error:
            predictions[index] = FaceOutput(_abstained(f"face not aligned: {error}", face), None)
    if crops:
        cropped = list(crops.values())
        output = with_units(
            predictor.reading,
            [each.face for each in cropped],
            predictor.predict_crops(np.stack([each.crop for each in cropped])),
        )
        for row, (index, prediction) in enumerate(
            zip(crops, predictor.read_faces(cropped, output), strict=True)
        ):
            arrays = {name: values[row : row + 1] for name, values in output.heads.items()}
            # A face that the model is not sure of is part of a mean; one that it cannot see is not.
            usable = not unreadable_because(cropped[row].face)
            predictions[index] = FaceOutput(prediction, arrays if usable else None)
    return [predictions[index] for index in range(len(faces))]


def _abstained(reason: str, face: Face) -> Prediction:
    return Prediction(Status.ABSTAINED, reason=reason, face=face)
