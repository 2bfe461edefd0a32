"""Videos that were handed in: one runs at a time, the others wait; results live for a while."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MienError
from mien.faces.video import Frame, Video
from mien.inference.model import OnnxModel
from mien.inference.predictor import Predictor
from mien.inference.rows import Entry, Rows
from mien.inference.videos import EachFrame, predict_video
from mien.schema import Prediction
from mien.serving.limits import Limits
from mien.serving.problems import Problem
from mien.serving.results import TABLE_KINDS, TABLE_SUFFIXES, open_tables, timeline

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

_MOST_RESULTS = 32


class JobState(StrEnum):
    """What has become of a video."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class _Cancelled(Exception):
    """Ends the reading of a video that nobody wants any more."""


@dataclass(eq=False)
class Job:
    """One video: its private folder, how far it is, and what came of it."""

    id: str
    folder: Path
    fps: float
    name: str = ""
    state: JobState = JobState.WAITING
    reason: str | None = None
    read_seconds: float = 0.0
    total_seconds: float | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    timelines: list[dict[str, Any]] = field(default_factory=list)
    ended: float | None = None
    fetched: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def video(self) -> Path:
        """The uploaded file, which is deleted as soon as it has been read."""
        return self.folder / "video"

    def table(self, rows: str, suffix: str) -> Path:
        """Where the table of these rows is, once the job is done."""
        return self.folder / f"{rows}.{suffix}"

    def answer(self) -> dict[str, Any]:
        """The state of the job, and its result once there is one."""
        tables = [
            f"/v1/videos/{self.id}/table?rows={rows}&format={suffix}"
            for rows in TABLE_KINDS
            for suffix in TABLE_SUFFIXES
            if self.state is JobState.DONE and self.table(rows, suffix).is_file()
        ]
        return {
            "id": self.id,
            "source": self.name,
            "state": self.state.value,
            "reason": self.reason,
            "read_seconds": round(self.read_seconds, 3),
            "total_seconds": self.total_seconds,
            "persons": [
                {"summary": row, "timeline": line}
                for row, line in zip(self.rows, self.timelines, strict=True)
            ],
            "tables": tables,
        }


class Jobs:
    """The videos of one server, in a folder that only its user can look into."""

    def __init__(
        self,
        faces: OnnxModel | None,
        clips: OnnxModel | None,
        limits: Limits,
        *,
        detector: Callable[[], Detector] | None = None,
    ) -> None:
        self._faces, self._clips, self._limits = faces, clips, limits
        self._detector = detector
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mien-video")
        self._folder: Path | None = None

    @property
    def unfinished(self) -> int:
        """How many wait or run."""
        return sum(job.ended is None for job in list(self._jobs.values()))

    @property
    def unfetched(self) -> int:
        """How many wait, run, or have a result that nobody has fetched."""
        return sum(
            job.ended is None or (job.state is JobState.DONE and not job.fetched)
            for job in list(self._jobs.values())
        )

    def create(self, fps: float) -> Job:
        """A new job, whose video is still to be saved; raises :class:`Problem` (429) when full."""
        self.expire()
        with self._lock:
            if self.unfinished >= self._limits.videos:
                raise Problem(
                    429,
                    f"expected at most {self._limits.videos} videos at a time, got one more; "
                    "wait for one to end, or cancel it",
                    headers={"retry-after": "10"},
                )
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="mien-serve-"))
            identity = secrets.token_urlsafe(16)
            job = Job(identity, Path(tempfile.mkdtemp(dir=self._folder)), fps)
            self._jobs[identity] = job
        return job

    def start(self, job: Job) -> None:
        """Queue a job whose video is saved."""
        self._pool.submit(self._run, job)

    def find(self, identity: str) -> Job:
        """The job of this id; raises :class:`Problem` (404) where there is none."""
        self.expire()
        job = self._jobs.get(identity)
        if job is None:
            raise Problem(
                404,
                "expected the id of a video, got one that is unknown or whose result has expired; "
                "send the video again",
            )
        return job

    def remove(self, job: Job) -> None:
        """Cancel a job and delete everything of it."""
        job.cancelled.set()
        with self._lock:
            self._jobs.pop(job.id, None)
        if job.state is not JobState.RUNNING:
            self._end(job, JobState.CANCELLED)
            shutil.rmtree(job.folder, ignore_errors=True)

    def expire(self) -> None:
        """Delete results that are too old, and the oldest where there are too many."""
        latest = time.monotonic() - self._limits.result_seconds
        ended = [job for job in list(self._jobs.values()) if job.ended is not None]
        ended.sort(key=lambda job: job.ended or 0.0)
        for index, job in enumerate(ended):
            if (job.ended or 0.0) < latest or index < len(ended) - _MOST_RESULTS:
                self.remove(job)

    def close(self) -> None:
        """Cancel everything, wait for what runs to notice, and delete all files."""
        for job in list(self._jobs.values()):
            job.cancelled.set()
        self._pool.shutdown(cancel_futures=True)
        self.delete_files()

    def delete_files(self) -> None:
        """Delete all files, whatever still runs."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, job: Job) -> None:
        if job.cancelled.is_set():
            return
        job.state = JobState.RUNNING
        try:
            self._read(job)
            self._end(job, JobState.DONE)
        except _Cancelled:
            self._end(job, JobState.CANCELLED)
        except (MienError, Problem) as error:
            job.reason = str(error).replace(str(job.video), job.name or "the video")
            self._end(job, JobState.FAILED)
        except BaseException:
            job.reason = "the server has failed; its log says how"
            self._end(job, JobState.FAILED)
            raise
        finally:
            job.video.unlink(missing_ok=True)
            if job.cancelled.is_set():
                shutil.rmtree(job.folder, ignore_errors=True)

    def _read(self, job: Job) -> None:
        with Video(job.video) as video:
            job.total_seconds, (width, height) = video.seconds, video.size
        self._check_length(job.total_seconds or 0.0)
        self._check_size(width, height)
        faces = None if self._faces is None else self._faces.info
        clips = None if self._clips is None else self._clips.info
        kinds = [
            Rows(kind, faces, clips)
            for kind in TABLE_KINDS
            if (kind != "frames" or faces) and (kind != "clips" or clips)
        ]
        with open_tables(job.folder, kinds) as write:

            def on_frame(frame: Frame, predictions: list[Prediction]) -> None:
                if job.cancelled.is_set():
                    raise _Cancelled
                self._check_length(frame.time)
                self._check_size(*frame.pixels.shape[1::-1])
                job.read_seconds = frame.time
                for rows in kinds:
                    entries = rows.of_frame([replace(p, source=job.name) for p in predictions])
                    write(rows, entries)

            predictor = None
            if self._faces is not None:
                predictor = Predictor(self._faces)
            video_predictions = predict_video(
                job.video,
                predictor=predictor,
                clip_model=self._clips,
                fps=job.fps,
                detector=None if self._detector is None else EachFrame(self._detector()),
                on_frame=on_frame,
            )
            for rows in kinds:
                write(rows, [self._named(job, each) for each in rows.of_video(video_predictions)])
        summary = Rows("summary", faces, clips)
        job.rows = [
            summary.row(self._named(job, each)) for each in summary.of_video(video_predictions)
        ]
        persons = video_predictions.persons
        job.timelines = [timeline(faces, person) for person in persons] or [{}] * len(job.rows)
        job.reason = video_predictions.reason.replace(str(job.video), job.name) or None
        if not video_predictions.frames:
            raise MienError(video_predictions.reason)

    def _check_length(self, seconds: float) -> None:
        if seconds > self._limits.video_seconds:
            raise MienError(
                f"expected a video of at most {self._limits.video_seconds:g} seconds, got a longer "
                "one; cut it"
            )

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limits.pixels:
            raise MienError(
                f"expected frames of at most {self._limits.pixels:,} pixels, "
                f"got {width} x {height}; send a smaller video"
            )

    def _named(self, job: Job, entry: Entry) -> Entry:
        """An entry with the name that the client gave the video in place of the path."""
        prediction = entry.prediction
        reason = prediction.reason.replace(str(job.video), job.name or "the video")
        return Entry(replace(prediction, source=job.name, reason=reason), entry.columns)

    def _end(self, job: Job, state: JobState) -> None:
        if job.ended is None:
            job.state, job.ended = state, time.monotonic()
