"""Sources -> rows -> sinks: photos, videos and folders in, tables and annotated pictures out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from mien.errors import MienError
from mien.faces.video import Frame, load_av
from mien.inference.drawing.timeline import plot_timeline, require_matplotlib
from mien.inference.inputs.sources import ADDRESS, Source, find_sources, has_videos, is_address
from mien.inference.inputs.unused import refuse_unused
from mien.inference.inputs.watching import FileState, watch
from mien.inference.model import OnnxModel, open_models
from mien.inference.photos import PhotoReader, Reading
from mien.inference.predictor import Predictor
from mien.inference.rows import Entry, Rows
from mien.inference.sinks import (
    AnnotatedFolder,
    Sink,
    json_sink,
    line_sink,
    print_json,
    progress,
)
from mien.inference.tables import checked_schema
from mien.inference.videos import FPS, EachFrame, predict_video
from mien.inference.work.folder import Plan, Shard
from mien.inference.work.journal import Finished
from mien.inference.work.merging import Totals, merge_shards
from mien.inference.work.settings import detector_settings, model_settings
from mien.inference.work.table import Item, TableWork, table_work
from mien.schema import Prediction, Status

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

PathLike = str | os.PathLike[str]


class Watched(NamedTuple):
    """How long to go on: until nothing was new for ``idle`` seconds, or without end."""

    idle: float | None = None


_NO_MODEL_OF_FACES = "expected a video for a model of clips, got a photo; add --model fer"


@dataclass(frozen=True)
class Summary:
    """What was predicted: rows by status, inputs, and the places that were written to.

    ``incomplete`` counts the inputs that could not be read, or not to their end. ``uses`` are the
    statements of use that go with the rows, ``notes`` say which inputs a shard took and which had
    been read before, and ``table`` says what the columns are, where rows were made.
    """

    rows: dict[str, int]
    photos: int
    videos: int
    incomplete: int
    places: tuple[str, ...]
    uses: tuple[str, ...]
    notes: tuple[str, ...] = ()
    table: Rows | None = None

    @property
    def sentence(self) -> str:
        """What was written where, and what it may be used for; empty where there is nothing."""
        lines = [*self.notes, *self.uses]
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
    abstain_below: float | None = None,
    blendshapes: bool = False,
    whole: bool = False,
    lists: Sequence[PathLike] = (),
    watched: Watched | None = None,
    resume: bool = False,
    shard: Shard | None = None,
    threads: int | None = None,
    lines: TextIO | None = None,
    json: TextIO | None = None,
    keep: list[Entry] | None = None,
) -> Summary:
    """Predict files and folders, and write the rows, and annotated pictures, as they come.

    Parameters
    ----------
    inputs
        Photos, videos, folders, patterns, or ``-`` for a list on standard input. Folders are
        searched for videos as well when a video is named, ``rows`` or a model of clips is given,
        or a folder contains videos only.
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
    abstain_below
        The confidence in an expression below which models abstain; None for their own, 0 for
        never.
    blendshapes
        Add the column ``blendshapes`` to rows of frames.
    whole
        Decode large JPEGs in full, rather than at the resolution that their faces need.
    lists
        Files with further paths.
    watched
        Go on with what is added to the folders among the inputs.
    resume
        Go on where an earlier run with these settings has ended.
    shard
        Read only every N-th input; :func:`~mien.inference.work.merging.merge_shards` joins them.
    threads
        How many photos are read at a time; one per core unless a number is given.
    lines, json
        Streams for one line per row, or for the rows as one JSON array.
    keep
        A list that gets the rows as entries.

    Every input gives at least one row. Memory does not grow with the number of inputs or the
    length of a video. The table appears under its name when it is whole; until then its rows are
    in the folder ``OUT.partial``, which an error or an interrupt leaves for ``resume``. When
    somebody interrupts watching, the table is completed before ``KeyboardInterrupt`` passes.
    Raises :class:`~mien.errors.MienError` where something cannot be written or a package is
    missing, for addresses, for an ``annotate`` folder that contains inputs, for settings that
    none of the inputs is read by, and for work that was begun with other settings.
    """
    paths = [_path(each) for each in inputs]
    _check(paths, out, watched, resume, shard)
    videos = rows is not None or has_videos(paths)
    faces, clips = open_models(
        models, threads=threads if videos else 1, abstain_below=abstain_below
    )
    videos = videos or clips is not None
    refuse_unused(
        paths,
        videos=videos,
        lists=bool(lists) or watched is not None,
        fps=fps,
        of_photos={"--tight": tight, "--max-pixels": bool(max_pixels), "--whole": whole},
        tight=tight,
        detects=detector is not None,
        partial=faces is not None and faces.info.preprocessing.partial_image != "full",
    )
    fps = FPS if fps is None else fps
    table = Rows(
        rows or ("summary" if videos else "frames"),
        None if faces is None else faces.info,
        None if clips is None else clips.info,
        blendshapes=blendshapes,
    )
    if videos:
        load_av()
        if annotate is not None:
            require_matplotlib()
    folder = None if annotate is None else AnnotatedFolder(annotate, paths, max_pixels)
    with ExitStack() as stack:
        work = None
        if out is not None:
            settings = {
                "model": model_settings(models),
                "rows": table.kind,
                "fps": fps,
                "tight": tight,
                "whole": whole,
                "max_pixels": max_pixels,
                "abstain_below": abstain_below,
                "blendshapes": blendshapes,
                "detector": detector_settings(detector),
                "annotate": None if folder is None else os.fspath(folder.path.absolute()),
            }
            plan = Plan(settings, shard, checked_schema(out, table))
            work = stack.enter_context(table_work(Path(out), plan, resume=resume))
        sinks: list[Sink] = [] if keep is None else [keep.extend]
        if lines is not None:
            sinks.append(line_sink(lines, table))
        if json is not None and work is None:
            sinks.append(stack.enter_context(json_sink(json, table)))
        predictor, reader = None, None
        if faces is not None:
            predictor = stack.enter_context(Predictor(faces, detector=detector))
            reader = stack.enter_context(
                PhotoReader(predictor, Reading(tight, max_pixels, whole, threads))
            )
        advance = stack.enter_context(progress(shown=lines is None and json is None))
        pipeline = _Pipeline(
            predictor, reader, clips, fps, table, folder, detector, sinks, advance, work
        )
        interrupted = False
        try:
            pipeline.read(_items(paths, lists, videos, watched, work, pipeline))
        except KeyboardInterrupt:
            if watched is None:
                raise
            interrupted = True
        places = () if work is None else (work.publish(),)
        if json is not None and work is not None:
            print_json(json, work.rows())
        notes = () if work is None else tuple(work.notes)
    summary = Summary(
        rows={each.value: count for each in Status if (count := pipeline.totals.rows[each])},
        photos=pipeline.totals.photos,
        videos=pipeline.totals.videos,
        incomplete=pipeline.totals.incomplete,
        places=tuple(os.fspath(place) for place in (*places, annotate) if place is not None),
        uses=tuple(pipeline.totals.uses),
        notes=notes,
        table=table,
    )
    if interrupted:
        raise KeyboardInterrupt("; ".join(filter(None, ["interrupted", summary.sentence])))
    return summary


def merge(out: PathLike) -> Summary:
    """Join the shards of a table into it, and say what it holds; see :func:`merge_shards`."""
    totals = merge_shards(Path(out))
    return Summary(
        rows={each.value: count for each in Status if (count := totals.rows[each])},
        photos=totals.photos,
        videos=totals.videos,
        incomplete=totals.incomplete,
        places=(os.fspath(out),),
        uses=tuple(totals.uses),
    )


def _check(
    paths: Sequence[str],
    out: PathLike | None,
    watched: Watched | None,
    resume: bool,
    shard: Shard | None,
) -> None:
    for path in paths:
        if is_address(path):
            raise MienError(f"{ADDRESS}: {path}")
    if out is None and (resume or shard is not None):
        option = "--resume" if resume else "--shard"
        raise MienError(f"expected --out with {option}, got no table; name one with --out")
    if watched is None:
        return
    if shard is not None:
        raise MienError(
            "expected either --watch or --shard, got both; a folder that grows has no fixed parts"
        )
    if not any(os.path.isdir(path) for path in paths):
        raise MienError("expected a folder to watch, got none; name one")


def _items(
    paths: Sequence[str],
    lists: Sequence[PathLike],
    videos: bool,
    watched: Watched | None,
    work: TableWork | None,
    pipeline: _Pipeline,
) -> Iterator[Item | None]:
    """The inputs in order; those of an earlier run first where a folder is watched."""
    sources: Iterable[Source | None]
    if watched is None:
        sources = find_sources(paths, lists=lists, videos=videos)
    else:
        read: dict[str, FileState] = {}
        for item in [] if work is None else work.earlier_items():
            if item.state is not None:
                read[item.source.path] = item.state
            pipeline.picture_of(item.source)
            yield item
        sources = watch(paths, lists=lists, videos=videos, idle=watched.idle, read=read)
    if work is not None:
        yield from work.items(sources, pipeline.picture_of)
        return
    for number, source in enumerate(sources):
        yield None if source is None else Item(number, source, pipeline.picture_of(source))


@dataclass
class _Pipeline:
    """Reads one input after the other into the sinks and the table, and counts."""

    predictor: Predictor | None
    reader: PhotoReader | None
    clip_model: OnnxModel | None
    fps: float
    table: Rows
    folder: AnnotatedFolder | None
    detector: Detector | None
    sinks: Sequence[Sink]
    advance: Callable[[], None]
    work: TableWork | None
    totals: Totals = field(default_factory=Totals)
    _statuses: Counter[str] = field(default_factory=Counter)
    _uses: dict[str, None] = field(default_factory=dict)

    def read(self, items: Iterable[Item | None]) -> None:
        """Predict, draw and write all items."""

        def is_video(item: Item | None) -> bool:
            return item is not None and item.source.video

        for video, group in groupby(items, is_video):
            if not video:
                self._read_photos(group)
                continue
            for item in group:
                if item is not None and item.earlier is None:
                    self._read_video(item)
                elif item is not None:
                    self._repeat(item)

    def picture_of(self, source: Source) -> str:
        """Reserve the name of a source's annotated picture; called once for each, in order."""
        if self.folder is None:
            return ""
        return self.folder.free_name(source.path, video=source.video)

    def _read_photos(self, items: Iterable[Item | None]) -> None:
        for item, predictions in self._photos(items):
            if item.earlier is not None:
                self._repeat(item)
                continue
            if self.folder is not None and self.predictor is not None:
                self.folder.draw_photo(predictions, item.picture)
            self._write(self.table.of_photo(predictions))
            self.advance()
            self._finish(item, incomplete=predictions[0].status is Status.UNREADABLE)

    def _read_video(self, item: Item) -> None:
        path, drawn = item.source.path, None
        with ExitStack() as stack:
            if self.folder is not None:
                drawn = stack.enter_context(self.folder.draw_video(item.picture))

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
                detector=None if self.detector is None else EachFrame(self.detector),
                on_frame=on_frame,
                on_skipped=None if drawn is None else drawn.skip,
            )
        if drawn is not None:
            plot_timeline(video, drawn.path.with_suffix(".timeline.png"))
        self._write(self.table.of_video(video))
        self._finish(item, incomplete=video.incomplete)

    def _photos(self, items: Iterable[Item | None]) -> Iterator[tuple[Item, list[Prediction]]]:
        if self.reader is None:
            return ((item, [_not_read(item.source)]) for item in items if item is not None)
        return self.reader.predict(map(_work_of, items))

    def _write(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._statuses[entry.prediction.status.value] += 1
            if entry.prediction.use:
                self._uses[entry.prediction.use] = None
        for sink in self.sinks:
            sink(entries)
        if self.work is not None:
            self.work.journal.add_rows([self.table.row(entry) for entry in entries])

    def _finish(self, item: Item, *, incomplete: bool) -> None:
        finished = Finished(
            item.number,
            item.source.path,
            item.source.video,
            item.state,
            dict(self._statuses),
            incomplete,
            list(self._uses),
        )
        self._statuses.clear()
        self._uses.clear()
        self.totals.add(finished)
        if self.work is not None:
            self.work.journal.finish(finished)

    def _repeat(self, item: Item) -> None:
        if item.earlier is not None and self.work is not None:
            self.totals.add(item.earlier)
            self.work.journal.repeat(item.number, item.earlier)
            self.advance()


def _work_of(item: Item | None) -> tuple[Item, Source | None] | None:
    if item is None:
        return None
    return item, item.source if item.earlier is None else None


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
