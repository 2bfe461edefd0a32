"""Clips of films with one expression each: DFEW, FERV39k and MAFW, as frames or as video files.

The lists, their codes or names, the folders of frames and of videos, and the columns of DFEW's
votes were read in public loaders; what videos of FERV39k are called is general knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from mien.corpora.dynamic.decoding import decoded, evenly, is_video
from mien.corpora.dynamic.votes import Votes, votes_of
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
from mien.faces.kinds import VIDEO_SUFFIXES
from mien.labels import LABEL_SPACES, LabelSpace, canonical_expression

Clip = tuple[str, str]
"""The name of a clip and its label as written in a list."""

FOLDS = 5
VIDEO_FRAMES = 16
"""How many frames of a video file are read, evenly, as in DFEW's folders of 16 frames."""

DFEW_CODES = {str(code): name for code, name in enumerate(LABEL_SPACES["dfew"].names, 1)}
_DFEW_VOTES = dict(
    zip(
        ("1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear"),
        LABEL_SPACES["dfew"].names,
        strict=True,
    )
)
_FOLD = (pa.field("fold", pa.int32()),)
_FOLD_NOTE = "fold is the set in whose test list a clip is; split is that of the first set"
_VIDEO_NOTE = f"of clips that are video files {VIDEO_FRAMES} frames are read, at even distances"


@dataclass(frozen=True)
class _Corpus:
    """What is read in a source: lists by number of the fold and split, and where clips may be.

    ``roots`` hold a folder of frames for each clip, or a video file; ``label_of`` names the label
    of a list. ``votes`` are those of a clip, by its name.
    """

    tree: Tree
    space: LabelSpace
    folds: Mapping[int, Mapping[str, list[Clip]]]
    roots: Sequence[Path]
    label_of: Callable[[str], str]
    path_of: Callable[[str], str] = str
    votes: Votes = field(default_factory=Votes)


def _reading(corpus: _Corpus, source: Path, options: Options) -> Reading:
    """The frames of all clips of train and test lists."""
    folds = corpus.folds

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
        clip, frames = storable(name), _frames(corpus, name)
        try:
            label = corpus.label_of(text)
        except (KeyError, ValueError):
            label = ""
        if label not in corpus.space.names or not frames:
            why = "clip without frames" if label else f"no label of the corpus: {text!r}"
            yield LeftOut(clip, clip, why)
            return
        votes = corpus.votes.of(name, label)
        for number, path in enumerate(frames):
            yield Item(
                id=f"{clip}/{number:06d}",
                source=storable(f"{clip}/{path.name}"),
                image=path,
                split="test" if fold == 1 else "train",
                label=label,
                votes=votes,
                video=clip,
                frame=number,
                extra={"fold": fold} if len(folds) > 1 else {},
            )

    notes = [*([_FOLD_NOTE] if len(folds) > 1 else []), *corpus.votes.notes]
    firsts = (name for lists in folds.values() for name, _ in lists["test"][:1])
    if any(is_video(frame) for name in firsts for frame in _frames(corpus, name)[:1]):
        notes.append(_VIDEO_NOTE)
    reading = image_reading(
        make,
        source,
        options,
        corpus.tree,
        corpus.space,
        fields=_FOLD if len(folds) > 1 else (),
        notes=notes,
        vote_names=corpus.space.names if corpus.votes else (),
    )
    return decoded(reading, lambda frames: evenly(frames, VIDEO_FRAMES))


def _frames(corpus: _Corpus, name: str) -> list[Path]:
    """The frames of a clip in their order; a video file as often as frames are read of it."""
    for root in corpus.roots:
        if frames := pictures(root / corpus.path_of(name)):
            return sorted(frames, key=_number)
    video = _video(corpus, name)
    return [] if video is None else [video] * VIDEO_FRAMES


def _video(corpus: _Corpus, name: str) -> Path | None:
    paths = (
        root / f"{corpus.path_of(name)}{suffix}"
        for root in corpus.roots
        for suffix in sorted(VIDEO_SUFFIXES)
    )
    return next((path for path in paths if path.is_file()), None)


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
            clips.append((re.sub(r"\.(mp4|avi)$", "", cells[0]), cells[1]))
    return clips


def _present(source: Path, names: Sequence[str]) -> list[Path]:
    return [path for name in names if (path := source / name).is_dir()]


_DFEW = Tree(
    "DFEW",
    "  EmoLabel_DataSplit/train(single-labeled)/set_1.csv   video_name,label; set_1 to set_5\n"
    "  EmoLabel_DataSplit/test(single-labeled)/set_1.csv    the label is\n"
    f"      {', '.join(f'{code} {name}' for code, name in DFEW_CODES.items())}\n"
    "  Clip/{clip_224x224,clip_224x224_16f,jpg_256,...}/00001/*.jpg   frames of a clip (also in\n"
    "      parts, Clip/clip_224x224/clip_224x224_part_1/00001/*.jpg), or video files,\n"
    "      Clip/{clip_224x224_avi,original}/00001.mp4 (extra video)\n"
    "  Annotation/annotation.xlsx   optional: order, 1happy, 2sad, ..., 7fear, the votes of each\n"
    "      clip (extra xlsx, or saved as annotation.csv)",
)


def _read_dfew(source: Path, options: Options) -> Reading:
    """Read the clips with a single label; frames are preferred to videos of the same clip."""
    lists = source / "EmoLabel_DataSplit"
    folds = _sets(
        lambda number, split: first_of(lists, (f"{split}(single-labeled)/set_{number}.csv",))
    )
    tops = folders(source / "Clip")
    roots = [root for top in tops for root in (top, *(f for f in folders(top) if "part" in f.name))]
    if not folds or not roots:
        raise _DFEW.error(
            source, "no frames in Clip" if folds else "no lists in EmoLabel_DataSplit"
        )
    space = LABEL_SPACES["dfew"]
    votes = votes_of(source / "Annotation", "annotation", "order", _DFEW_VOTES)
    codes, padded = DFEW_CODES.__getitem__, lambda name: name.zfill(5)
    return _reading(_Corpus(_DFEW, space, folds, roots, codes, padded, votes), source, options)


_FERV39K = Tree(
    "FERV39k",
    "  4_setups/All_scenes/train_All.csv, test_All.csv   lines: Action/Angry/0267 Angry\n"
    "  2_ClipsforFaceCrop/Action/Angry/0267/*.jpg        frames of a clip, or video files,\n"
    "      {1_LabeledClips,0_7_LabeledClips,clips}/Action/Angry/0267.mp4 (extra video)\n"
    "  also below a folder FERV39k",
)


def _read_ferv39k(source: Path, options: Options) -> Reading:
    """Read train and test over all scenes."""
    top = first_of(source, ("4_setups", "FERV39k/4_setups")) or source / "4_setups"
    lists = {
        split: path
        for split in ("train", "test")
        if (path := first_of(top / "All_scenes", (f"{split}_All.csv",))) is not None
    }
    names = ("2_ClipsforFaceCrop", "1_LabeledClips", "0_7_LabeledClips", "clips")
    roots = _present(top.parent, names)
    if "test" not in lists or not roots:
        raise _FERV39K.error(source, "no lists" if roots else "no folder 2_ClipsforFaceCrop")
    folds = {1: {split: _list(path) for split, path in lists.items()}}
    space = LABEL_SPACES["ferv39k"]
    corpus = _Corpus(_FERV39K, space, folds, roots, canonical_expression)
    return _reading(corpus, source, options)


_MAFW = Tree(
    "MAFW",
    "  Train & Test Set/single/no_caption/set_1/train.txt, test.txt   lines: 00001.mp4 anger;\n"
    "      set_1 to set_5 (also Train_Test_Set/..., split/..., anno/..., label/no_caption/...)\n"
    f"      {', '.join(LABEL_SPACES['mafw'].names)}\n"
    "  [data/]frames/00001/*.jpg   frames of a clip (also data/faces), or video files,\n"
    "      [data/]clips/00001.mp4 (extra video)",
)


def _read_mafw(source: Path, options: Options) -> Reading:
    """Read the clips with a single label; tables such as single.xlsx are not needed."""
    tops = ("Train & Test Set/single", "Train_Test_Set/single", "split/single", "anno/single")
    lists = first_of(source, (f"{top}/no_caption" for top in (*tops, "label")))
    names = ("faces", "frames", "frames_crop_align_224", "clips", "clips/unzip")
    roots = _present(source, [f"{top}{name}" for name in names for top in ("data/", "")])
    folds = (
        {}
        if lists is None
        else _sets(
            lambda number, split: first_of(
                lists, (f"set_{number}/{split}.txt", f"set_{number}/{split}.csv")
            )
        )
    )
    if not folds or not roots:
        raise _MAFW.error(source, "no frames" if folds else "no lists of sets")
    space = LABEL_SPACES["mafw"]
    return _reading(_Corpus(_MAFW, space, folds, roots, canonical_expression), source, options)


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
