"""A photo in, the predictions of its faces out.

One predictor may be used from several threads: the network runs in parallel, the detector, which
keeps state, handles one photo at a time. It may be pickled, and used after a fork.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.faces.closing import Closing
from mien.faces.forks import ForkLock
from mien.heads import Arrays
from mien.inference.model import OnnxModel, doubt_of, open_onnx, read_heads
from mien.inference.units import NO_UNITS, reading_of, reads_blendshapes, with_units
from mien.licenses import Ledger
from mien.models import ModelInfo
from mien.schema import (
    Alignment,
    Box,
    Face,
    FloatArray,
    ModelOutput,
    Patch,
    Prediction,
    Status,
    UInt8Array,
)

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector
    from mien.faces.images import ImageSource

MIN_FACE_PIXELS = 24
"""A face whose box has a shorter side than this is too coarse to read."""
MAX_YAW_DEGREES = 60.0
"""Beyond this yaw half of the face is hidden and the alignment means little."""


@dataclass(frozen=True, eq=False)
class CroppedFace:
    """A detected face with its ``(S, S, 3)`` crop, ready for the network.

    For a model of partial images the crop is one. ``landmarks`` and ``matrix`` are those of the
    whole crop, as in :class:`~mien.faces.align.Cut`.
    """

    face: Face
    crop: UInt8Array
    alignment: Alignment
    landmarks: FloatArray | None
    matrix: NDArray[np.float64]


class Predictor(Closing):
    """A model of faces and a detector; called with an image, it predicts every face in it.

    The detector is a :class:`~mien.faces.detection.detect.FaceDetector` unless one is given, and is
    only created when the first photo needs it. Use the predictor as a context manager, or call
    :meth:`close`, to free the detector early; a detector that was passed in is left open.

    A pickle holds the model's file and the settings, so that a process opens both anew; so does a
    forked process.
    """

    def __init__(self, model: OnnxModel, *, detector: Detector | None = None) -> None:
        if model.info.clips is not None:
            raise MienError(
                f"expected a model of faces, got {model.info.name!r}, which reads clips of "
                f"{model.info.clips.length} frames: use it on videos"
            )
        self.model = model
        self.reading = reading_of(model.info)
        """What predictions are read by: the model's description, and action units by blendshapes
        where it has no head for them."""
        self._detector = detector
        self._created: list[Detector] = []
        self._detecting = ForkLock()

    @classmethod
    def load(
        cls,
        name_or_file: str | os.PathLike[str] = "fer",
        *,
        detector: Detector | None = None,
        threads: int | None = None,
        abstain_below: float | None = None,
    ) -> Self:
        """A predictor of a model that :func:`~mien.inference.model.open_onnx` opens.

        ``abstain_below`` is the confidence in an expression below which it abstains: None for the
        model's own, 0 for never.
        """
        model = open_onnx(name_or_file, threads=threads)
        if abstain_below is not None:
            model = model.answering_from(abstain_below)
        return cls(model, detector=detector)

    @property
    def license(self) -> Ledger:
        """What the model rests on, and whether that may be used commercially."""
        return self.model.info.ledger

    @property
    def info(self) -> ModelInfo:
        """The model's description."""
        return self.model.info

    def __call__(self, image: ImageSource, *, tight: bool = False) -> list[Prediction]:
        """Predict the faces of an image, largest face first; the list is never empty.

        Parameters
        ----------
        image
            One image: a path, encoded bytes, a binary file, a Pillow image, or an array
            ``(H, W, 3)`` in RGB, see :func:`~mien.faces.images.load_image`.
        tight
            Take the whole image as one face, for crops that are already tight. No face is
            detected; a model of partial images still detects landmarks. A small image in which
            one is detected is taken so by itself, see :func:`~mien.faces.tight.is_small`.

        Without a face there is one prediction with status ``no-face``. Raises
        :class:`~mien.errors.MienError` for an image that cannot be read.
        """
        from mien.faces.images import load_image

        source = os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else ""
        pixels = load_image(image)
        faces = self.crop_faces(pixels, tight=tight)
        return self.predict_faces(faces, source=source) or [self.no_face(pixels, source=source)]

    def crop_faces(self, image: UInt8Array, *, tight: bool = False) -> list[CroppedFace]:
        """Crop the faces of an upright ``(H, W, 3)`` RGB image, largest first.

        Crops follow the model's preprocessing, partial images included.
        """
        from mien.faces.tight import find_tight_face, is_small

        if tight:
            return [self.crop_face(image, self._tight_face(image), tight=True)]
        if is_small(image):
            with self._detecting:
                small = find_tight_face(image, self._ready_detector())
            return [] if small is None else [self.crop_face(image, small, tight=True)]
        with self._detecting:
            faces = self._ready_detector()(image)
        return [self.crop_face(image, face) for face in faces]

    def crop_face(self, image: UInt8Array, face: Face, *, tight: bool = False) -> CroppedFace:
        """Crop a face that was detected in an upright ``(H, W, 3)`` RGB image."""
        from mien.faces.align import cut_face
        from mien.faces.cover import COVERED, is_mouth_covered
        from mien.faces.partial_image import composed_crop

        points = face.landmarks
        if points is not None and len(points) == 478 and not face.reason:
            face = replace(face, reason=COVERED if is_mouth_covered(image, points) else "")

        recipe = self.info.preprocessing
        cut = cut_face(image, face, recipe, tight=tight)
        crop = composed_crop(cut, recipe)
        return CroppedFace(face, crop, cut.alignment, cut.landmarks, cut.matrix)

    def predict_faces(self, faces: Sequence[CroppedFace], *, source: str = "") -> list[Prediction]:
        """One prediction per face, in the given order and numbered from 0."""
        if not faces:
            return []
        output = self.predict_crops(np.stack([face.crop for face in faces]))
        return self.read_faces(faces, output, source=source)

    def predict_crops(self, crops: UInt8Array, batch_size: int = 32) -> ModelOutput:
        """As :meth:`OnnxModel.predict <mien.inference.model.OnnxModel.predict>`."""
        return self.model.predict(crops, batch_size)

    def read_faces(
        self, faces: Sequence[CroppedFace], output: ModelOutput, *, source: str = ""
    ) -> list[Prediction]:
        """The predictions of faces whose crops gave ``output``; none for none."""
        if not faces:
            return []
        output = with_units(self.reading, [face.face for face in faces], output)
        return [self._prediction(face, index, output, source) for index, face in enumerate(faces)]

    def no_face(self, image: UInt8Array, *, source: str = "") -> Prediction:
        """The prediction for an image in which no face was detected."""
        height, width = image.shape[:2]
        return Prediction(
            Status.NO_FACE, source=source, reason=f"no face found in {width} x {height} pixels"
        )

    def sibling(self) -> Predictor:
        """A predictor of the same model for another thread, with a detector of its own.

        A detector that was passed in and is not mien's may not be one that there can be two of:
        then it is this predictor itself.
        """
        detector = self._detector
        if detector is None or detector in self._created:
            from mien.faces.detection.detect import FaceDetector

            created: Detector = FaceDetector(threads=1)
        elif type(detector).__module__.startswith("mien.faces.detection."):
            created = copy.deepcopy(detector)
        else:
            return self
        sibling = Predictor(self.model, detector=created)
        sibling._created.append(created)
        return sibling

    def close(self) -> None:
        """Free the detector; the next photo creates a new one."""
        with self._detecting:
            if self._created:
                self._detector = None
                self._created.pop().close()

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        given = None if self._created else self._detector
        return partial(type(self), detector=given), (self.model,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info.name!r}, heads {', '.join(self.info.heads)})"

    def _tight_face(self, image: UInt8Array) -> Face:
        height, width = image.shape[:2]
        face = Face(Box(0, 0, width, height), score=1.0)
        if self.info.preprocessing.partial_image == "full":
            return face
        from mien.faces.tight import find_tight_face

        with self._detecting:
            detected = find_tight_face(image, self._ready_detector())
        return face if detected is None else replace(face, landmarks=detected.landmarks)

    def _ready_detector(self) -> Detector:
        if self._detector is None:
            from mien.faces.detection.detect import FaceDetector

            self._detector = FaceDetector()
            self._created.append(self._detector)
        return self._detector

    def _prediction(
        self, cropped: CroppedFace, row: int, output: ModelOutput, source: str
    ) -> Prediction:
        return Prediction(
            **answer_of(self.reading, cropped.face, output.heads, row),
            source=source,
            index=row,
            face=cropped.face,
            alignment=cropped.alignment,
            embedding=output.embeddings[row],
            crop=cropped.crop,
            attention=None if output.attention is None else output.attention[row],
            patches=() if output.attention is None else self._patches(cropped),
        )

    def _patches(self, cropped: CroppedFace) -> tuple[Patch, ...]:
        from mien.faces.partial_image import patches_of

        recipe, landmarks = self.info.preprocessing, cropped.landmarks
        if landmarks is not None:
            landmarks = landmarks * np.float32(recipe.size)
        return patches_of(cropped.matrix, recipe, landmarks)


def answer_of(
    reading: ModelInfo, face: Face, outputs: Arrays, row: int, *, note: str = ""
) -> dict[str, Any]:
    """Status, reason and the values of the heads for one row of outputs, as fields by name.

    ``note`` stands among the reasons and is no reason to abstain.
    """
    fields = read_heads(reading, outputs, row)
    unreadable = unreadable_because(face)
    doubt = unreadable or doubt_of(reading, fields)
    no_units = reads_blendshapes(reading) and not fields["action_units"]
    missing = NO_UNITS if no_units and not unreadable else ""
    status = Status.ABSTAINED if doubt else Status.OK
    return {"status": status, "reason": "; ".join(filter(None, [doubt, missing, note])), **fields}


def unreadable_because(face: Face) -> str:
    """Why a face is too small or too far turned to be read; empty when it is not."""
    if face.reason:
        return face.reason
    box = face.box
    if min(box.width, box.height) < MIN_FACE_PIXELS:
        side, extent = min((box.width, "wide"), (box.height, "high"))
        return f"face is {int(side)} pixels {extent}; at least {MIN_FACE_PIXELS} are needed"
    if face.pose is not None and abs(face.pose.yaw) > MAX_YAW_DEGREES:
        return (
            f"head is turned by {math.ceil(abs(face.pose.yaw))} degrees; "
            f"at most {MAX_YAW_DEGREES:.0f} can be read"
        )
    return ""
