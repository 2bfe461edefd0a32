"""Sources -> rows -> sinks: photos, videos and folders in, tables and annotated pictures out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, TextIO

from mien.faces.video import Frame, load_av
from mien.inference.drawing.timeline import plot_timeline, require_matplotlib
from mien.inference.model import OnnxModel, open_models
from mien.inference.photos import predict_photos
from mien.inference.predictor import Predictor
from mien.inference.rows import Entry, Rows
from mien.inference.sinks import AnnotatedFolder, Sink, json_sink, line_sink, progress, table_sink
from mien.inference.sources import Source, find_sources, has_videos, only_videos
from mien.inference.videos import FPS, predict_video
from mien.schema import Face, MienError, Prediction, Status, UInt8Array

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

PathLike = str | os.PathLike[str]
_NO_MODEL_OF_FACES = "expected a video for a model of clips, got a photo; add --model fer"


@dataclass(frozen=True)
class Summary:
    """What was predicted: rows by status, inputs, and the places that were written to.

    ``incomplete`` counts the inputs that could not be read, or not to their end. ``uses`` are the
    statements of use that go with the rows, and ``table`` says what their columns are.
    """

    rows: dict[str, int]
    photos: int
    videos: int
    incomplete: int
    places: tuple[str, ...]
    uses: tuple[str, ...]
    table: Rows

    @property
    def sentence(self) -> str:
        """What was written where, and what it may be used for; empty where there is nothing."""
        lines = list(self.uses)
        if self.places:
            counts = ", ".join(f"{count} {status}" for status, count in self.rows.items())
            lines.insert(0, f"{counts or 'no rows'}; written to {' and '.join(self.places)}")
        return "\n".join(lines)


def write_predictions(
    inputs: Iterable[PathLike],
    *,
    models: Sequence[PathLike | OnnxModel] = ("fer",),
    out: PathLike | None = None,
    annotate: PathLike | None = None,
    rows: str | None = None,
    fps: float | None = None,
    tight: bool = False,
    detector: Detector | None = None,
    max_pixels: int | None = None,
    lines: TextIO | None = None,
    json: TextIO | None = None,
    keep: list[Entry] | None = None,
) -> Summary:
    """Predict files and folders, and write the rows, and annotated pictures, as they come.

    Parameters
    ----------
    inputs
        Photos, videos, folders, or ``-`` for a list on standard input. Folders are searched for
        videos as well when a video is named, ``rows`` or a model of clips is given, or a folder
        contains videos only.
    models
        At most one model of faces and one of clips; names of shipped models or ONNX files.
    out
        The table's file: .csv, .parquet or .jsonl.
    annotate
        A folder for one annotated picture per readable photo, and NAME.mp4 and NAME.timeline.png
        per video.
    rows
        One row per person of a video (``summary``), face (``frames``) or clip (``clips``). The
        default is ``summary`` where videos are read, else ``frames``.
    fps
        Frames per second of a video to read (default: 5).
    tight
        Photos are tight crops; videos are not affected.
    detector
        For photos and for the frames of videos; mien's own unless one is given.
    max_pixels
        Photos with more are unreadable; 120 million unless a number is given.
    lines, json
        Streams for one line per row, or for the rows as one JSON array.
    keep
        A list that gets the rows as entries.

    Every input gives at least one row. Memory does not grow with the number of inputs or the
    length of a video. Raises :class:`~mien.schema.MienError` where something cannot be written or
    a package is missing, for an ``annotate`` folder that contains inputs, and for settings that
    none of the inputs is read by.
    """
    paths = [_path(each) for each in inputs]
    faces, clips = open_models(models)
    videos = rows is not None or clips is not None or has_videos(paths)
    _refuse_unused(
        paths, faces, videos=videos, fps=fps, tight=tight, detector=detector, max_pixels=max_pixels
    )
    table = Rows(
        rows or ("summary" if videos else "frames"),
        None if faces is None else faces.info,
        None if clips is None else clips.info,
    )
    if videos:
        load_av()
        if annotate is not None:
            require_matplotlib()
    folder = None if annotate is None else AnnotatedFolder(annotate, paths, max_pixels)
    with ExitStack() as stack:
        sinks: list[Sink] = [] if keep is None else [keep.extend]
        if out is not None:
            sinks.append(stack.enter_context(table_sink(out, table)))
        if json is not None:
            sinks.append(stack.enter_context(json_sink(json, table)))
        if lines is not None:
            sinks.append(line_sink(lines, table))
        predictor = None
        if faces is not None:
            predictor = stack.enter_context(Predictor(faces, detector=detector))
        advance = stack.enter_context(progress(shown=lines is None and json is None))
        pipeline = _Pipeline(
            predictor,
            clips,
            FPS if fps is None else fps,
            table,
            folder,
            detector,
            sinks,
            advance,
            max_pixels,
        )
        for video, sources in groupby(find_sources(paths, videos=videos), lambda each: each.video):
            if not video:
                pipeline.read_photos(sources, tight=tight)
            for source in sources if video else ():
                pipeline.read_video(source.path)
    return Summary(
        rows={each.value: count for each in Status if (count := pipeline.counts[each])},
        photos=pipeline.photos,
        videos=pipeline.videos,
        incomplete=pipeline.incomplete,
        places=tuple(os.fspath(place) for place in (out, annotate) if place is not None),
        uses=tuple(pipeline.uses),
        table=table,
    )


def _refuse_unused(
    paths: Sequence[str],
    faces: OnnxModel | None,
    *,
    videos: bool,
    fps: float | None,
    tight: bool,
    detector: Detector | None,
    max_pixels: int | None,
) -> None:
    """Raise :class:`MienError` for settings that would change nothing about these inputs."""
    if fps is not None and not videos:
        raise MienError(
            "expected a video for --fps, got photos; leave it out, or say with --rows summary that "
            "videos are searched for"
        )
    of_photos = {"--tight": tight, "--max-pixels": max_pixels is not None}
    given = [name for name, value in of_photos.items() if value]
    if given and all(map(only_videos, paths)):
        it = "it" if len(given) == 1 else "them"
        raise MienError(f"expected photos for {' and '.join(given)}, got videos; leave {it} out")
    whole = faces is None or faces.info.preprocessing.partial_image == "full"
    if tight and detector is not None and whole and not videos:
        raise MienError(
            "expected either --tight or a detector, got both: no face is detected in tight crops; "
            "leave one out"
        )


class _EachFrame:
    """A detector of photos for the frames of a video."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        return self._detector(image)


@dataclass
class _Pipeline:
    """Reads one source after the other into the sinks, and counts."""

    predictor: Predictor | None
    clip_model: OnnxModel | None
    fps: float
    table: Rows
    folder: AnnotatedFolder | None
    detector: Detector | None
    sinks: Sequence[Sink]
    advance: Callable[[], None]
    max_pixels: int | None
    counts: Counter[Status] = field(default_factory=Counter)
    uses: dict[str, None] = field(default_factory=dict)
    photos: int = 0
    videos: int = 0
    incomplete: int = 0

    def read_photos(self, sources: Iterable[Source], *, tight: bool) -> None:
        """Predict, draw and write photos."""
        for predictions in self._photos(sources, tight):
            self.photos += 1
            self.incomplete += predictions[0].status is Status.UNREADABLE
            if self.folder is not None and self.predictor is not None:
                self.folder.draw_photo(predictions)
            self._write(self.table.of_photo(predictions))
            self.advance()

    def read_video(self, path: str) -> None:
        """Predict, draw and write one video."""
        drawn = None
        with ExitStack() as stack:
            if self.folder is not None:
                drawn = stack.enter_context(self.folder.draw_video(path))

            def on_frame(frame: Frame, predictions: list[Prediction]) -> None:
                if drawn is not None:
                    drawn.add(frame, predictions)
                self._write(self.table.of_frame(predictions))
                self.advance()

            video = predict_video(
                path,
                predictor=self.predictor,
                clip_model=self.clip_model,
                fps=self.fps,
                detector=None if self.detector is None else _EachFrame(self.detector),
                on_frame=on_frame,
                on_skipped=None if drawn is None else drawn.skip,
            )
        if drawn is not None:
            plot_timeline(video, drawn.path.with_suffix(".timeline.png"))
        self.videos += 1
        self.incomplete += video.incomplete
        self._write(self.table.of_video(video))

    def _photos(self, sources: Iterable[Source], tight: bool) -> Iterator[list[Prediction]]:
        if self.predictor is not None:
            return predict_photos(self.predictor, sources, tight=tight, max_pixels=self.max_pixels)
        return ([_not_read(source)] for source in sources)

    def _write(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.counts[entry.prediction.status] += 1
            if entry.prediction.use:
                self.uses[entry.prediction.use] = None
        for sink in self.sinks:
            sink(entries)


def _path(given: PathLike) -> str:
    if not isinstance(given, str | os.PathLike):
        raise MienError(
            f"expected paths of photos, videos or folders, got {type(given).__name__}; for an "
            "image in memory use mien.load()(image)"
        )
    return os.fsdecode(given)


def _not_read(source: Source) -> Prediction:
    if source.fault:
        return Prediction(Status.UNREADABLE, source.path, source.fault)
    return Prediction(Status.ABSTAINED, source.path, _NO_MODEL_OF_FACES)
