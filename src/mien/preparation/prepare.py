"""Make a dataset folder from a corpus: in parallel, resumable, all or nothing."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.corpora import corpus_of
from mien.corpora.items import Corpus, LeftOut, Options, Reading
from mien.data.dataset import CROPS_FILE, FACES_FILE, INFO_FILE, LEFT_OUT_FILE, Dataset
from mien.errors import MienError
from mien.faces.detection.detect import FaceDetector
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.images import MAX_PIXELS
from mien.files import remove_temporaries
from mien.licenses import Answer, License, documents, unclear
from mien.preparation.cropping import Cropper, DetectorMaker, Entry
from mien.preparation.effects import refuse_other_kind, refuse_without_effect
from mien.preparation.parts import blocks_of, is_part, read_part
from mien.preparation.progress import Progress, shown_progress
from mien.preparation.recordings import FRAME_REASONS, VideoCropper
from mien.preparation.work_folder import PARTS, claimed, publish, work_folder
from mien.preparation.workers import Chunk, PartWriter, available_cores, write_parts
from mien.preparation.write import group_reason, refuse_existing, write_files
from mien.schema import Preprocessing

_CHUNK = 256
_CHUNK_BYTES = 32 * 2**20
_LATEST = 1 << 14
_FPS = 5.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, eq=False)
class PrepareResult:
    """A new dataset, and the number of rows left out by reason, most frequent first.

    The rows that were left out are listed in ``left_out.csv``. ``missing`` has those reasons that
    are nobody's intention: not what the corpus itself excludes, and not frames without a face of a
    recording with others.
    """

    dataset: Dataset
    left_out: dict[str, int]
    missing: dict[str, int]


def prepare(
    corpus: str,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    preprocessing: Preprocessing | None = None,
    tight: bool = False,
    classes: Sequence[str] | None = None,
    seed: int | None = None,
    valid_from_train: float = 0.0,
    landmarks: bool = False,
    align: bool = False,
    fps: float | None = _FPS,
    task: str | None = None,
    scale: str | None = None,
    disjoint: bool = False,
    license_terms: str | None = None,
    commercial_use: Answer | None = None,
    workers: int | None = None,
    max_pixels: int | None = None,
    progress: Progress | None = None,
    detector: DetectorMaker = FaceDetector,
) -> PrepareResult:
    """Prepare the corpus at ``source`` as the new dataset folder ``out``, and open it.

    Finished parts of up to 256 images are kept in ``OUT.partial``, so the same call resumes after
    an interruption. The folder ``out`` appears when it is complete, with the same bytes for any
    number of ``workers`` (default: one per core) and of interruptions. The options ``tight`` to
    ``disjoint`` are those of :class:`~mien.corpora.items.Options`. ``license_terms`` says under
    which terms images or recordings of your own may be used, and ``commercial_use`` whether they
    may be used commercially. ``max_pixels`` is as for :func:`~mien.faces.images.load_image`.
    With ``align``, tight crops in which landmarks are found are turned, scaled and shifted like the
    faces of photos; the others stay as they are.

    Of several faces in an image the largest is kept, of several people in a recording the one seen
    for the longest time. Recordings are always searched by
    :class:`~mien.faces.detection.follow.VideoFaceDetector`. Crops are stored whole; the partial
    image of ``preprocessing`` (default: in the corpus's color) is composed when they are read.
    Without ``progress``, a bar is shown on stderr where that is a terminal.

    Raises :class:`MienError` for an unknown corpus, for settings that do not apply to it, for a
    source that is not laid out as expected or shows no face, for an ``out`` that exists, for a
    work folder of other settings, and for a full disk.
    """
    reader = corpus_of(corpus)
    source, out = Path(source), Path(out)
    refuse_existing(out)
    if workers is not None and workers < 1:
        raise MienError(f"expected at least one worker, got {workers}: omit the option")
    if preprocessing is None:
        preprocessing = Preprocessing(color=reader.color)
    preprocessing = preprocessing.model_copy(update={"partial_image": "full"})
    class_names = tuple(classes) if classes else None
    of_detector = "detector"
    if isinstance(detector, partial) and detector.keywords.get("thorough"):
        of_detector = "thorough"
    values = {
        "tight": tight,
        "classes": class_names,
        "valid-from-train": valid_from_train,
        "landmarks": landmarks,
        "align": align,
        "max-pixels": max_pixels,
        of_detector: detector is not FaceDetector,
        "seed": seed is not None,
        "fps": fps != _FPS,
        "task": task,
        "scale": scale,
        "subject-disjoint": disjoint,
    }
    given = [name for name, value in values.items() if value]
    refuse_other_kind(reader, given)
    licenses = _licenses(reader, license_terms, commercial_use)
    options = Options(
        tight=tight,
        classes=class_names,
        seed=seed or 0,
        valid_from_train=valid_from_train,
        landmarks=landmarks,
        fps=fps,
        task=task,
        scale=scale,
        disjoint=disjoint,
    )
    folder = work_folder(out)
    needed = 0
    try:
        reading = reader.read(source, options)
        refuse_without_effect(reader, given, reading.unused)
        channels = 1 if preprocessing.color == "gray" else 3
        crop_bytes = preprocessing.size**2 * channels
        # The number of frames in recordings is only known once they are read.
        needed = 0 if reader.videos else 2 * reading.total * crop_bytes
        # A recording has many frames and makes a part of its own.
        chunk = 1 if reader.videos else max(1, min(_CHUNK, _CHUNK_BYTES // crop_bytes))
        plan = {
            "corpus": corpus,
            "source": reading.fingerprint,
            "preprocessing": preprocessing.hash,
            "options": repr(options),
            **({"align": True} if align else {}),
            **({"max_pixels": max_pixels} if max_pixels else {}),
            **({"licenses": documents(licenses)} if license_terms or commercial_use else {}),
            "detector": _name_of(VideoFaceDetector if reader.videos else detector),
            "entries": reading.total,
            "chunk": chunk,
            "version": __version__,
        }
        with claimed(folder, plan):
            if not (folder / INFO_FILE).exists():
                make_cropper: Callable[..., PartWriter] = partial(
                    Cropper,
                    corpus,
                    preprocessing,
                    detector,
                    reading.fields,
                    landmarks=landmarks,
                    align=align,
                    max_pixels=max_pixels or MAX_PIXELS,
                )
                if reader.videos:
                    make_cropper = partial(VideoCropper, corpus, preprocessing, reading.fields, fps)
                paths = _make_parts(
                    reading, folder, chunk, make_cropper, preprocessing, workers, progress
                )
                _assemble(
                    paths,
                    folder,
                    source,
                    str(plan["detector"]),
                    landmarks=landmarks,
                    align=align,
                    notes=reading.notes,
                    scale=reading.scale,
                    label_space=reading.label_space,
                    preprocessing=preprocessing,
                    corpus=corpus,
                    license_terms=license_terms or reader.license_terms,
                    licenses=licenses,
                    about=reader.about,
                    ask=reader.ask,
                    vote_names=reading.vote_names,
                )
            publish(folder, out)
    except OSError as error:
        raise _explained(error, source, folder, needed) from error
    dataset = Dataset.open(out)
    left_out = dict(left_out_table(dataset))
    intended = {*reader.excluded, *(FRAME_REASONS if reader.videos else ())}
    missing = {reason: count for reason, count in left_out.items() if reason not in intended}
    return PrepareResult(dataset, left_out, missing)


def left_out_table(dataset: Dataset) -> list[tuple[str, int]]:
    """The number of rows left out of a dataset by reason, most frequent first."""
    left_out = dataset.info.get("left_out", {})
    return sorted(left_out.items(), key=lambda item: (-item[1], item[0]))


def _licenses(
    reader: Corpus, license_terms: str | None, commercial_use: Answer | None
) -> tuple[License, ...]:
    """The corpus's, or for data of one's own what was stated of them."""
    if license_terms is None and commercial_use is None:
        return reader.licenses
    if not reader.yours:
        raise MienError(
            f"expected data of your own for --license and --commercial-use, got "
            f"{reader.name}, whose terms are known: omit the options"
        )
    if commercial_use is not None and not license_terms:
        raise MienError(
            "expected --license beside --commercial-use, got none: say in a sentence under "
            "which terms the data may be used"
        )
    stated = unclear("data", reader.about.title, license_terms or "", stated_by="mien prepare")
    return (stated.model_copy(update={"commercial_use": commercial_use or "unclear"}),)


def _make_parts(
    reading: Reading,
    folder: Path,
    size: int,
    make_cropper: Callable[..., PartWriter],
    preprocessing: Preprocessing,
    workers: int | None,
    progress: Progress | None,
) -> list[Path]:
    """Write the missing part files; return the paths of all, in the order of the entries."""
    parts = folder / PARTS
    parts.mkdir(exist_ok=True)
    remove_temporaries(parts)
    count = -(-reading.total // size)
    paths = [parts / f"{index:06d}.arrow" for index in range(count)]
    present = {path for path in paths if is_part(path, preprocessing.size)}
    done = len(present) * size
    if paths and paths[-1] in present:
        done -= count * size - reading.total
    with shown_progress(progress, reading.total, "prepare") as show:
        show(done, reading.total)
        chunks = _chunks(reading, size, paths, present)
        missing = max(1, count - len(present))
        # Close it at once, not on garbage collection, so that an interruption stops the workers.
        most = workers or available_cores()
        counts = write_parts(chunks, make_cropper, workers=min(most, missing))
        with contextlib.closing(counts):
            for entries in counts:
                done += entries
                show(done, reading.total)
    return paths


def _chunks(reading: Reading, size: int, paths: list[Path], present: set[Path]) -> Iterator[Chunk]:
    """Yield the entries of each missing part; a second row with the same id is left out."""
    entries = _distinct(reading.items())
    total = 0
    for path in paths:
        chunk = list(islice(entries, size))
        total += len(chunk)
        if path not in present:
            yield chunk, path
    if total != reading.total or next(entries, None) is not None:
        raise MienError(
            f"expected {reading.total:,} entries in the source, as in the first pass, got "
            f"another number: leave it unchanged and run the same command again"
        )


def _distinct(entries: Iterator[Entry]) -> Iterator[Entry]:
    ids = _Seen()
    for entry in entries:
        if ids.add(entry.id) and not isinstance(entry, LeftOut):
            yield LeftOut(entry.id, entry.source, "duplicate id")
            continue
        yield entry


class _Seen:
    """Names that were there before, in eight bytes each: a digest, and two agree by no chance."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, np.uint64)
        self._latest: set[int] = set()

    def add(self, name: str) -> bool:
        """Add a name; whether it was there."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        key = int.from_bytes(digest, "little")
        place = int(np.searchsorted(self._sorted, np.uint64(key)))
        there = place < len(self._sorted) and int(self._sorted[place]) == key
        if there or key in self._latest:
            return True
        self._latest.add(key)
        if len(self._latest) >= _LATEST:
            latest = np.fromiter(self._latest, np.uint64, len(self._latest))
            self._sorted = np.sort(np.concatenate([self._sorted, latest]))
            self._latest.clear()
        return False


def _assemble(
    paths: list[Path],
    folder: Path,
    source: Path,
    detector: str,
    *,
    landmarks: bool,
    align: bool,
    notes: tuple[str, ...],
    preprocessing: Preprocessing,
    **description: Any,
) -> None:
    """Write the dataset's files from the parts, which are kept until all files are complete."""
    reasons: Counter[str] = Counter()
    videos: dict[str, dict[str, Any]] = {}
    rows = several_faces = searched = 0
    for path in paths:
        part = read_part(path, preprocessing.size)
        rows += part.rows
        reasons.update(group_reason(reason) for _, _, reason in part.left_out)
        several_faces += part.several_faces
        searched += part.searched
        videos |= part.videos
    if rows == 0:
        shutil.rmtree(folder)
        text = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
        raise MienError(
            f"expected a folder with faces at {source}, got none in {reasons.total()} entries: "
            f"{text}; choose another"
        )

    if searched:
        notes = (*notes, f"faces detected by {detector}")
    if align:
        notes = (*notes, f"tight crops aligned by landmarks from {detector}, where it found them")
    elif landmarks:
        notes = (*notes, f"landmarks in tight crops detected by {detector}")
    try:
        write_files(
            folder,
            blocks_of(paths, preprocessing.size),
            rows=rows,
            preprocessing=preprocessing,
            left_out=(
                row for path in paths for row in read_part(path, preprocessing.size).left_out
            ),
            several_faces=several_faces,
            notes=notes,
            videos=videos,
            **description,
        )
    except OSError:
        # Incomplete files are useless, and the disk may be full.
        for name in (CROPS_FILE, FACES_FILE, LEFT_OUT_FILE):
            (folder / name).unlink(missing_ok=True)
        raise


def _name_of(detector: Callable[..., object]) -> str:
    """The name of a detector and its settings, for the plan and the notes."""
    if isinstance(detector, partial):
        settings = [*map(repr, detector.args)]
        settings += [f"{key}={value!r}" for key, value in sorted(detector.keywords.items())]
        return f"{detector.func.__qualname__}({', '.join(settings)})"
    return getattr(detector, "__qualname__", type(detector).__qualname__)


def _explained(error: OSError, source: Path, folder: Path, needed: int) -> MienError:
    if error.errno in _FULL:
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            space = (
                f"about {needed / 1e6:,.0f} MB in all" if needed else "space for all crops twice"
            )
            return MienError(
                f"expected {space} at {folder}, got a full disk ({free / 1e6:,.0f} MB free): free "
                f"some space and run the same command again, it resumes after the finished parts"
            )
    return MienError(
        f"expected to read {source} and to write {folder}, got {error}: correct this and run the "
        f"same command again"
    )
