"""Clips of films with one expression each: DFEW, FERV39k and MAFW, as folders of frames.

The lists, their codes or names, and the folders of frames were read in public loaders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import (
    Entry,
    Tree,
    first_of,
    folders,
    image_reading,
    lines_of,
    pictures,
)
from mien.labels import LABEL_SPACES, LabelSpace, canonical_expression

Clip = tuple[str, str]
"""The name of a clip and its label as written in a list."""

FOLDS = 5
DFEW_CODES = {str(code): name for code, name in enumerate(LABEL_SPACES["dfew"].names, 1)}
_FOLD = (pa.field("fold", pa.int32()),)
_FOLD_NOTE = "fold is the set in whose test list a clip is; split is that of the first set"


def _reading(
    folds: Mapping[int, Mapping[str, list[Clip]]],
    find: Callable[[str], Path],
    label_of: Callable[[str], str],
    source: Path,
    options: Options,
    tree: Tree,
    space: LabelSpace,
) -> Reading:
    """The frames of all clips of train and test lists, by number of the fold and split."""

    def make() -> Iterator[Entry]:
        labels: dict[str, str] = {}
        tested: dict[str, int] = {}
        for number, lists in folds.items():
            for split, clips in lists.items():
                for name, label in clips:
                    if labels.setdefault(name, label) != label:
                        labels[name] = ""
                    if split == "test":
                        tested.setdefault(name, number)
        for name in sorted(labels):
            yield from _clip(name, labels[name], tested.get(name))

    def _clip(name: str, text: str, fold: int | None) -> Iterator[Entry]:
        clip, frames = storable(name), pictures(find(name))
        try:
            label = label_of(text)
        except (KeyError, ValueError):
            label = ""
        if label not in space.names or not frames:
            why = "clip without frames" if label else f"no label of the corpus: {text!r}"
            yield LeftOut(clip, clip, why)
            return
        for number, path in enumerate(sorted(frames, key=_number)):
            yield Item(
                id=f"{clip}/{number:06d}",
                source=storable(f"{clip}/{path.name}"),
                image=path,
                split="test" if fold == 1 else "train",
                label=label,
                video=clip,
                frame=number,
                extra={"fold": fold} if len(folds) > 1 else {},
            )

    return image_reading(
        make,
        source,
        options,
        tree,
        space,
        fields=_FOLD if len(folds) > 1 else (),
        notes=[_FOLD_NOTE] if len(folds) > 1 else [],
    )


def _number(path: Path) -> tuple[int, str]:
    """Frames are in the order of the last number in their names: 2.jpg stands before 10.jpg."""
    digits = re.findall(r"\d+", path.stem)
    return (int(digits[-1]) if digits else -1, path.name)


def _sets(find: Callable[[int, str], Path | None]) -> dict[int, dict[str, list[Clip]]]:
    """The lists of the sets that are there, by number and split."""
    sets = {
        number: {split: _list(path) for split in ("train", "test") if (path := find(number, split))}
        for number in range(1, FOLDS + 1)
    }
    return {number: lists for number, lists in sets.items() if "test" in lists}


def _list(path: Path) -> list[Clip]:
    """Lines of a name and a label, parted by a comma or by white space, without the header."""
    clips = []
    for line in lines_of(path):
        cells = [
            cell.strip() for cell in re.split(r",|\s+", line.replace("\\", "/")) if cell.strip()
        ]
        if len(cells) >= 2 and cells[0] != "video_name":
            clips.append((cells[0].removesuffix(".mp4"), cells[1]))
    return clips


_DFEW = Tree(
    "DFEW",
    "  EmoLabel_DataSplit/train(single-labeled)/set_1.csv   video_name,label; set_1 to set_5\n"
    "  EmoLabel_DataSplit/test(single-labeled)/set_1.csv    the label is\n"
    f"      {', '.join(f'{code} {name}' for code, name in DFEW_CODES.items())}\n"
    "  Clip/{clip_224x224,clip_224x224_16f,jpg_256,...}/00001/*.jpg   frames of a clip (also in\n"
    "      parts, Clip/clip_224x224/clip_224x224_part_1/00001/*.jpg)",
)


def _read_dfew(source: Path, options: Options) -> Reading:
    """Read the clips with a single label; faces are tight crops already."""
    lists = source / "EmoLabel_DataSplit"
    folds = _sets(
        lambda number, split: first_of(lists, (f"{split}(single-labeled)/set_{number}.csv",))
    )
    tops = folders(source / "Clip") or [source / "Clip"]
    roots = [root for top in tops for root in (top, *(f for f in folders(top) if "part" in f.name))]
    if not folds or not any(root.is_dir() for root in roots):
        raise _DFEW.error(
            source, "no frames in Clip" if folds else "no lists in EmoLabel_DataSplit"
        )

    def find(name: str) -> Path:
        padded = name.zfill(5)
        return next(
            (root / padded for root in roots if (root / padded).is_dir()), roots[0] / padded
        )

    return _reading(
        folds, find, DFEW_CODES.__getitem__, source, options, _DFEW, LABEL_SPACES["dfew"]
    )


_FERV39K = Tree(
    "FERV39k",
    "  4_setups/All_scenes/train_All.csv, test_All.csv   lines: Action/Angry/0267 Angry\n"
    "  2_ClipsforFaceCrop/Action/Angry/0267/*.jpg        frames of a clip",
)


def _read_ferv39k(source: Path, options: Options) -> Reading:
    """Read train and test over all scenes."""
    folder = source / "4_setups" / "All_scenes"
    lists = {
        split: path
        for split in ("train", "test")
        if (path := first_of(folder, (f"{split}_All.csv",))) is not None
    }
    frames = first_of(source, ("2_ClipsforFaceCrop",))
    if "test" not in lists or frames is None:
        raise _FERV39K.error(source, "no lists" if frames else "no folder 2_ClipsforFaceCrop")
    return _reading(
        {1: {split: _list(path) for split, path in lists.items()}},
        lambda name: frames / name,
        canonical_expression,
        source,
        options,
        _FERV39K,
        LABEL_SPACES["ferv39k"],
    )


_MAFW = Tree(
    "MAFW",
    "  Train & Test Set/single/no_caption/set_1/train.txt, test.txt   lines: 00001.mp4 anger;\n"
    "      set_1 to set_5 (also Train_Test_Set/..., split/...)\n"
    f"      {', '.join(LABEL_SPACES['mafw'].names)}\n"
    "  [data/]frames/00001/*.jpg   frames of a clip (also data/faces)",
)


def _read_mafw(source: Path, options: Options) -> Reading:
    """Read the clips with a single label."""
    tops = ("Train & Test Set", "Train_Test_Set", "split")
    lists = first_of(source, (f"{top}/single/no_caption" for top in tops))
    frames = first_of(source, ("data/faces", "faces", "data/frames", "frames"))
    folds = (
        {}
        if lists is None
        else _sets(lambda number, split: first_of(lists, (f"set_{number}/{split}.txt",)))
    )
    if not folds or frames is None:
        raise _MAFW.error(source, "no frames" if folds else "no lists of sets")
    return _reading(
        folds,
        lambda name: frames / name,
        canonical_expression,
        source,
        options,
        _MAFW,
        LABEL_SPACES["mafw"],
    )


_LICENSE_TERMS = "Agreement with the authors: academic research only, no redistribution."

DFEW, FERV39K, MAFW = (
    Corpus(
        name=name,
        description=description,
        layout=str(tree),
        license_terms=_LICENSE_TERMS,
        commercial_use="no",
        ask=ask,
        read=partial(read),
        label_space=LABEL_SPACES[name],
    )
    for name, description, tree, read, ask in (
        (
            "dfew",
            "DFEW (Jiang et al., 2020): 11,697 clips of films with a single label, 7 classes",
            _DFEW,
            _read_dfew,
            "dfew-dataset.github.io",
        ),
        (
            "ferv39k",
            "FERV39k (Wang et al., 2022): 38,935 clips of 22 scenes, 7 classes",
            _FERV39K,
            _read_ferv39k,
            "wangyanckxx.github.io/Proj_CVPR2022_FERV39k.html",
        ),
        (
            "mafw",
            "MAFW (Liu et al., 2022): 9,172 clips with a single label, 11 classes",
            _MAFW,
            _read_mafw,
            "mafw-database.github.io/MAFW",
        ),
    )
)
