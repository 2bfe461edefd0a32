"""Recordings -> frames -> faces -> crops: what a worker does with one video."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.corpora.items import LeftOut, VideoItem
from mien.data.cropping import Entry, write_part_file
from mien.data.dataset import FACES_SCHEMA
from mien.data.workers import Stopped
from mien.faces.align import cut_face
from mien.faces.tracks import NO_FACE, MediaPipeFramesDetector, track_faces
from mien.faces.video import Video
from mien.schema import MienError, Preprocessing


class VideoCropper:
    """Turns recordings into part files; see :class:`mien.data.workers.PartWriter`.

    Of several persons in a recording the one with most frames is taken. Each frame that is looked
    at becomes a row or is left out with a reason.
    """

    def __init__(
        self,
        corpus: str,
        preprocessing: Preprocessing,
        fields: Sequence[pa.Field],
        rate: float | None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._corpus, self._preprocessing, self._rate = corpus, preprocessing, rate
        self._stopped = stopped
        self._detector: MediaPipeFramesDetector | None = None
        channels = 1 if preprocessing.colour == "grey" else 3
        pixels = pa.binary(preprocessing.size**2 * channels)
        self._schema = pa.schema([*FACES_SCHEMA, *fields, pa.field("crop", pixels, nullable=False)])
        self._extra = [field.name for field in fields]

    def close(self) -> None:
        """Release the detector."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def write_part(self, entries: Sequence[Entry], path: Path) -> None:
        """Crop the frames of ``entries`` into the part file ``path``, which appears complete."""
        rows: list[dict[str, Any]] = []
        left_out: list[tuple[str, str, str]] = []
        videos: dict[str, dict[str, Any]] = {}
        several = searched = 0
        for entry in entries:
            if isinstance(entry, LeftOut):
                left_out.append((entry.id, entry.source, entry.reason))
                continue
            if not isinstance(entry, VideoItem):
                raise TypeError("expected recordings, got an image")
            try:
                found, missing, counts = self._frames(entry)
            except MienError as error:
                left_out.append((entry.id, entry.source, f"video unreadable: {error}"))
                continue
            rows += found
            left_out += missing
            videos[entry.id] = counts
            searched += counts["frames"]
            several += counts["tracks"] > 1
        table = pa.Table.from_pylist(rows, schema=self._schema)
        about = {
            "left_out": left_out,
            "several_faces": several,
            "searched": searched,
            "videos": videos,
        }
        write_part_file(table.replace_schema_metadata({"part": json.dumps(about)}), path)

    def _frames(
        self, item: VideoItem
    ) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]], dict[str, Any]]:
        """Rows of the main person, what was left out, and how many frames there were."""
        self._detector = self._detector or MediaPipeFramesDetector()
        self._detector.restart()
        tracks: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        reasons: dict[int, str] = {}
        with Video(item.path) as video:
            for frame, faces, reason in track_faces(video.frames(rate=self._rate), self._detector):
                if self._stopped():
                    raise Stopped
                reasons[frame.index] = reason or "another person only"
                for number, face in faces:
                    try:
                        cut = cut_face(frame.pixels, face, self._preprocessing)
                    except ValueError as error:
                        reasons[frame.index] = f"face not aligned: {error}"
                        continue
                    channels = 1 if self._preprocessing.colour == "grey" else 3
                    tracks[number][frame.index] = {
                        "time": frame.time,
                        "landmarks": None if cut.landmarks is None else cut.landmarks.ravel(),
                        "alignment": cut.alignment.value,
                        "crop": np.ascontiguousarray(cut.crop[..., :channels]).tobytes(),
                    }
            seconds, damage = video.seconds, video.damage
        main = max(tracks, key=lambda number: (len(tracks[number]), -number), default=None)
        kept = {} if main is None else tracks[main]
        rows = [self._row(item, index, main, values) for index, values in kept.items()]
        missing = [
            (f"{item.id}/{index:06d}", item.source, reason)
            for index, reason in reasons.items()
            if index not in kept
        ]
        if damage:
            missing.append((item.id, item.source, f"video damaged: {damage}"))
        if not reasons:
            missing.append((item.id, item.source, "video without frames"))
        counts = {
            "frames": len(reasons),
            "usable": len(rows),
            "seconds": seconds,
            "tracks": len(tracks),
        }
        return rows, missing, counts

    def _row(
        self, item: VideoItem, index: int, track: int | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        own = {
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
            **{name: own[name] for name in self._extra},
        }


__all__ = ["NO_FACE", "VideoCropper"]
