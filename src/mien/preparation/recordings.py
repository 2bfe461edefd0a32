"""Recordings -> frames -> faces -> crops: the work on one video, which becomes a part file."""

from __future__ import annotations

import contextlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from mien.corpora.items import LeftOut, VideoItem
from mien.data.dataset import FACES_SCHEMA
from mien.errors import MienError
from mien.faces.align import cut_face
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.tracks import NO_FACE, track_faces
from mien.faces.video import Video
from mien.files import temporary_sibling
from mien.preparation.cropping import Entry
from mien.preparation.parts import part_schema, write_part_file
from mien.preparation.workers import Stopped
from mien.schema import Preprocessing

OTHERS_ONLY, NOT_ALIGNED = "another person only", "face not aligned"
FRAME_REASONS = (NO_FACE, OTHERS_ONLY, NOT_ALIGNED)
"""Why a frame is left out of a recording that is a part of the dataset."""
_BATCH = 64

LeftOutRow = tuple[str, str, str]


class _Recording(NamedTuple):
    """The result of one recording: the track of its main person, rows left out, and counts."""

    main: int | None
    left_out: list[LeftOutRow]
    counts: dict[str, Any]


class VideoCropper:
    """Turns recordings into part files; see :class:`mien.preparation.workers.PartWriter`.

    Of several people in a recording, the one seen for the longest time is kept, the first of
    them on a tie. Each sampled frame becomes a row or is left out with a reason. The main person
    is only known at the end of a recording, so the crops of everybody are buffered in a file
    beside the part and memory does not grow with the recording.
    """

    def __init__(
        self,
        corpus: str,
        preprocessing: Preprocessing,
        fields: Sequence[pa.Field],
        fps: float | None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._corpus, self._preprocessing, self._fps = corpus, preprocessing, fps
        self._stopped = stopped
        self._detector: VideoFaceDetector | None = None
        self._schema = part_schema(preprocessing, fields)
        self._extra = [field.name for field in fields]

    def close(self) -> None:
        """Release the detector."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def write_part(self, entries: Sequence[Entry], path: Path) -> None:
        """Crop the frames of ``entries`` into the part file ``path``, atomically."""
        left_out: list[LeftOutRow] = []
        videos: dict[str, dict[str, Any]] = {}
        with _Buffer(path, self._schema) as buffer:
            for entry in entries:
                if isinstance(entry, LeftOut):
                    left_out.append((entry.id, entry.source, entry.reason))
                    continue
                if not isinstance(entry, VideoItem):
                    raise TypeError("expected recordings, got an image")
                try:
                    recording = self._read(entry, buffer)
                except MienError as error:
                    buffer.choose(None)
                    left_out.append((entry.id, entry.source, f"video unreadable: {error}"))
                    continue
                buffer.choose(recording.main)
                left_out += recording.left_out
                videos[entry.id] = recording.counts
            about = {
                "left_out": left_out,
                "several_faces": sum(counts["tracks"] > 1 for counts in videos.values()),
                "searched": sum(counts["frames"] for counts in videos.values()),
                "videos": videos,
            }
            write_part_file(path, self._schema, buffer.chosen(), about)

    def _read(self, item: VideoItem, buffer: _Buffer) -> _Recording:
        self._detector = self._detector or VideoFaceDetector()
        self._detector.restart()
        # A frame takes eight bytes, and eight of each track, so that long recordings hardly add.
        read = array("q")
        read_of: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
        seconds_seen: Counter[int] = Counter()
        reasons: dict[int, str] = {}
        last, step = 0.0, 0.0
        usable: list[int] = []
        with Video(item.path) as video:
            for frame, faces, reason in track_faces(video.frames(fps=self._fps), self._detector):
                if self._stopped():
                    raise Stopped
                step = frame.time - last
                seconds_seen.update(dict.fromkeys(usable, step))
                last, usable = frame.time, []
                read.append(frame.index)
                if reason:
                    reasons[frame.index] = reason
                for number, face in faces:
                    try:
                        cut = cut_face(frame.pixels, face, self._preprocessing)
                    except ValueError as error:
                        reasons[frame.index] = f"{NOT_ALIGNED}: {error}"
                        continue
                    channels = 1 if self._preprocessing.color == "gray" else 3
                    values = {
                        "time": frame.time,
                        "landmarks": None if cut.landmarks is None else cut.landmarks.ravel(),
                        "alignment": cut.alignment.value,
                        "crop": np.ascontiguousarray(cut.crop[..., :channels]).tobytes(),
                    }
                    buffer.add(self._row(item, frame.index, number, values), number)
                    read_of[number].append(frame.index)
                    usable.append(number)
            seconds_seen.update(dict.fromkeys(usable, step))
            seconds, damage = video.seconds, video.damage
        main = max(
            read_of,
            key=lambda number: (seconds_seen[number], len(read_of[number]), -number),
            default=None,
        )
        usable_frames = array("q") if main is None else read_of[main]
        left_out = [
            (f"{item.id}/{index:06d}", item.source, reasons.get(index, OTHERS_ONLY))
            for index in np.setdiff1d(read, usable_frames).tolist()
        ]
        if damage:
            left_out.append((item.id, item.source, f"video damaged: {damage}"))
        if not read:
            left_out.append((item.id, item.source, "video without frames"))
        elif main is None:
            left_out.append((item.id, item.source, "video without a face"))
        counts = {
            "frames": len(read),
            "usable": len(usable_frames),
            "seconds": last if seconds is None else seconds,
            "tracks": len(read_of),
            "track": main,
        }
        return _Recording(main, left_out, counts)

    def _row(
        self, item: VideoItem, index: int, track: int, values: dict[str, Any]
    ) -> dict[str, Any]:
        extra = {
            "severity": item.severity,
            "task": item.task,
            "session": item.session,
            "track": track,
        }
        return {
            **dict.fromkeys(FACES_SCHEMA.names),
            "id": f"{item.id}/{index:06d}",
            "source": item.source,
            "corpus": self._corpus,
            "split": item.split,
            "subject": item.subject,
            "video": item.id,
            "frame": index,
            **values,
            **{name: extra[name] for name in self._extra},
        }


class _Buffer:
    """Buffers the rows of everybody in a file beside ``path`` until one person is chosen."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = temporary_sibling(path.with_name(f"{path.name}.rows"))
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._tracks = array("q")
        self._keep: list[np.ndarray[Any, np.dtype[np.bool_]]] = []

    def __enter__(self) -> Self:
        self._stream = self._path.open("wb")
        self._writer = pa.ipc.new_file(self._stream, self._schema)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk, which was already reported
            self._writer.close()
        with contextlib.suppress(OSError):
            self._stream.close()
        self._path.unlink(missing_ok=True)

    def add(self, row: dict[str, Any], track: int) -> None:
        """Add a row of the person ``track``."""
        self._rows.append(row)
        self._tracks.append(track)
        if len(self._rows) >= _BATCH:
            self._flush()

    def choose(self, track: int | None) -> None:
        """Of the rows added since the last call, keep those of one person, or none."""
        tracks = np.array(self._tracks, np.int64)
        self._keep.append(tracks == track if track is not None else np.zeros(len(tracks), bool))
        self._tracks = array("q")

    def chosen(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that were kept, and end the buffer."""
        self._flush()
        self._writer.close()
        self._stream.close()
        keep = np.concatenate(self._keep) if self._keep else np.zeros(0, bool)
        begin = 0
        # Not mapped, because the pages of a mapped file count as memory.
        with pa.OSFile(str(self._path)) as stream:
            reader = pa.ipc.open_file(stream)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                chosen = batch.filter(pa.array(keep[begin : begin + len(batch)]))
                begin += len(batch)
                if len(chosen):
                    yield chosen

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows = []
