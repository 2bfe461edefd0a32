"""CK+: posed sequences from neutral to the peak of an expression.

Folders, codes and the text of the label files were read in public loaders: 327 of 593 sequences
have one. The first frame counts as neutral and the last three as the expression, as is usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mien.corpora.dynamic.peaks import last_frames
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, first_of, folders, image_reading, pictures
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["ckplus"]
CODES = dict(enumerate(SPACE.names))
_IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
_LABELS = ("Emotion", "Emotion_labels/Emotion", "Emotion_labels")
_UNLABELED = "sequence without a label"
_TREE = Tree(
    "CK+",
    "  cohn-kanade-images/S005/001/S005_001_00000011.png\n"
    "  Emotion/S005/001/S005_001_00000011_emotion.txt   one number, as 3.0000000e+00:\n"
    f"      {', '.join(f'{code} {name}' for code, name in CODES.items())}",
)


def read(source: Path, options: Options) -> Reading:
    """Read labeled sequences; a sequence is a video of a subject."""
    images, labels = first_of(source, _IMAGES), first_of(source, _LABELS)
    if images is None or labels is None:
        raise _TREE.error(source, "no folder Emotion" if images else "no cohn-kanade-images")
    return image_reading(lambda: _items(images, labels), source, options, _TREE, SPACE)


def _items(images: Path, labels: Path) -> Iterator[Entry]:
    for subject in folders(images):
        for sequence in folders(subject):
            name = storable(f"{subject.name}/{sequence.name}")
            frames = pictures(sequence)
            files = sorted((labels / subject.name / sequence.name).glob("*_emotion.txt"))
            if not files or not frames:
                yield LeftOut(name, name, _UNLABELED if frames else "no frames")
                continue
            try:
                peak = CODES[int(float(files[0].read_text("utf-8-sig").strip()))]
            except (OSError, ValueError, KeyError) as error:
                yield LeftOut(name, name, f"label unreadable: {error}")
                continue
            shown = [(frames[0], "neutral")] if len(frames) > 3 else []
            for path, label in (*shown, *((frame, peak) for frame in last_frames(frames))):
                number = path.stem.rpartition("_")[2]
                yield Item(
                    id=storable(f"{name}/{path.name}"),
                    source=storable(f"{name}/{path.name}"),
                    image=path,
                    split="",
                    subject=storable(subject.name),
                    label=label,
                    video=name,
                    frame=int(number) if number.isdigit() else None,
                )


CORPUS = Corpus(
    name="ckplus",
    description="CK+ (Lucey et al., 2010): 327 labeled posed sequences of 118 subjects",
    layout=str(_TREE),
    license_terms="Agreement with the University of Pittsburgh: research only, no redistribution.",
    commercial_use="no",
    ask="the authors' page, jeffcohn.net/Resources",
    read=read,
    label_space=SPACE,
    color="gray",
    excluded=(_UNLABELED,),
)
