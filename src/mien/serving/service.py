"""Models that are open, the threads that run them, and what they say of pictures."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MienError
from mien.faces.images import load_image
from mien.inference.model import OnnxModel
from mien.inference.predictor import Predictor
from mien.inference.rows import Entry, Rows
from mien.schema import Prediction, Status
from mien.search.neighbors import Neighbors
from mien.serving.jobs import Jobs
from mien.serving.limits import Limits
from mien.serving.metrics import Metrics
from mien.serving.neighbors import shown_neighbors
from mien.serving.problems import Problem
from mien.serving.uploads import Upload
from mien.serving.workers import Workers

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector


class Service:
    """A model of faces, one of clips, or both, ready to be asked.

    ``detector`` makes the detector of each of the ``threads``; mien's own unless one is given.
    ``neighbors`` gives the faces of an index that explain predictions.
    """

    def __init__(
        self,
        faces: OnnxModel | None,
        clips: OnnxModel | None,
        *,
        limits: Limits | None = None,
        detector: Callable[[], Detector] | None = None,
        threads: int | None = None,
        neighbors: Neighbors | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.faces, self.clips = faces, clips
        self.threads = threads or os.cpu_count() or 1
        self.metrics = Metrics()
        self.workers = Workers(threads=self.threads, queue=self.limits.queue)
        self.jobs = Jobs(faces, clips, self.limits, detector=detector)
        self.draining = False
        self._neighbors = neighbors
        self._detector = detector
        self._local = threading.local()
        self._rows = None if faces is None else Rows("frames", faces=faces.info)
        self.metrics.watch(
            "mien_requests_admitted",
            "Requests that are received, waiting or running.",
            lambda: self.workers.admitted,
        )
        self.metrics.watch(
            "mien_videos_unfinished", "Videos that wait or run.", lambda: self.jobs.unfinished
        )

    @property
    def models(self) -> tuple[OnnxModel, ...]:
        """The open models, that of faces first."""
        return tuple(model for model in (self.faces, self.clips) if model is not None)

    def warm_up(self) -> None:
        """Open the networks of every thread, so that no request has to wait for it."""
        if self.faces is None:
            return
        together = threading.Barrier(self.threads)

        def open_networks() -> None:
            together.wait(60)  # so that each thread takes one
            predictor = self._predictor()
            predictor.crop_faces(np.full((128, 128, 3), 127, np.uint8))
            size = predictor.info.preprocessing.size
            predictor.predict_crops(np.full((1, size, size, 3), 127, np.uint8))

        for opening in [self.workers.submit(open_networks) for _ in range(self.threads)]:
            opening.result()

    def predict(
        self, pictures: Sequence[Upload], *, tight: bool, neighbors: bool = False
    ) -> dict[str, Any]:
        """What the model of faces says of pictures, as the answer to a request.

        ``neighbors`` adds the nearest faces of the index to each face, where there is one.

        Raises :class:`Problem` (422) where none of them can be read, or there is no such model.
        """
        if self.faces is None:
            raise Problem(
                422,
                "expected a video for a model of clips, got pictures; send it to /v1/videos",
            )
        started = time.perf_counter()
        images = [
            self._of_picture(picture, tight=tight, neighbors=neighbors) for picture in pictures
        ]
        statuses = {image["status"] for image in images}
        if statuses == {Status.UNREADABLE.value}:
            raise Problem(422, images[0]["reason"])
        return {
            "model": self.faces.info.name,
            "seconds": round(time.perf_counter() - started, 4),
            "images": images,
        }

    def close(self) -> None:
        """Wait for what runs, cancel videos, and delete what was written."""
        self.jobs.close()
        self.workers.close()

    def _of_picture(self, picture: Upload, *, tight: bool, neighbors: bool) -> dict[str, Any]:
        predictor, shape = self._predictor(), (None, None)
        try:
            pixels = load_image(picture.content, max_pixels=self.limits.pixels)
            shape = pixels.shape[:2]
            faces = predictor.crop_faces(pixels, tight=tight)
            predictions = predictor.predict_faces(faces, source=picture.name) or [
                predictor.no_face(pixels, source=picture.name)
            ]
        except MienError as error:
            predictions = [Prediction(Status.UNREADABLE, picture.name, str(error))]
        self.metrics.count_predictions(each.status.value for each in predictions)
        first = predictions[0]
        return {
            "source": picture.name,
            "status": first.status.value if first.face is None else Status.OK.value,
            "reason": None if first.face else first.reason,
            "width": shape[1],
            "height": shape[0],
            "faces": [self._row(each, neighbors) for each in predictions if each.face],
        }

    def _row(self, prediction: Prediction, neighbors: bool) -> dict[str, Any]:
        assert self._rows is not None
        row = self._rows.row(Entry(prediction, {}))
        if neighbors and self._neighbors is not None and prediction.embedding is not None:
            row["neighbors"] = shown_neighbors(self._neighbors, prediction.embedding)
        return row

    def _predictor(self) -> Predictor:
        """The predictor of this thread: detectors take one picture at a time."""
        assert self.faces is not None
        if not hasattr(self._local, "predictor"):
            detector = self._detector() if self._detector else _detector_of_a_thread()
            self._local.predictor = Predictor(self.faces, detector=detector)
        predictor: Predictor = self._local.predictor
        return predictor


def _detector_of_a_thread() -> Detector:
    from mien.faces.detection.detect import FaceDetector

    return FaceDetector(threads=1)
