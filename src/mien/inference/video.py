"""A video in, what each person in it shows over time out, in memory that does not grow."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from mien.faces.align import cut_face
from mien.faces.tracks import (
    GAP_SECONDS,
    NO_FACE,
    FramesDetector,
    MediaPipeFramesDetector,
    track_faces,
)
from mien.faces.video import Frame, Video, load_av
from mien.inference.persons import NO_EXPRESSIONS, Track, TrackSummary
from mien.inference.predictor import Predictor
from mien.inference.severity import ClipReader, SeverityPredictor
from mien.models import ModelInfo, SeverityInfo
from mien.schema import Face, MienError, Prediction, Status

RATE = 5.0
"""Frames a second that are looked at, unless said otherwise."""

OnFrame = Callable[[Frame, list[Prediction]], None]
"""Hears of each frame that was looked at, with its predictions."""


@dataclass(frozen=True, eq=False)
class VideoReading:
    """What was found in one video: a summary a track, and how many frames were looked at.

    ``status`` is ``unreadable`` for a file that could not be opened, ``no-face`` where no frame
    had one; ``reason`` says why. ``damage`` is what is wrong with a file of which a part was read;
    it is in the reason as well. ``expressions`` and ``severity`` say what the models are, and the
    latter what it must not be used for.
    """

    source: str
    status: Status
    reason: str
    frames: int = 0
    seconds: float = 0.0
    without_face: int = 0
    tracks: tuple[TrackSummary, ...] = ()
    damage: str = ""
    expressions: ModelInfo | None = None
    severity: SeverityInfo | None = None


def predict_video(
    source: str | os.PathLike[str],
    *,
    predictor: Predictor | None = None,
    severity: SeverityPredictor | None = None,
    rate: float = RATE,
    detector: FramesDetector | None = None,
    on_frame: OnFrame | None = None,
    on_other: Callable[[Frame], None] | None = None,
) -> VideoReading:
    """Read a video: expressions of its frames by ``predictor``, severity of clips, or both.

    Parameters
    ----------
    source
        A video file. One that cannot be read gives a reading with its reason, no error.
    predictor, severity
        At least one of them.
    rate
        Frames a second to look at; more where ``severity`` was trained on more.
    detector
        MediaPipe's, in its mode for video, unless one is given.
    on_frame
        Receives each frame that was looked at with its predictions, by ``track``; a frame without
        a face has one of status ``no-face``.
    on_other
        Receives the frames in between, which then are all made pictures of.

    Frames are dropped when they were read, crops when their clip was. Raises
    :class:`~mien.schema.MienError` for a model that gives NaN and where the package av is missing.
    """
    if predictor is None and severity is None:
        raise ValueError("expected a predictor of expressions, of severity, or both")
    if not rate > 0:
        raise MienError(f"expected a rate above 0 frames a second, got {rate:g}")
    load_av()
    name = os.fsdecode(source)
    rate = max(rate, (severity and severity.frames_a_second) or 0.0)
    reader = _Reader(name, predictor, severity, rate)
    try:
        video = Video(source)
    except MienError as error:
        return reader.reading(str(error))
    with ExitStack() as stack:
        stack.enter_context(video)
        if detector is None:
            detector = stack.enter_context(MediaPipeFramesDetector())
        for frame, faces, _ in track_faces(_looks(video, rate, on_other), detector):
            predictions = reader.read(frame, faces)
            if on_frame is not None:
                on_frame(frame, predictions)
    return reader.reading(video.damage)


def _looks(video: Video, rate: float, on_other: Callable[[Frame], None] | None) -> Iterator[Frame]:
    """The first frame of each ``1 / rate`` seconds; those in between go to ``on_other``."""
    if on_other is None:
        yield from video.frames(fps=rate)
        return
    slot = -1
    for frame in video.frames():
        place = math.floor(frame.time * rate + 1e-6)
        if place > slot:
            slot = place
            yield frame
        else:
            on_other(frame)


class _Reader:
    """Adds up what the frames of one video show."""

    def __init__(
        self,
        source: str,
        predictor: Predictor | None,
        severity: SeverityPredictor | None,
        rate: float,
    ) -> None:
        self._source, self._rate = source, rate
        self._predictor, self._severity = predictor, severity
        self._tracks: dict[int, Track] = {}
        self._before: tuple[float, list[Prediction]] | None = None
        self._step = 1 / rate
        self._frames = self._without = 0

    def read(self, frame: Frame, faces: list[tuple[int, Face]]) -> list[Prediction]:
        """The predictions of a frame, each added to its track."""
        self._frames += 1
        self._without += not faces
        before = None if self._before is None else self._before[0]
        if before is not None:
            self._step = frame.time - before
            self._count(self._step)
        found = self._predictions(frame, faces)
        for (number, face), prediction in zip(faces, found, strict=True):
            if number not in self._tracks:
                clips = None if self._severity is None else ClipReader(self._severity, number)
                self._tracks[number] = Track(number, frame.time, clips, 1 / self._rate)
            track = self._tracks[number]
            if track.clips is not None and track.clips.wants(frame.time):
                self._add_to_clip(track.clips, frame, face, track.end == before)
            track.see(frame.time, prediction)
        for track in self._tracks.values():
            # The track of a person who was away for that long has ended.
            if track.clips is not None and track.end < min(before or 0, frame.time - GAP_SECONDS):
                track.clips.close()
        self._before = frame.time, found
        return found or [_nothing(frame, self._source)]

    def reading(self, damage: str) -> VideoReading:
        """What was found in all, where the file had this ``damage``."""
        if self._before is not None:
            # The last frame stays for as long as the one before it.
            self._count(self._step)
        seconds = 0.0 if self._before is None else self._before[0] + self._step
        tracks = tuple(
            track.summary(self._source, seconds, self._names, self._severity)
            for _, track in sorted(self._tracks.items())
        )
        reason, status = damage, Status.OK
        if not self._frames:
            reason = damage or f"expected a video, got no frames in {self._source!r}"
            status = Status.UNREADABLE
        elif not tracks:
            reason, status = f"{NO_FACE} in {self._frames} frames", Status.NO_FACE
        if damage and self._frames:
            reason = f"{damage}; what came before was read" if tracks else f"{reason}; {damage}"
        return VideoReading(
            self._source,
            status,
            reason,
            self._frames,
            seconds,
            self._without,
            tracks,
            damage,
            None if self._predictor is None else self._predictor.info,
            None if self._severity is None else self._severity.info,
        )

    @property
    def _names(self) -> tuple[str, ...]:
        return () if self._predictor is None else self._predictor.info.label_space.names

    def _count(self, seconds: float) -> None:
        """Let the frame that was looked at last have been there for ``seconds``."""
        time, found = self._before or (0.0, [])
        for prediction in found:
            if prediction.track is not None:
                self._tracks[prediction.track].count(time, seconds, prediction)

    def _predictions(self, frame: Frame, faces: list[tuple[int, Face]]) -> list[Prediction]:
        found: list[Prediction | None] = []
        crops = []
        for _, face in faces:
            reason = NO_EXPRESSIONS
            if self._predictor is not None:
                try:
                    crops.append(self._predictor.crop_face(frame.pixels, face))
                    found.append(None)
                    continue
                except ValueError as error:
                    reason = f"face not aligned: {error}"
            found.append(Prediction(Status.ABSTAINED, reason=reason, face=face))
        # One run for all faces of a frame; larger batches are no faster on a CPU.
        read = iter(self._predictor.predict_faces(crops) if self._predictor else ())
        return [
            replace(
                one or next(read),
                source=self._source,
                frame=frame.index,
                time=frame.time,
                index=place,
                track=number,
            )
            for place, (one, (number, _)) in enumerate(zip(found, faces, strict=True))
        ]

    def _add_to_clip(self, clips: ClipReader, frame: Frame, face: Face, went_on: bool) -> None:
        recipe = clips.preprocessing
        try:
            crop = cut_face(frame.pixels, face, recipe).crop
        except ValueError:  # landmarks that all coincide: no frame of a clip, as in training
            return
        clips.add(frame.time, crop, went_on=went_on)


def _nothing(frame: Frame, source: str) -> Prediction:
    return Prediction(
        Status.NO_FACE, source=source, reason=NO_FACE, frame=frame.index, time=frame.time
    )
