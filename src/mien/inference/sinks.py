"""Where predictions go: a table, JSON or lines on a stream, annotated pictures and videos."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import TextIO

from mien.errors import MienError
from mien.faces.images import MAX_PIXELS
from mien.files import ADVICE, short_name
from mien.heads import HEADS
from mien.heads.wording import percent
from mien.inference.drawing.annotate import PICTURE_FORMATS, annotate_file
from mien.inference.drawing.drawn_video import DrawnVideo, drawn_video
from mien.inference.photos import room_for
from mien.inference.rows import Entry, Row, Rows
from mien.schema import Prediction, Status
from mien.terminal import progress_bar

Sink = Callable[[Sequence[Entry]], None]
"""Takes the rows of a photo, a frame or a video, in order."""


@contextmanager
def json_sink(stream: TextIO, rows: Rows) -> Iterator[Sink]:
    """Print rows as one JSON array, a line each, as they come."""
    with _json_array(stream) as write:
        yield lambda entries: write(rows.row(entry) for entry in entries)


def print_json(stream: TextIO, rows: Iterable[Row]) -> None:
    """Print rows as :func:`json_sink` does."""
    with _json_array(stream) as write:
        write(rows)


@contextmanager
def _json_array(stream: TextIO) -> Iterator[Callable[[Iterable[Row]], None]]:
    before = "["

    def write(rows: Iterable[Row]) -> None:
        nonlocal before
        for row in rows:
            _print(f"{before}\n{json.dumps(row, ensure_ascii=False)}", stream, end="")
            before = ","

    yield write
    _print("\n]" if before == "," else "[]", stream)


def line_sink(stream: TextIO, rows: Rows) -> Sink:
    """Print a line per row for a reader."""

    def write(entries: Sequence[Entry]) -> None:
        for entry in entries:
            # A file name need not be valid text.
            line = line_of(entry, rows).encode("utf-8", "backslashreplace").decode()
            _print(line, stream)

    return write


def _print(text: str, stream: TextIO, *, end: str = "\n") -> None:
    try:
        print(text, end=end, file=stream)
    except BrokenPipeError:
        raise
    except OSError as error:
        name = {"<stdout>": "the standard output"}.get(getattr(stream, "name", ""), "a stream")
        raise MienError(
            f"expected to write to {name}, got {error.strerror or error}; {ADVICE}"
        ) from error


def line_of(entry: Entry, rows: Rows) -> str:
    """A row for a reader: whose it is, what the heads say, or why there is nothing to say."""
    prediction, columns = entry
    whose, when = _whose(prediction), _when(prediction, columns)
    return "  ".join([prediction.source, *whose, *when, values_of(prediction, rows)])


def values_of(prediction: Prediction, rows: Rows) -> str:
    """What the heads say for a reader, or why there is nothing to say."""
    phrases = (
        HEADS[name].phrase(info.heads[name], prediction) for name, info in rows.heads.items()
    )
    text = ", ".join(filter(None, phrases))
    if not text:
        text = f"{prediction.status.value}: {prediction.reason}"
    elif prediction.status is Status.ABSTAINED:
        text = f"abstained ({prediction.reason}); would say {text}"
    elif prediction.reason:
        text = f"{text}  [{prediction.reason}]"
    return text


def _whose(prediction: Prediction) -> list[str]:
    if prediction.track is not None:
        return [f"person {prediction.track}"]
    return [f"face {prediction.index}"] if prediction.face else []


def _when(prediction: Prediction, columns: dict[str, object]) -> list[str]:
    if "usable_seconds" in columns:
        seconds, share = columns["usable_seconds"], columns["usable_share"]
        return [f"{seconds:.1f} s ({percent(float(str(share)))})"]
    if "start" in columns:
        return [f"{columns['start']:.1f} to {columns['end']:.1f} s"]
    return [] if prediction.time is None else [f"{prediction.time:.2f} s"]


@contextmanager
def progress(shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr that each call advances; only on a terminal, and only where ``shown``."""
    with progress_bar("predict", shown=shown) as show:
        numbers = count(1)
        yield lambda: show(next(numbers))


class AnnotatedFolder:
    """A folder for one annotated picture per photo and one annotated video per video.

    Files get the names of their sources; where names repeat, the names of the folders above are
    put in front. Raises :class:`~mien.errors.MienError` for a folder that contains ``inputs``:
    pictures must not replace what is read, nor be what the next run reads.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        inputs: Iterable[str],
        max_pixels: int | None = None,
    ) -> None:
        self.path, self._max_pixels = Path(path), max_pixels or MAX_PIXELS
        self._resolved = self.path.resolve()
        self._taken: set[str] = set()
        for each in inputs:
            if "\0" in each:  # no name of a file
                continue
            source = Path(each).resolve()
            inside = (
                source.is_dir() and self.path.is_dir() and self._resolved.is_relative_to(source)
            )
            if inside or (source.is_file() and source.parent == self._resolved):
                raise self._contains_inputs()

    def draw_photo(self, predictions: Sequence[Prediction], name: str) -> None:
        """Draw the faces of one photo, unless it was unreadable."""
        source = predictions[0].source
        if predictions[0].status is Status.UNREADABLE:
            return
        if Path(source).resolve().parent == self._resolved:
            raise self._contains_inputs()
        # A photo that is deleted in between only loses its picture, not its rows.
        try:
            with room_for(source):
                annotate_file(
                    source,
                    predictions,
                    self.path / name,
                    max_pixels=self._max_pixels,
                )
        except MienError:
            if Path(source).exists():
                raise

    def draw_video(self, name: str) -> AbstractContextManager[DrawnVideo]:
        """An annotated video, to be filled with the frames of its source."""
        return drawn_video(self.path / name)

    def free_name(self, source: str, *, video: bool = False) -> str:
        """The name of a source's picture or video, which no other source gets from now on."""
        path = Path(source)
        suffix = ".mp4" if video else path.suffix.lower()
        if not video and suffix not in PICTURE_FORMATS:
            suffix = ".png"
        parents = [part for part in path.parts[:-1] if part not in ("/", "..", ".")]
        stem = path.stem
        while f"{stem}{suffix}" in self._taken and parents:
            stem = f"{parents.pop()}__{stem}"
        name, number = short_name(stem, suffix), 2
        while name in self._taken:
            name, number = short_name(f"{stem}-{number}", suffix), number + 1
        self._taken.add(name)
        return name

    def _contains_inputs(self) -> MienError:
        return MienError(
            f"expected a folder of their own for annotated pictures, got {str(self.path)!r}, "
            "which is searched for photos or videos; choose one outside, or a new one"
        )
