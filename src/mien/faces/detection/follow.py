"""Faces of a video's frames: found once, then followed from mesh to mesh."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mien.faces.closing import Closing
from mien.faces.detection.boxes import distinct, largest_first
from mien.faces.detection.confirm import SURE_PRESENCE, confirmed_face, face_of_mesh
from mien.faces.detection.detect import SharedNetworks, check_image, check_settings, find_candidates
from mien.faces.detection.face_networks import FaceNetworks
from mien.faces.detection.mesh import Mesh, Region, find_mesh, region_of_landmarks
from mien.schema import Face, FloatArray, UInt8Array

# So often the whole frame is searched for new faces while others are followed.
_SEARCH_SECONDS = 0.5
# A head that seems to turn by more from frame to frame is something else.
_LEAST_COSINE = math.cos(math.radians(50))


class _Followed(NamedTuple):
    region: Region
    score: float


class VideoFaceDetector(Closing):
    """:class:`~mien.faces.detection.detect.FaceDetector` for the frames of one video in order.

    A face that was found is looked for where its mesh was, which takes half the time; the whole
    frame is searched every half second of the video, and when a face is lost. At most
    ``max_faces`` are followed. Call :meth:`restart` before the next video.
    """

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        max_faces: int = 4,
        min_score: float = 0.5,
        threads: int = 2,
    ) -> None:
        check_settings(max_faces, min_score)
        self._max_faces, self._min_score = max_faces, min_score
        self._again = partial(
            VideoFaceDetector,
            model=model,
            max_faces=max_faces,
            min_score=min_score,
            threads=threads,
        )
        self._shared = SharedNetworks(model, threads)
        self._followed: list[_Followed] = []
        self._searched: float | None = None
        self._shape: tuple[int, ...] = ()

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        """Find the faces of an ``(H, W, 3)`` uint8 RGB frame at ``time`` in seconds, unordered.

        Landmarks are (478, 2). Faces without landmarks are left out: there is nothing to follow.
        """
        check_image(image)
        with self._shared as networks:
            if image.shape != self._shape:
                self._followed, self._shape = [], image.shape
            expected = len(self._followed)
            faces = self._follow(networks, image)
            due = self._searched is None or not 0 <= time - self._searched < _SEARCH_SECONDS
            if len(faces) < self._max_faces and (due or len(faces) < max(1, expected)):
                faces = self._search(networks, image, faces)
                self._searched = time
            self._followed = [_Followed(region, face.score) for region, face in faces]
            return [face for _, face in faces]

    def restart(self) -> None:
        """Forget the video: the next frame starts another one."""
        self._followed, self._searched, self._shape = [], None, ()

    def _follow(self, networks: FaceNetworks, image: UInt8Array) -> list[tuple[Region, Face]]:
        seen: list[tuple[Region, Mesh, float]] = []
        for region, score in self._followed:
            mesh = find_mesh(networks.mesh, image, region)
            after = region_of_landmarks(mesh.points)
            if (
                mesh.presence >= SURE_PRESENCE
                and math.cos(after.angle - region.angle) > _LEAST_COSINE
            ):
                seen.append((after, mesh, score))
        faces = [
            (region, face_of_mesh(networks, image, mesh, score)) for region, mesh, score in seen
        ]
        # Two that were followed may have ended on one face.
        apart = distinct([face for _, face in faces])
        return [pair for pair in faces if any(pair[1] is face for face in apart)]

    def _search(
        self, networks: FaceNetworks, image: UInt8Array, followed: list[tuple[Region, Face]]
    ) -> list[tuple[Region, Face]]:
        candidates = find_candidates(networks, image)
        fresh = [
            face
            for points, score in zip(candidates.points, candidates.scores, strict=True)
            if not any(_holds(face, points) for _, face in followed)
            for face in [
                confirmed_face(
                    networks, image, points, float(score), least=self._min_score, boxes=False
                )
            ]
            if face is not None
        ]
        faces = distinct([*(face for _, face in followed), *fresh])
        return [
            (region_of_landmarks(face.landmarks), face)
            for face in largest_first(faces)[: self._max_faces]
            if face.landmarks is not None
        ]

    def close(self) -> None:
        """Release the networks."""
        self._shared.close()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return self._again, ()


def _holds(face: Face, points: FloatArray) -> bool:
    """Whether the middle of a candidate lies in a face that is followed."""
    x, y = points[:2].mean(axis=0).tolist()
    box = face.box
    return bool(0 < x - box.left < box.width and 0 < y - box.top < box.height)
