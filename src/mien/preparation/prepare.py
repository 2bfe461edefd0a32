"""Make a dataset folder from a corpus: in parallel, resumable, complete or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mien import __version__
from mien.corpora import corpus_of
from mien.corpora.items import Corpus, LeftOut, Options, Reading
from mien.data.dataset import CROPS_FILE, FACES_FILE, INFO_FILE, LEFT_OUT_FILE, Dataset
from mien.faces.detect import MediaPipeDetector
from mien.faces.tracks import MediaPipeFramesDetector
from mien.files import remove_temporaries
from mien.preparation.cropping import Cropper, DetectorMaker, Entry
from mien.preparation.parts import blocks_of, is_part, read_part
from mien.preparation.progress import Progress, shown_progress
from mien.preparation.recordings import VideoCropper
from mien.preparation.work_folder import PARTS, PLAN_FILE, claimed
from mien.preparation.workers import Chunk, PartWriter, available_cores, write_parts
from mien.preparation.write import group_reason, refuse_existing, write_files
from mien.schema import MienError, Preprocessing

_CHUNK = 256
_CHUNK_BYTES = 32 * 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, eq=False)
class PrepareResult:
    """A new dataset and what was left out of it: rows by reason, most frequent first.

    The rows themselves are in ``left_out.csv``.
    """

    dataset: Dataset
    left_out: dict[str, int]


def prepare(
    corpus: str,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    preprocessing: Preprocessing,
    tight: bool = False,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    valid_from_train: float = 0.0,
    landmarks: bool = False,
    rate: float | None = 5.0,
    task: str | None = None,
    scale: str | None = None,
    disjoint: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    detector: DetectorMaker = MediaPipeDetector,
) -> PrepareResult:
    """Read ``corpus`` at ``source`` into the new dataset folder ``out``.

    Work is kept in ``OUT.partial`` in parts of up to 256 images; after an interruption the same
    call goes on there. The folder ``out`` appears when it is complete, with the same bytes
    whatever the number of ``workers`` (default: one a core) and of interruptions. ``tight`` to
    ``disjoint`` are those of :class:`~mien.corpora.items.Options`. Of several faces in an
    image the largest is taken, of several persons in a recording the one seen for longest; in
    recordings MediaPipe looks for them. Crops are whole whatever the partial image of
    ``preprocessing``, which is composed of them when they are read. Without ``progress`` a bar is
    drawn on stderr where that is a terminal.

    Raises :class:`MienError` for an unknown corpus, settings that it has no use for, a source that
    is not laid out as expected or holds no face, an ``out`` that exists, a partial folder of other
    settings and a full disk.
    """
    reader = corpus_of(corpus)
    source, out = Path(source), Path(out)
    refuse_existing(out)
    if workers is not None and workers < 1:
        raise MienError(f"expected at least one worker, got {workers}: leave the option out")
    preprocessing = preprocessing.model_copy(update={"partial_image": "full"})
    named = tuple(classes) if classes else None
    _refuse_unused(
        reader,
        images=[
            *(["tight"] if tight else []),
            *(["classes"] if classes else []),
            *(["valid-from-train"] if valid_from_train else []),
            *(["landmarks"] if landmarks else []),
            *(["detector"] if detector is not MediaPipeDetector else []),
        ],
        recordings=[
            *(["task"] if task else []),
            *(["scale"] if scale else []),
            *(["subject-disjoint"] if disjoint else []),
        ],
    )
    options = Options(tight, named, seed, valid_from_train, landmarks, rate, task, scale, disjoint)
    folder = out.with_name(f"{out.name}.partial")
    needed = 0
    try:
        reading = reader.read(source, options)
        channels = 1 if preprocessing.color == "gray" else 3
        crop_bytes = preprocessing.size**2 * channels
        # How many frames recordings hold is known when they were read.
        needed = 0 if reader.videos else 2 * reading.total * crop_bytes
        # A recording is a part of its own: many frames.
        chunk = 1 if reader.videos else max(1, min(_CHUNK, _CHUNK_BYTES // crop_bytes))
        plan = {
            "corpus": corpus,
            "source": reading.fingerprint,
            "preprocessing": preprocessing.hash,
            "options": repr(options),
            "detector": _name_of(MediaPipeFramesDetector if reader.videos else detector),
            "entries": reading.total,
            "chunk": chunk,
            "version": __version__,
        }
        with claimed(folder, plan):
            if not (folder / INFO_FILE).exists():
                make_cropper: Callable[..., PartWriter] = partial(
                    Cropper, corpus, preprocessing, detector, reading.fields, landmarks=landmarks
                )
                if reader.videos:
                    make_cropper = partial(
                        VideoCropper, corpus, preprocessing, reading.fields, rate
                    )
                paths = _make_parts(
                    reading, folder, chunk, make_cropper, preprocessing, workers, progress
                )
                _assemble(
                    paths,
                    folder,
                    source,
                    str(plan["detector"]),
                    landmarks=landmarks,
                    notes=reading.notes,
                    scale=reading.scale,
                    label_space=reading.label_space,
                    preprocessing=preprocessing,
                    corpus=corpus,
                    license_terms=reader.license_terms,
                    vote_names=reading.vote_names,
                )
            shutil.rmtree(folder / PARTS, ignore_errors=True)
            os.replace(folder, out)
            (out / PLAN_FILE).unlink()
    except OSError as error:
        raise _explained(error, source, folder, needed) from error
    dataset = Dataset.open(out)
    return PrepareResult(dataset, dict(left_out_table(dataset)))


def left_out_table(dataset: Dataset) -> list[tuple[str, int]]:
    """Reasons for which rows were left out of a dataset, with their counts, highest first."""
    left_out = dataset.info.get("left_out", {})
    return sorted(left_out.items(), key=lambda item: (-item[1], item[0]))


def _refuse_unused(reader: Corpus, *, images: list[str], recordings: list[str]) -> None:
    """Raise :class:`MienError` for settings given that belong to the other kind of corpus."""
    unused = images if reader.videos else recordings
    if unused:
        kind = "recordings" if reader.videos else "images"
        raise MienError(
            f"expected no --{' and --'.join(unused)} for {reader.name}, which holds {kind}, got "
            f"{'it' if len(unused) == 1 else 'them'}: leave out what belongs to other corpora"
        )


def _make_parts(
    reading: Reading,
    folder: Path,
    size: int,
    make_cropper: Callable[..., PartWriter],
    preprocessing: Preprocessing,
    workers: int | None,
    progress: Progress | None,
) -> list[Path]:
    """Write the part files that are missing; the paths of all, in the order of the entries."""
    parts = folder / PARTS
    parts.mkdir(exist_ok=True)
    remove_temporaries(parts)
    count = -(-reading.total // size)
    paths = [parts / f"{index:06d}.arrow" for index in range(count)]
    present = {path for path in paths if is_part(path, preprocessing.size)}
    wanted = workers or available_cores()
    done = len(present) * size
    if paths and paths[-1] in present:
        done -= count * size - reading.total
    with shown_progress(progress, reading.total, "prepare") as show:
        show(done, reading.total)
        chunks = _chunks(reading, size, paths, present)
        missing = max(1, count - len(present))
        # Closed at once, not when the garbage is collected: an interruption stops the workers.
        counts = write_parts(chunks, make_cropper, workers=min(wanted, missing))
        with contextlib.closing(counts):
            for entries in counts:
                done += entries
                show(done, reading.total)
    return paths


def _chunks(reading: Reading, size: int, paths: list[Path], present: set[Path]) -> Iterator[Chunk]:
    """The entries of each part that is missing; a second row of the same id is left out."""
    entries = _distinct(reading.items())
    total = 0
    for path in paths:
        chunk = list(islice(entries, size))
        total += len(chunk)
        if path not in present:
            yield chunk, path
    if total != reading.total or next(entries, None) is not None:
        raise MienError(
            f"expected {reading.total:,} entries in the source, as when it was first read, got "
            f"another number: leave it unchanged and run the same command again"
        )


def _distinct(entries: Iterator[Entry]) -> Iterator[Entry]:
    seen: set[str] = set()
    for entry in entries:
        if not isinstance(entry, LeftOut) and entry.id in seen:
            yield LeftOut(entry.id, entry.source, "duplicate id")
            continue
        seen.add(entry.id)
        yield entry


def _assemble(
    paths: list[Path],
    folder: Path,
    source: Path,
    detector: str,
    *,
    landmarks: bool,
    notes: tuple[str, ...],
    preprocessing: Preprocessing,
    **description: Any,
) -> None:
    """Write the dataset's files from the parts; they are kept until all files are complete."""
    left_out: list[tuple[str, str, str]] = []
    videos: dict[str, dict[str, Any]] = {}
    rows = several_faces = searched = 0
    for path in paths:
        part = read_part(path, preprocessing.size)
        rows += part.table.num_rows
        left_out += part.left_out
        several_faces += part.several_faces
        searched += part.searched
        videos |= part.videos
    if rows == 0:
        shutil.rmtree(folder)
        reasons = Counter(group_reason(reason) for _, _, reason in left_out).most_common(3)
        why = ", ".join(f"{reason} ({count})" for reason, count in reasons)
        raise MienError(
            f"expected a folder with faces at {source}, got none in {len(left_out)} entries: {why}"
        )

    if searched:
        notes = (*notes, f"faces found by {detector}")
    if landmarks:
        notes = (*notes, f"landmarks looked for in tight crops too, by {detector}")
    try:
        write_files(
            folder,
            blocks_of(paths, preprocessing.size),
            rows=rows,
            preprocessing=preprocessing,
            left_out=left_out,
            several_faces=several_faces,
            notes=notes,
            videos=videos,
            **description,
        )
    except OSError:
        # Half of a file is of no use, and the room may be what is missing.
        for name in (CROPS_FILE, FACES_FILE, LEFT_OUT_FILE):
            (folder / name).unlink(missing_ok=True)
        raise


def _name_of(detector: Callable[..., object]) -> str:
    """The detector and its settings, for the plan and the notes."""
    if isinstance(detector, partial):
        settings = [*map(repr, detector.args)]
        settings += [f"{key}={value!r}" for key, value in sorted(detector.keywords.items())]
        return f"{detector.func.__qualname__}({', '.join(settings)})"
    return getattr(detector, "__qualname__", type(detector).__qualname__)


def _explained(error: OSError, source: Path, folder: Path, needed: int) -> MienError:
    if error.errno in _FULL:
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            room = f"for about {needed / 1e6:,.0f} MB in all" if needed else "for all crops twice"
            return MienError(
                f"expected room {room} at {folder}, got a full "
                f"disk ({free / 1e6:,.0f} MB free): make room and run the same command again, it "
                f"goes on where it was"
            )
    return MienError(
        f"expected to read {source} and to write {folder}, got {error}: correct that and run the "
        f"same command again"
    )
