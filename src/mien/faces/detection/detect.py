"""Photo or frame -> faces with landmarks, in image pixels.

Coordinates are continuous: (0, 0) is the outer corner of the top-left pixel, so its center lies
at (0.5, 0.5) and mirroring an image of width W sends x to W - x.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from mien.faces.closing import Closing
from mien.faces.detection.blazeface import (
    Candidates,
    joined,
    merged,
    shrunk,
    turned,
    turned_back,
    view_of,
)
from mien.faces.detection.boxes import distinct, largest_first
from mien.faces.detection.confirm import DOUBTED_SCORE, confirmed_face
from mien.faces.detection.face_networks import FaceNetworks, open_face_networks
from mien.faces.forks import ForkLock
from mien.schema import Face, UInt8Array

# A view shows faces from about 13 of its pixels. More pixels cost time: 512 x 512 about 15 ms.
_FAST_PIXELS, _THOROUGH_PIXELS = 512 * 512, 1536 * 1536
_FAST_SCALE = 0.5
# Photos of up to this side are looked at with the least side below: 3 ms.
_SMALL_PHOTO = 512
_LEAST_SIDE, _SHORT_SIDE, _LARGE_FACES_SIDE, _CELL = 224, 128, 256, 32
# Faces that fill the image are found with space around them, a fraction of its longer side.
_BORDER = 0.35


class Detector(Protocol):
    """Finds the faces of an ``(H, W, 3)`` uint8 RGB image, largest first."""

    def __call__(self, image: UInt8Array) -> list[Face]:
        """Find the faces of one image; an empty list where there is none."""
        ...

    def close(self) -> None:
        """Release the model; the detector cannot be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class FaceDetector(Closing):
    """BlazeFace and MediaPipe's face mesh: 478 landmarks, 52 blendshapes and the head's pose.

    It finds faces from about 24 pixels in photos of up to 1,024 pixels a side, and from a fortieth
    of the longer side in larger ones; ``thorough`` looks at up to 2.4 million pixels and takes
    about ten times as long. Faces may be turned by any angle. One without landmarks, such as a
    profile, has a ``reason``. At most ``max_faces`` are returned, with scores of at least
    ``min_score``.

    ``model`` is a ``face_landmarker.task``; by default
    :func:`~mien.faces.detection.model_file.face_landmarker_file` finds one. A detector may be
    called from several threads, which wait for each other, pickled, and used after a fork.
    """

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        max_faces: int = 100,
        min_score: float = 0.5,
        thorough: bool = False,
        threads: int = 2,
    ) -> None:
        check_settings(max_faces, min_score)
        self._max_faces, self._min_score, self._thorough = max_faces, min_score, thorough
        self._again = partial(
            FaceDetector,
            model=model,
            max_faces=max_faces,
            min_score=min_score,
            thorough=thorough,
            threads=threads,
        )
        self._shared = SharedNetworks(model, threads)

    def __call__(self, image: UInt8Array) -> list[Face]:
        """Find the faces of an ``(H, W, 3)`` uint8 RGB image, largest first.

        Landmarks are (478, 2). Raises ``ValueError`` after :meth:`close` and for other arrays.
        """
        check_image(image)
        with self._shared as networks:
            candidates = find_candidates(networks, image, thorough=self._thorough)
            faces = self._confirmed(networks, image, candidates)
            if not faces:
                # A face that fills the image and is in profile is rather something else.
                candidates = find_candidates(networks, image, border=_BORDER)
                faces = self._confirmed(networks, image, candidates, boxes=False)
            if not faces and not self._thorough:
                # The finders miss some faces that stand on their head; all of them may do so.
                candidates = find_candidates(networks, image, turns=2)
                scores = np.minimum(candidates.scores, np.float32(DOUBTED_SCORE))
                candidates = Candidates(candidates.points, scores)
                faces = self._confirmed(networks, image, candidates, boxes=False)
        return largest_first(faces)[: self._max_faces]

    def _confirmed(
        self,
        networks: FaceNetworks,
        image: UInt8Array,
        candidates: Candidates,
        *,
        boxes: bool = True,
    ) -> list[Face]:
        least = self._min_score
        faces = [
            confirmed_face(networks, image, points, float(score), least=least, boxes=boxes)
            for points, score in zip(candidates.points, candidates.scores, strict=True)
        ]
        return distinct([face for face in faces if face is not None])

    def close(self) -> None:
        """Release the networks."""
        self._shared.close()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return self._again, ()


class SharedNetworks:
    """Networks for one thread at a time: ``with shared as networks``; opened anew after a fork."""

    def __init__(self, model: str | Path | None, threads: int) -> None:
        self._open = partial(open_face_networks, model, threads=threads)
        self._networks: FaceNetworks | None = self._open()
        self._lock = ForkLock()

    def __enter__(self) -> FaceNetworks:
        self._lock.__enter__()
        try:
            if self._networks is None:
                raise ValueError("expected an open detector, got one that was closed")
            if self._lock.forked:
                self._networks = self._open()
        except BaseException:
            self._lock.__exit__()
            raise
        return self._networks

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def close(self) -> None:
        """Release the networks, once the thread that uses them is done."""
        with self._lock:
            self._networks = None


class _Look(NamedTuple):
    """The longer side of what a network is shown, and by how many quarter turns it is turned."""

    longest: int
    back: bool = True
    turns: int = 0


def find_candidates(
    networks: FaceNetworks,
    image: UInt8Array,
    *,
    thorough: bool = False,
    border: float = 0.0,
    turns: int = 0,
) -> Candidates:
    """What may be faces in an image, in its pixels, best first.

    ``border``, a fraction of the longer side, looks for faces that fill the image instead;
    ``turns`` looks at the image turned by as many quarter turns.
    """
    looks = _looks(image.shape, thorough)
    if turns:
        looks = [look._replace(turns=turns) for look in looks[:1]]
    if border:
        looks = [_Look(_LARGE_FACES_SIDE), _Look(_SHORT_SIDE, back=False)]
    frame, scale, parts = image, 1.0, []
    for look in looks:
        if look.longest * (1 + 2 * border) < max(frame.shape[:2]):
            # Smaller views are made of larger ones: to shrink a large photo takes long.
            frame = shrunk(frame, look.longest)
            scale = max(frame.shape[:2]) / max(image.shape[:2])
        finder = networks.back if look.back and networks.back is not None else networks.short
        candidates = finder(view_of(turned(frame, look.turns), look.longest, _CELL, border))
        points = turned_back(candidates.points, look.turns, frame.shape) / np.float32(scale)
        parts.append(Candidates(points, candidates.scores))
    return merged(joined(parts))


def _looks(shape: tuple[int, ...], thorough: bool) -> list[_Look]:
    """At what sizes a photo is looked at, largest first."""
    longest, pixels = max(shape[:2]), shape[0] * shape[1]

    def side(limit: float, most: float) -> int:
        scale = min(most, math.sqrt(limit / pixels))
        return max(_LEAST_SIDE, _CELL * round(scale * longest / _CELL))

    usual = _LEAST_SIDE if longest <= _SMALL_PHOTO else side(_FAST_PIXELS, _FAST_SCALE)
    looks = [_Look(usual)]
    if usual > _LARGE_FACES_SIDE:
        looks.append(_Look(_SHORT_SIDE, back=False))
    if thorough:
        looks += [_Look(usual, turns=turns) for turns in (1, 2, 3)]
        looks += [_Look(side(_THOROUGH_PIXELS, 1.0)), _Look(_LARGE_FACES_SIDE, back=False)]
    return sorted(set(looks), key=lambda look: -look.longest)


def check_settings(max_faces: int, min_score: float) -> None:
    """Raise ``ValueError`` for settings out of range."""
    if max_faces < 1 or not 0 <= min_score <= 1:
        raise ValueError(
            "expected max_faces of at least 1 and min_score in [0, 1], "
            f"got {max_faces} and {min_score}"
        )


def check_image(image: UInt8Array) -> None:
    """Raise ``ValueError`` for what is no ``(H, W, 3)`` uint8 image with pixels."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"expected a uint8 image (H, W, 3), got {image.dtype} {image.shape}")
