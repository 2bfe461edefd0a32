"""Oulu-CASIA: 80 subjects, six posed expressions, from neutral to the peak.

Folders were read in public loaders. The last three frames count as the expression, visible light
and strong illumination, as is usual; a sequence has no label of its own for neutral.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mien.corpora.dynamic.peaks import last_frames
from mien.corpora.items import Corpus, Item, LeftOut, Options, Reading, storable
from mien.corpora.reading import Entry, Tree, first_of, folders, image_reading, pictures
from mien.labels import LABEL_SPACES

SPACE = LABEL_SPACES["oulu"]
_TOPS = [
    f"{top}{kind}"
    for top in ("", "OriginalImg/", "PreProcess_Img/", "B_OriginalImg/", "A_PreProcess_Img/")
    for kind in ("VL/Strong", "VL_Acropped/Strong", "VL_Cropped/Strong", "Strong")
]
_TREE = Tree(
    "Oulu-CASIA",
    "  [OriginalImg/|PreProcess_Img/]{VL,VL_Acropped}/Strong/P001/Anger/000.jpeg\n"
    "      P001 to P080; Anger, Disgust, Fear, Happiness, Sadness, Surprise",
)


def read(source: Path, options: Options) -> Reading:
    """Read the peaks of all sequences."""
    root = first_of(source, _TOPS)
    if root is None:
        raise _TREE.error(source)
    return image_reading(lambda: _items(root), source, options, _TREE, SPACE)


def _items(root: Path) -> Iterator[Entry]:
    cropped = "cropped" in root.parent.name.lower()
    for subject in folders(root):
        for sequence in folders(subject):
            name = storable(f"{subject.name}/{sequence.name}")
            frames = pictures(sequence)
            try:
                label = SPACE.names[SPACE.index(sequence.name)]
            except ValueError:
                yield LeftOut(name, name, f"folder of no class of the corpus: {sequence.name}")
                continue
            if not frames:
                yield LeftOut(name, name, "no frames")
            for path in last_frames(frames):
                yield Item(
                    id=storable(f"{name}/{path.name}"),
                    source=storable(f"{name}/{path.name}"),
                    image=path,
                    split="",
                    subject=storable(subject.name),
                    label=label,
                    tight=cropped,
                    video=name,
                    frame=int(path.stem) if path.stem.isdigit() else None,
                )


CORPUS = Corpus(
    name="oulu-casia",
    description="Oulu-CASIA (Zhao et al., 2011): 480 posed sequences, 80 subjects, 6 classes",
    layout=str(_TREE),
    license_terms="Agreement with the University of Oulu: research only, no redistribution.",
    commercial_use="no",
    ask="the Center for Machine Vision and Signal Analysis, University of Oulu",
    read=read,
    label_space=SPACE,
)
