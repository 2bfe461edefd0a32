"""Aff-Wild2, the data of ABAW: frames with expression, valence and arousal, action units.

Names of folders, orders of classes and units, and the marks -5 and -1 of frames to skip were read
in public loaders, as was that videos are in train of one challenge and in validation of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from mien.corpora.action_units import action_units
from mien.corpora.affect import valence_arousal
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, split_name, storable
from mien.corpora.reading import Entry, Tree, first_of, folders, image_reading, lines_of, pictures
from mien.data.dataset import ACTION_UNIT_FIELDS, VALENCE_AROUSAL_FIELDS
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["abaw"]
CODES = {str(code): name for code, name in enumerate(SPACE.names)}
"""From the challenge of 2022 on; before it there was no class other."""

CHALLENGES = {
    "va": ("VA_Estimation_Challenge", "VA_Set"),
    "expr": ("EXPR_Classification_Challenge", "EXPR_Recognition_Challenge", "EXPR_Set"),
    "au": ("AU_Detection_Challenge", "AU_Set"),
}
"""The folders of lists of each challenge: of late, and of 2020 and 2021."""

_UNITS = [field.name for field in ACTION_UNIT_FIELDS]
_MTL = {
    "train": ("training_set_annotations.txt", "train_set.txt"),
    "valid": ("validation_set_annotations.txt", "validation_set.txt"),
}
_SPLIT_FIELDS = tuple(pa.field(f"split_{name}", pa.string()) for name in (*CHALLENGES, "mtl"))
_TREE = Tree(
    "Aff-Wild2",
    "  [annotations/]VA_Estimation_Challenge/{Train_Set,Validation_Set}/VIDEO.txt\n"
    "      valence,arousal\n"
    "  [annotations/]EXPR_Classification_Challenge/{Train_Set,Validation_Set}/VIDEO.txt\n"
    f"      {', '.join(f'{code} {name}' for code, name in CODES.items())}\n"
    "  [annotations/]AU_Detection_Challenge/{Train_Set,Validation_Set}/VIDEO.txt   twelve units:\n"
    f"      {', '.join(name.removeprefix('au').lstrip('0') for name in _UNITS)}\n"
    "      (each a header, then a line for each frame; -5 and -1 mean not annotated; also VA_Set,\n"
    "      EXPR_Set and AU_Set)\n"
    "  or [annotations/]MTL_Challenge/{training,validation}_set_annotations.txt   lines\n"
    "      VIDEO/00001.jpg,valence,arousal,expression,AU1,...,AU26\n"
    "  [cropped_aligned/]VIDEO/00001.jpg   line 1; frames may be missing",
)
_NO_FACE, _NOT_ANNOTATED = "frame missing, no face was found in it", "frame not annotated"
_NOTE = (
    "split is train only for videos that are in train of every challenge, else valid; split_va, "
    "split_expr, split_au and split_mtl are those of each challenge"
)


@dataclass(frozen=True)
class _Lists:
    """The lists of one video: its file and its split by challenge."""

    files: Mapping[str, Path]
    splits: Mapping[str, str]


def read(source: Path, options: Options) -> Reading:
    """Read the lists of all challenges that are there; a frame is one row with all that it has."""
    annotations = first_of(source, ("annotations", "Annotations")) or source
    frames = first_of(source, ("cropped_aligned", "cropped_aligned_images", "images"))
    if frames is None:
        raise _TREE.error(source, "no folder cropped_aligned")
    videos = _videos(annotations)
    joint = {
        split: path
        for split, names in _MTL.items()
        if (path := first_of(annotations / "MTL_Challenge", names) or first_of(annotations, names))
    }
    if not videos and not joint:
        raise _TREE.error(source, "no lists of a challenge")

    def make() -> Iterator[Entry]:
        for video, lists in videos.items():
            yield from _frames(video, lists, frames)
        if not videos:
            yield from _joint(joint, frames)

    return image_reading(
        make,
        source,
        options,
        _TREE,
        SPACE,
        fields=(*VALENCE_AROUSAL_FIELDS, *ACTION_UNIT_FIELDS, *_SPLIT_FIELDS),
        notes=[_NOTE],
    )


def _videos(annotations: Path) -> dict[str, _Lists]:
    files: dict[str, dict[str, Path]] = {}
    splits: dict[str, dict[str, str]] = {}
    for challenge, names in CHALLENGES.items():
        top = next(
            (
                folder
                for folder in folders(annotations)
                if any(name.lower() in folder.name.lower() for name in names)
            ),
            None,
        )
        for part in folders(top) if top else []:
            split = split_name(part.name)
            if split not in ("train", "valid"):
                continue
            for path in sorted(part.glob("*.txt")):
                files.setdefault(path.stem, {})[challenge] = path
                splits.setdefault(path.stem, {})[challenge] = split
    return {video: _Lists(files[video], splits[video]) for video in sorted(files)}


def _frames(video: str, lists: _Lists, root: Path) -> Iterator[Entry]:
    """The frames of a video, one line of each list for each."""
    present = {path.stem: path for path in pictures(root / video)}
    name = storable(video)
    split = "train" if set(lists.splits.values()) == {"train"} else "valid"
    splits = {f"split_{challenge}": part for challenge, part in lists.splits.items()}
    texts = [_body(path) for path in lists.files.values()]
    lines = 0
    for number, cells in enumerate(zip_longest(*texts, fillvalue=""), 1):
        lines = number
        labels = {key: cell.split(",") for key, cell in zip(lists.files, cells, strict=True)}
        path = present.get(f"{number:05d}")
        frame = f"{name}/{number:05d}"
        if path is None:
            yield LeftOut(frame, name, _NO_FACE if present else "no frames of the video")
            continue
        yield _item(frame, path, name, number, split, splits, labels)
    if extra := sum(stem.isdigit() and int(stem) > lines for stem in present):
        yield LeftOut(name, name, f"frames beyond the last line of the lists: {extra}")


def _body(path: Path) -> Iterator[str]:
    lines = lines_of(path)
    next(lines, None)
    return lines


def _item(
    frame: str,
    path: Path,
    video: str,
    number: int,
    split: str,
    splits: Mapping[str, str],
    labels: Mapping[str, list[str]],
) -> Entry:
    try:
        extra: dict[str, Any] = dict(splits)
        if any(labels.get("va", ())):
            # The mark of a frame to skip may be in one of the two only.
            cells = ["" if float(cell) == -5 else cell for cell in labels["va"]]
            extra |= valence_arousal(*(cells if all(cells) else ["", ""]))
        if any(labels.get("au", ())):
            extra |= action_units(dict(zip(_UNITS, labels["au"], strict=True)))
        code = labels.get("expr", [""])[0].strip()
    except (ValueError, TypeError) as error:
        return LeftOut(frame, video, f"annotation unreadable: {error}")
    label = CODES.get(code)
    if code not in ("", "-1") and label is None:
        return LeftOut(frame, video, f"no label of the corpus: {code!r}")
    if label is None and not any(
        value is not None for key, value in extra.items() if key[:5] != "split"
    ):
        return LeftOut(frame, video, _NOT_ANNOTATED)
    return Item(
        id=frame,
        source=storable(f"{video}/{path.name}"),
        image=path,
        split=split,
        label=label,
        tight=True,
        video=video,
        frame=number,
        # Two faces of one recording stay in one split.
        unit=re.sub(r"_(left|right)$", "", video),
        extra=extra,
    )


def _joint(lists: Mapping[str, Path], root: Path) -> Iterator[Entry]:
    """The lists of the multi-task challenge: one line for each frame that it uses."""
    for split, path in lists.items():
        for line in _body(path):
            if not line:
                continue
            name, *cells = (cell.strip() for cell in line.split(","))
            video, _, file = name.partition("/")
            frame = storable(f"{video}/{Path(file).stem}")
            image = root / video / file
            if not image.is_file():
                yield LeftOut(frame, storable(video), _NO_FACE)
                continue
            labels = {"va": cells[:2], "expr": cells[2:3], "au": cells[3:]}
            stem = Path(file).stem
            number = int(stem) if stem.isdigit() else 0
            splits = {"split_mtl": split}
            yield _item(frame, image, storable(video), number, split, splits, labels)


CORPUS = Corpus(
    name="aff-wild2",
    description="Aff-Wild2 (Kollias et al., 2018 on), the data of ABAW: frames of web videos",
    layout=str(_TREE),
    license_terms="Agreement with the authors: academic research only, no redistribution.",
    commercial_use="no",
    ask="ibug.doc.ic.ac.uk/resources/aff-wild2, by the head of a laboratory",
    read=read,
    label_space=SPACE,
    excluded=(_NO_FACE, _NOT_ANNOTATED),
)
