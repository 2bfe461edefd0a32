"""Every option of ``mien prepare``, on every corpus: it changes something or is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_corpora import FAKES, ferplus, put
from toy_corpora import SMALL, ToyDetector, class_folders, digests, png

from mien.corpora import CORPORA, corpus_of
from mien.corpora.items import Options
from mien.errors import MienError
from mien.preparation.effects import OF_IMAGES
from mien.preparation.prepare import prepare
from mien.schema import Box, Face, UInt8Array


class Misses(ToyDetector):
    """The detector that mien takes by itself here: it misses the faces of some pictures."""

    def __call__(self, image: UInt8Array) -> list[Face]:
        return [] if int(image[..., 0].sum()) % 3 == 0 else super().__call__(image)


class Elsewhere(ToyDetector):
    """Finds a face in every picture, in another place than that one."""

    def __init__(self, *, thorough: bool = False) -> None:
        self.thorough = thorough

    def __call__(self, image: UInt8Array) -> list[Face]:
        height, width = image.shape[:2]
        points = np.array([[0.4, 0.4], [0.6, 0.4], [0.5, 0.5], [0.45, 0.6], [0.55, 0.6]])
        scaled = (points * [width, height]).astype(np.float32)
        return [Face(box=Box(0, 0, width, height), score=0.7, landmarks=scaled)]


OPTIONS: dict[str, dict[str, Any]] = {
    "tight": {"tight": True},
    "classes": {"classes": ["fear", "anger"]},
    "valid-from-train": {"valid_from_train": 0.4},
    "landmarks": {"landmarks": True},
    "align": {"align": True},
    "max-pixels": {"max_pixels": 100},
    "detector": {"detector": Elsewhere},
    "thorough": {"detector": partial(Elsewhere, thorough=True)},
    "seed": {"seed": 7},
    "fps": {"fps": 2.0},
    "task": {"task": "freeform"},
    "scale": {"scale": "phq-8"},
    "subject-disjoint": {"disjoint": True},
}
"""A value of each option, by its name on the command line, that is not the default."""


def avec2013(root: Path) -> Path:
    for number in range(10):
        session = f"{200 + number}_1"
        split = ("train", "dev", "test")[number % 3]
        put(root / split / f"{session}_cut_combined.mp4", "")
        put(root / f"{session}_Depression.csv", "7")
    return root


def avec2014(root: Path) -> Path:
    for number in range(10):
        session = f"{200 + number}_1"
        for task in ("Freeform", "Northwind"):
            put(root / ("train", "dev", "test")[number % 3] / task / f"{session}_{task}.mp4", "")
        put(root / f"{session}_Depression.csv", "7")
    return root


def daic_woz(root: Path) -> Path:
    for name in ("train", "dev", "test"):
        people = [f"{name}{number}" for number in range(4)]
        put(root / f"{name}_split.csv", "\n".join(["Participant_ID,PHQ_Score", *(
            f"{person},3" for person in people)]))  # fmt: skip
        for person in people:
            put(root / f"{person}_P" / "a.mp4", "")
    return root


def recordings(root: Path, *, with_splits: bool = True) -> Path:
    lines = ["video,score,subject,task,split" if with_splits else "video,score,subject,task"]
    for number in range(10):
        task = ("freeform", "northwind")[number % 2]
        split = f",{('train', 'valid', 'test')[number % 3]}" if with_splits else ""
        lines.append(f"{number}.mp4,3,s{number},{task}{split}")
        put(root / f"{number}.mp4", "")
    return put(root / "table.csv", "\n".join(lines))


def folder(root: Path) -> Path:
    """Photos, one of which is so small that a face fills it."""
    class_folders(root, ["anger", "fear", "sadness"], 4)
    (root / "fear" / "000.png").write_bytes(png(3, side=24))
    return root


def diffusionfer(root: Path) -> Path:
    root.mkdir()
    columns = {
        "name": [f"{index}.jpg" for index in range(12)],
        "image": [png(index, side=24 if index == 3 else 120) for index in range(12)],
        "expression": ["neutral", "happy"] * 6,
        "valence": [0.5] * 12,
        "arousal": [0.5] * 12,
    }
    pq.write_table(pa.table(columns), root / "faces-train.parquet")
    return root


IMAGES: dict[str, Callable[[Path], Path]] = {
    **FAKES,
    "ferplus": ferplus,
    "diffusionfer": diffusionfer,
    "folder": folder,
}
RECORDINGS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "avec2013": ("avec2013", avec2013),
    "avec2014": ("avec2014", avec2014),
    "daic-woz": ("daic-woz", daic_woz),
    "recordings": ("recordings", recordings),
    "recordings without splits": ("recordings", partial(recordings, with_splits=False)),
}


def refused(error: MienError, option: str) -> bool:
    """Whether one sentence names the option; --valid-from-train is refused beside --classes."""
    return (
        f"--{option}" in str(error)
        or f"{option} for" in str(error)
        or f"a {option} of" in str(error)
    )


def test_every_corpus_is_covered() -> None:
    assert {*IMAGES, *(corpus for corpus, _ in RECORDINGS.values())} == set(CORPORA)


@pytest.mark.slow
@pytest.mark.parametrize("corpus", IMAGES)
def test_an_option_changes_a_dataset_or_is_refused(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.preparation.prepare.FaceDetector", Misses)
    settings: dict[str, Any] = {"preprocessing": SMALL, "workers": 1, "detector": Misses}
    source = IMAGES[corpus](tmp_path / "source")
    plain = prepare(corpus, source, tmp_path / "plain", **settings)
    before = {name: digests(plain.dataset.folder)[name] for name in COMPARED}
    for option, values in OPTIONS.items():
        try:
            prepare(corpus, source, tmp_path / option, **(settings | values))
        except MienError as error:
            nothing_left = "got none in" in str(error)  # of pictures with too many pixels
            assert refused(error, option) or (option == "max-pixels" and nothing_left), option
            assert not (tmp_path / option).exists()
            continue
        after = digests(tmp_path / option)
        assert {name: after[name] for name in COMPARED} != before, option


COMPARED = ("faces.parquet", "crops.npy", "left_out.csv")


@pytest.mark.parametrize("name", RECORDINGS)
def test_an_option_changes_what_is_read_of_recordings_or_is_refused(
    name: str, tmp_path: Path
) -> None:
    corpus, make = RECORDINGS[name]
    source = make(tmp_path / "source")

    def read(**values: Any) -> list[Any]:
        reading = corpus_of(corpus).read(source, Options(**values))
        entries = [(e.id, e.split, e.severity, e.task) for e in reading.items()]  # type: ignore[union-attr]
        return [entries, reading.scale, reading.notes]

    plain = read()
    for option, values in OPTIONS.items():
        with pytest.raises(MienError) as error:  # no video can be opened here
            prepare(corpus, source, tmp_path / option, workers=1, **values)
        if not refused(error.value, option):
            assert option not in OF_IMAGES
            assert read(**values) != plain, option
