"""A video in, what each person in it shows over time out, in memory that does not grow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mien.faces.align import cut_face
from mien.faces.tracks import NO_FACE, FramesDetector, MediaPipeFramesDetector, track_faces
from mien.faces.video import Frame, Video
from mien.inference.predictor import Predictor
from mien.inference.severity import Score, SeverityPredictor
from mien.schema import Face, MienError, Prediction, Status, UInt8Array

RATE = 5.0
"""Frames a second that are looked at, unless said otherwise."""

OnFrame = Callable[[Frame, list[Prediction]], None]
"""Hears of each frame that was looked at, with its predictions."""


class ClipScore(NamedTuple):
    """The severity of one clip of a track, from ``start`` to ``end`` in seconds."""

    track: int
    start: float
    end: float
    severity: float


@dataclass
class TrackSummary:
    """What one person shows in a video.

    ``start`` and ``end`` in seconds; ``frames`` that were looked at while the track went on and
    ``usable`` those with this face, ``share`` the latter's share of all frames looked at in the
    video. ``shares`` are the mean probabilities over usable frames, each counted by the time until
    the next, and sum to one; ``expression`` is the largest. ``valence`` and ``arousal`` are means
    alike. ``severity`` is None with a ``reason``, or where no model gives one.
    """

    source: str
    track: int
    start: float
    end: float
    usable: int = 0
    share: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    expression: str | None = None
    valence: float | None = None
    arousal: float | None = None
    severity: Score | None = None
    clips: tuple[ClipScore, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class VideoReading:
    """What was found in one video: a summary a track, and how many frames were looked at.

    ``status`` is ``unreadable`` for a file that could not be opened, ``no-face`` where no frame
    had one; ``reason`` says why. ``damage`` is what is wrong with a file of which a part was read;
    it is in the reason as well.
    """

    source: str
    status: Status
    reason: str
    frames: int = 0
    seconds: float = 0.0
    without_face: int = 0
    tracks: tuple[TrackSummary, ...] = ()
    damage: str = ""


def predict_video(
    source: str | os.PathLike[str],
    *,
    predictor: Predictor | None = None,
    severity: SeverityPredictor | None = None,
    rate: float = RATE,
    detector: FramesDetector | None = None,
    on_frame: OnFrame | None = None,
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
        Receives each frame with its predictions, ``index`` being the number of the track; a frame
        without a face has one of status ``no-face``.

    Frames are dropped when they were read, crops when their clip was.
    """
    if predictor is None and severity is None:
        raise ValueError("expected a predictor of expressions, of severity, or both")
    if not rate > 0:
        raise MienError(f"expected a rate above 0 frames a second, got {rate:g}")
    name = os.fsdecode(source)
    needed = None if severity is None else severity.frames_a_second
    rate = max(rate, needed or 0.0)
    own = None if detector is not None else MediaPipeFramesDetector()
    tracks: dict[int, _Track] = {}
    frames = without = 0
    last = 0.0
    try:
        with Video(source) as video:
            for tracked in track_faces(video.frames(rate=rate), detector or own or _never()):
                frames += 1
                last = tracked.frame.time
                without += not tracked.faces
                found = [
                    _see(tracks, tracked.frame, number, face, name, predictor, severity, rate)
                    for number, face in tracked.faces
                ]
                if on_frame is not None:
                    on_frame(tracked.frame, found or [_nothing(tracked.frame, name)])
            damage = video.damage
    except MienError as error:
        return VideoReading(name, Status.UNREADABLE, str(error))
    finally:
        if own is not None:
            own.close()
    summaries = tuple(
        track.summary(name, number, frames, severity) for number, track in sorted(tracks.items())
    )
    seconds = last + 1 / rate if frames else 0.0
    reason, status = damage, Status.OK
    if not frames:
        reason, status = damage or "expected a video, got one without frames", Status.UNREADABLE
    elif not summaries:
        reason, status = f"{NO_FACE} in {frames} frames", Status.NO_FACE
    if damage and frames:
        reason = f"{damage}; what came before was read" if summaries else f"{reason}; {damage}"
    return VideoReading(name, status, reason, frames, seconds, without, summaries, damage)


def _never() -> FramesDetector:
    raise RuntimeError("expected a detector")


def _nothing(frame: Frame, source: str) -> Prediction:
    return Prediction(
        Status.NO_FACE, source=source, reason=NO_FACE, frame=frame.index, time=frame.time
    )


class _Track:
    """What is added up of one person; crops are held for the open clip only."""

    def __init__(self, start: float, length: int) -> None:
        self.start = self.end = start
        self.usable = 0
        self.sums: dict[str, float] = {}
        self.affect = np.zeros(2)
        self.weight = self.affect_weight = 0.0
        self.crops: deque[tuple[float, UInt8Array]] = deque(maxlen=length)
        self.slot = -1
        self.scores: list[ClipScore] = []

    def add(self, prediction: Prediction, weight: float) -> None:
        """Count an expression for ``weight`` seconds."""
        if prediction.probabilities:
            for name, value in prediction.probabilities.items():
                self.sums[name] = self.sums.get(name, 0.0) + weight * value
            self.weight += weight
        if prediction.valence is not None and prediction.arousal is not None:
            self.affect += weight * np.array([prediction.valence, prediction.arousal])
            self.affect_weight += weight

    def summary(
        self, source: str, number: int, frames: int, severity: SeverityPredictor | None
    ) -> TrackSummary:
        shares = {name: value / self.weight for name, value in self.sums.items()}
        found = TrackSummary(
            source,
            number,
            self.start,
            self.end,
            usable=self.usable,
            share=self.usable / frames,
            shares=shares,
            expression=max(shares, key=shares.__getitem__) if shares else None,
        )
        if self.affect_weight:
            found.valence, found.arousal = (self.affect / self.affect_weight).tolist()
        if severity is not None:
            found.clips = tuple(self.scores)
            if self.scores:
                found.severity = severity.score([clip.severity for clip in self.scores])
            else:
                length = severity.info.clips.length
                held = len(self.crops)
                found.reason = f"too short for severity: {held} of the {length} frames of a clip"
        return found


def _see(
    tracks: dict[int, _Track],
    frame: Frame,
    number: int,
    face: Face,
    source: str,
    predictor: Predictor | None,
    severity: SeverityPredictor | None,
    rate: float,
) -> Prediction:
    """One face of one frame, into its track."""
    length = 0 if severity is None else severity.info.clips.length
    track = tracks.setdefault(number, _Track(frame.time, length))
    # The time since the last look, of which a gap is no part.
    weight = min(frame.time - track.end, 2 / rate) if track.usable else 1 / rate
    track.end, track.usable = frame.time, track.usable + 1
    if predictor is None:
        prediction = Prediction(
            Status.ABSTAINED, source=source, reason="no model of expressions", face=face
        )
    else:
        [prediction] = predictor.predict_faces(
            [predictor.crop_face(frame.pixels, face)], source=source
        )
    prediction = replace(prediction, frame=frame.index, time=frame.time, index=number)
    track.add(prediction, max(weight, 1e-3))
    if severity is not None:
        _clip(track, frame, number, face, severity)
    return prediction


def _clip(
    track: _Track, frame: Frame, number: int, face: Face, severity: SeverityPredictor
) -> None:
    """Add a frame to the open clip, at the rate the model was trained on; score a full one."""
    needed = severity.frames_a_second
    slot = int((frame.time - track.start) * needed + 1e-6) if needed else track.slot + 1
    if slot <= track.slot:
        return
    track.slot = slot
    crop = cut_face(frame.pixels, face, severity.info.preprocessing).crop
    track.crops.append((frame.time, crop))
    if len(track.crops) == severity.info.clips.length:
        clip = np.stack([crop for _, crop in track.crops])[None]
        value = float(severity.predict_clips(clip)[0])
        track.scores.append(ClipScore(number, track.crops[0][0], frame.time, value))
        track.crops.clear()
