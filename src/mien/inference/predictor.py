"""A photo in, its faces' expressions out.

One predictor may be used from several threads: the network runs in parallel, the detector, which
keeps state, one photo at a time.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from mien.inference.model import read_model
from mien.models import OUTPUTS, ModelInfo, find_model
from mien.schema import (
    Alignment,
    Box,
    Face,
    FloatArray,
    MienError,
    Patch,
    Prediction,
    Preprocessing,
    Readings,
    Status,
    UInt8Array,
    join_readings,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from mien.faces.detect import Detector

MIN_FACE_PIXELS = 24
"""A face whose box has a shorter side than this is too coarse to read."""
MAX_YAW_DEGREES = 60.0
"""Beyond this yaw half of the face is hidden and the alignment means little."""

ImageSource = str | os.PathLike[str] | bytes | BinaryIO | UInt8Array


@dataclass(frozen=True, eq=False)
class CroppedFace:
    """A detected face with its ``(S, S, 3)`` crop, ready for the network.

    Where the model reads partial images, the crop is one. ``landmarks`` and ``matrix`` are those
    of the whole crop, as :class:`~mien.faces.align.Cut` has them.
    """

    face: Face
    crop: UInt8Array
    alignment: Alignment
    landmarks: FloatArray | None
    matrix: NDArray[np.float64]


class Predictor:
    """A model and a detector; called with an image, it gives the predictions of its faces.

    ``info`` is what the model says of itself. The detector is MediaPipe's unless one is given,
    and is only made when the first photo needs it. Use as a context manager, or call
    :meth:`close`, to free the detector early; one that was given stays the caller's.
    """

    def __init__(
        self, info: ModelInfo, session: InferenceSession, *, detector: Detector | None = None
    ) -> None:
        self.info = info
        self._session = session
        self._detector = detector
        self._made: list[Detector] = []
        # Registered before MediaPipe is imported and so run after its own exit handler: a
        # MediaPipe object that nobody closed prints a traceback when the interpreter ends.
        weakref.finalize(self, _close_late, self._made)
        self._detecting = threading.Lock()

    @classmethod
    def load(
        cls,
        name_or_file: str | os.PathLike[str] = "fer",
        *,
        detector: Detector | None = None,
        threads: int | None = None,
    ) -> Self:
        """A predictor for a shipped model's name or an ONNX file that ``mien export`` wrote.

        ``threads`` limits the threads of the network (None: one a core). Raises
        :class:`~mien.schema.MienError` for an unknown name or a file that is no model.
        """
        info, session = read_model(find_model(name_or_file), threads=threads)
        return cls(info, session, detector=detector)

    def __call__(self, image: ImageSource, *, tight: bool = False) -> list[Prediction]:
        """The predictions of an image's faces, largest face first; never an empty list.

        Parameters
        ----------
        image
            A path, encoded bytes, a binary file, or an array ``(H, W, 3)`` in RGB.
        tight
            Take the whole image as one face: for crops that are already tight. No face is looked
            for; a model that reads partial images looks for landmarks.

        Without a face there is one prediction with status ``no-face``. Raises
        :class:`~mien.schema.MienError` for an image that cannot be read.
        """
        from mien.faces.images import load_image

        source = os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else ""
        pixels = load_image(image)
        found = self.crop_faces(pixels, tight=tight)
        return self.predict_faces(found, source=source) or [self.no_face(pixels, source=source)]

    def crop_faces(self, image: UInt8Array, *, tight: bool = False) -> list[CroppedFace]:
        """The faces of an upright ``(H, W, 3)`` RGB image with their crops, largest first.

        Crops are as the model's preprocessing says, partial images included.
        """
        if tight:
            return [self.crop_face(image, self._tight_face(image), tight=True)]
        with self._detecting:
            faces = self._ready_detector()(image)
        return [self.crop_face(image, face) for face in faces]

    def crop_face(self, image: UInt8Array, face: Face, *, tight: bool = False) -> CroppedFace:
        """The crop of a face that was found in an upright ``(H, W, 3)`` RGB image."""
        from mien.faces.align import cut_face
        from mien.faces.partial_image import compose_partial_image

        recipe = self.info.preprocessing
        cut = cut_face(image, face, recipe, tight=tight)
        crop = compose_partial_image(cut.crop, recipe, _in_pixels(cut.landmarks, recipe))
        return CroppedFace(face, crop, cut.alignment, cut.landmarks, cut.matrix)

    def predict_faces(self, found: Sequence[CroppedFace], *, source: str = "") -> list[Prediction]:
        """One prediction a face, in the order given and numbered from 0."""
        if not found:
            return []
        readings = self.predict_crops(np.stack([one.crop for one in found]))
        return [self._prediction(one, index, readings, source) for index, one in enumerate(found)]

    def predict_crops(self, crops: UInt8Array, batch_size: int = 32) -> Readings:
        """Calibrated probabilities, embeddings and what else the model gives for crops.

        ``crops`` is ``(B, S, S, 3)`` uint8 RGB, as the model's preprocessing says, so composed
        where it reads partial images.
        """
        from mien.faces.tensors import to_tensor

        size = self.info.preprocessing.size
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 crops (B, {size}, {size}, 3), got {crops.dtype} {crops.shape}"
            )
        if batch_size < 1:
            raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
        outputs = [
            self._run(to_tensor(crops[start : start + batch_size], self.info.preprocessing))
            # No crops still make one, empty, run: it has the right widths.
            for start in range(0, max(len(crops), 1), batch_size)
        ]
        if len(outputs) == 1:
            return outputs[0]
        return join_readings(outputs)

    def no_face(self, image: UInt8Array, *, source: str = "") -> Prediction:
        """The prediction of an image in which no face was found."""
        height, width = image.shape[:2]
        return Prediction(
            Status.NO_FACE, source=source, reason=f"no face found in {width} x {height} pixels"
        )

    def close(self) -> None:
        """Free the detector; the next photo makes a new one."""
        with self._detecting:
            if self._made:
                self._detector = None
                self._made.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tight_face(self, image: UInt8Array) -> Face:
        height, width = image.shape[:2]
        face = Face(Box(0, 0, width, height), score=1.0)
        if self.info.preprocessing.partial_image == "full":
            return face
        from mien.faces.tight import find_tight_face

        with self._detecting:
            found = find_tight_face(image, self._ready_detector())
        return face if found is None else replace(face, landmarks=found.landmarks)

    def _ready_detector(self) -> Detector:
        if self._detector is None:
            from mien.faces.detect import MediaPipeDetector

            self._detector = MediaPipeDetector()
            self._made.append(self._detector)
        return self._detector

    def _run(self, tensor: FloatArray) -> Readings:
        arrays = self._session.run(self.info.outputs, {"input": tensor})
        if not all(np.isfinite(array).all() for array in arrays):
            raise MienError(
                f"expected finite numbers from the model {self.info.name!r}, got NaN or infinity; "
                "train or export it again"
            )
        probabilities, embeddings, *optional = arrays
        more = dict(zip(self.info.outputs[len(OUTPUTS) :], optional, strict=True))
        return Readings(probabilities, embeddings, **more)

    def _prediction(
        self, found: CroppedFace, index: int, readings: Readings, source: str
    ) -> Prediction:
        names = self.info.label_space.names
        probabilities, affect = readings.probabilities[index], readings.valence_arousal
        valence, arousal = (None, None) if affect is None else map(float, affect[index])
        top = int(probabilities.argmax())
        confidence = float(probabilities[top])
        reason = self._doubt(found.face, confidence)
        return Prediction(
            Status.ABSTAINED if reason else Status.OK,
            source=source,
            reason=reason,
            index=index,
            face=found.face,
            alignment=found.alignment,
            expression=names[top],
            confidence=confidence,
            probabilities=dict(zip(names, probabilities.tolist(), strict=True)),
            embedding=readings.embeddings[index],
            crop=found.crop,
            valence=valence,
            arousal=arousal,
            attention=None if readings.attention is None else readings.attention[index],
            patches=() if readings.attention is None else self._patches(found),
        )

    def _patches(self, found: CroppedFace) -> tuple[Patch, ...]:
        from mien.faces.partial_image import patches_of

        recipe = self.info.preprocessing
        return patches_of(found.matrix, recipe, _in_pixels(found.landmarks, recipe))

    def _doubt(self, face: Face, confidence: float) -> str:
        """Why a face's probabilities should not be used; empty when they may be."""
        box, least = face.box, self.info.abstain_below
        if min(box.width, box.height) < MIN_FACE_PIXELS:
            side, extent = min((box.width, "wide"), (box.height, "high"))
            return f"face is {int(side)} pixels {extent}; at least {MIN_FACE_PIXELS} are needed"
        if face.pose is not None and abs(face.pose.yaw) > MAX_YAW_DEGREES:
            return (
                f"head is turned by {math.ceil(abs(face.pose.yaw))} degrees; "
                f"at most {MAX_YAW_DEGREES:.0f} can be read"
            )
        if least is not None and confidence < least:
            return f"confidence is {confidence:.3f}; the model answers from {least:.3f}"
        return ""


def _in_pixels(landmarks: FloatArray | None, preprocessing: Preprocessing) -> FloatArray | None:
    return None if landmarks is None else landmarks * np.float32(preprocessing.size)


def _close_late(made: list[Detector]) -> None:
    for detector in made:
        # At the interpreter's end MediaPipe's worker thread may be gone already.
        with suppress(RuntimeError):
            detector.close()
