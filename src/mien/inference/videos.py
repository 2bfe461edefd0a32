"""A video in, what each person in it shows over time out, in memory that does not grow."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mien.errors import MienError
from mien.faces.align import cut_face
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.partial_image import composed_crop
from mien.faces.tracks import GAP_SECONDS, NO_FACE, FramesDetector, track_faces
from mien.faces.video import Frame, Video, load_av
from mien.inference.clips import ClipReader, clip_fps, clips_of
from mien.inference.frames import FaceOutput, no_face, read_frame
from mien.inference.model import OnnxModel
from mien.inference.persons import Person, PersonSummary
from mien.inference.predictor import Predictor
from mien.models import ModelInfo
from mien.schema import Face, Prediction, Status, UInt8Array

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

FPS = 5.0
"""Frames per second that are read, unless another number is given."""

OnFrame = Callable[[Frame, list[Prediction]], None]
"""Called with each frame that is read and its predictions."""


@dataclass(frozen=True, eq=False)
class VideoPredictions:
    """What the persons of one video show, one summary each, and how many frames were read.

    ``status`` is ``unreadable`` for a file that could not be opened, ``no-face`` where no frame
    has a face; ``reason`` says why. ``damage`` is the fault of a file of which only a part could
    be read; ``reason`` includes it. ``models`` describes the models, that of faces first.
    """

    source: str
    status: Status
    reason: str
    models: tuple[ModelInfo, ...]
    frames: int = 0
    seconds: float = 0.0
    frames_without_face: int = 0
    persons: tuple[PersonSummary, ...] = ()
    damage: str = ""

    @property
    def incomplete(self) -> bool:
        """Whether the file could not be read, or not to its end."""
        return self.status is Status.UNREADABLE or bool(self.damage)


class EachFrame:
    """A detector of photos for the frames of a video."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        """The faces of a frame, without regard to those before it."""
        return self._detector(image)


def predict_video(
    source: str | os.PathLike[str],
    *,
    predictor: Predictor | None = None,
    clip_model: OnnxModel | None = None,
    fps: float = FPS,
    detector: FramesDetector | None = None,
    on_frame: OnFrame | None = None,
    on_skipped: Callable[[Frame], None] | None = None,
) -> VideoPredictions:
    """Predict the persons of a video: their faces frame by frame, their clips, or both.

    Parameters
    ----------
    source
        A video file. One that cannot be read gives predictions with a reason, not an error.
    predictor, clip_model
        A model of faces and one of clips; at least one of them.
    fps
        Frames per second to read; more where ``clip_model`` was trained on more.
    detector
        A :class:`~mien.faces.detection.follow.VideoFaceDetector` unless one is given.
    on_frame
        Called with each frame that is read and its predictions, sorted by ``track``; a frame
        without a face has one with status ``no-face``.
    on_skipped
        Called with each frame in between; without it, these are not decoded to pictures.

    Frames and crops are dropped as soon as they are used. Raises
    :class:`~mien.errors.MienError` for a model that returns NaN and where the package av is
    missing.
    """
    if predictor is None and clip_model is None:
        raise ValueError("expected a predictor, a clip_model, or both")
    if not fps > 0:
        raise MienError(f"expected fps above 0, got {fps:g}")
    load_av()
    if clip_model is not None:
        fps = max(fps, clip_fps(clips_of(clip_model)) or 0.0)
    reader = _VideoReader(os.fsdecode(source), predictor, clip_model, fps)
    try:
        video = Video(source)
    except MienError as error:
        return reader.predictions(str(error))
    with ExitStack() as stack:
        stack.enter_context(video)
        if detector is None:
            detector = stack.enter_context(VideoFaceDetector())
        for frame, faces, _ in track_faces(_frames(video, fps, on_skipped), detector):
            predictions = reader.read(frame, faces)
            if on_frame is not None:
                on_frame(frame, predictions)
    return reader.predictions(video.damage)


def _frames(
    video: Video, fps: float, on_skipped: Callable[[Frame], None] | None
) -> Iterator[Frame]:
    """The first frame of each ``1 / fps`` seconds; those in between go to ``on_skipped``."""
    if on_skipped is None:
        yield from video.frames(fps=fps)
        return
    last, after_cut = -1, False
    for frame in video.frames():
        slot = math.floor(frame.time * fps + 1e-6)
        after_cut = after_cut or frame.cut
        if slot > last:
            last = slot
            yield replace(frame, cut=after_cut)
            after_cut = False
        else:
            on_skipped(frame)


class _VideoReader:
    """Adds up what the frames of one video show."""

    def __init__(
        self, source: str, predictor: Predictor | None, clip_model: OnnxModel | None, fps: float
    ) -> None:
        self._source, self._fps = source, fps
        self._predictor, self._clip_model = predictor, clip_model
        self._persons: dict[int, Person] = {}
        self._previous: tuple[float, list[FaceOutput]] | None = None
        self._step = 1 / fps
        self._frames = self._frames_without_face = 0

    def read(self, frame: Frame, faces: list[tuple[int, Face]]) -> list[Prediction]:
        """The predictions of a frame, each added to its person."""
        self._frames += 1
        self._frames_without_face += not faces
        previous = None if self._previous is None else self._previous[0]
        if previous is not None:
            self._step = frame.time - previous
            self._add_previous(self._step)
        outputs = read_frame(self._predictor, frame, faces, self._source)
        for (track, face), (prediction, arrays) in zip(faces, outputs, strict=True):
            if track not in self._persons:
                self._persons[track] = self._new_person(track, frame.time)
            person = self._persons[track]
            if person.clips is not None and person.clips.needs(frame.time):
                self._add_to_clip(person.clips, frame, face, continued=person.end == previous)
            person.see(frame.time, "" if arrays is not None else prediction.reason)
        for person in self._persons.values():
            # The track of a person who was away for that long has ended.
            if person.clips is not None and person.end < min(
                previous or 0, frame.time - GAP_SECONDS
            ):
                person.clips.close()
        self._previous = frame.time, outputs
        return [output.prediction for output in outputs] or [no_face(frame, self._source)]

    def predictions(self, damage: str) -> VideoPredictions:
        """What was read in all, of a file with this ``damage``."""
        if self._previous is not None:
            # The last frame lasts as long as the one before it.
            self._add_previous(self._step)
        seconds = 0.0 if self._previous is None else self._previous[0] + self._step
        reason, status = damage, Status.OK
        if not self._frames:
            reason = damage or f"expected a video, got no frames in {self._source!r}"
            status = Status.UNREADABLE
        elif not self._persons:
            reason, status = f"{NO_FACE} in {self._frames} frames", Status.NO_FACE
            reason += f"; {damage}" if damage else ""
        elif damage:
            reason = f"{damage}; what came before was read"
        model = None if self._predictor is None else self._predictor.reading
        clips = None if self._clip_model is None else self._clip_model.info
        return VideoPredictions(
            source=self._source,
            status=status,
            reason=reason,
            models=tuple(each for each in (model, clips) if each is not None),
            frames=self._frames,
            seconds=seconds,
            frames_without_face=self._frames_without_face,
            persons=tuple(
                person.summary(self._source, seconds, model, reason)
                for _, person in sorted(self._persons.items())
            ),
            damage=damage,
        )

    def _new_person(self, track: int, time: float) -> Person:
        model = self._clip_model
        clips = None if model is None else ClipReader(model, self._source, track)
        return Person(track, time, clips, 1 / self._fps)

    def _add_previous(self, seconds: float) -> None:
        """Let the frame that was read last have lasted for ``seconds``."""
        time, faces = self._previous or (0.0, [])
        for prediction, outputs in faces:
            if outputs is not None and prediction.track is not None:
                self._persons[prediction.track].add(time, seconds, outputs)

    def _add_to_clip(self, clips: ClipReader, frame: Frame, face: Face, *, continued: bool) -> None:
        try:
            cut = cut_face(frame.pixels, face, clips.preprocessing)
        except ValueError:  # landmarks that all coincide: no frame of a clip, as in training
            return
        clips.add(frame.time, composed_crop(cut, clips.preprocessing), continued=continued)
