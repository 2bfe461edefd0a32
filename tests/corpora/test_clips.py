"""Clips as video files, and the votes of a workbook."""

from __future__ import annotations

import builtins
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_corpora import FAKES, put
from toy_corpora import SMALL, ToyDetector
from toy_videos import faceless, write_video

from mien.corpora import corpus_of
from mien.corpora.dynamic.clips import VIDEO_FRAMES
from mien.corpora.dynamic.decoding import evenly
from mien.corpora.dynamic.votes import votes_of
from mien.corpora.items import Item, LeftOut, Options
from mien.errors import MienError
from mien.preparation.prepare import prepare

COLUMNS = {"1happy": "happiness", "2sad": "sadness"}


def entries_of(corpus: str, source: Path) -> list[Any]:
    reading = corpus_of(corpus).read(source, Options())
    entries = list(reading.items())
    assert len(entries) == reading.total
    return entries


@pytest.mark.parametrize("count", [2, 4, 16])
def test_frames_are_taken_evenly_with_bounded_memory(count: int) -> None:
    for length in (0, 1, count - 1, count, count + 1, 2 * count, 7 * count, 1000):
        frames = evenly(iter(range(length)), count)
        assert len(frames) == min(length, count) and frames == sorted(set(frames))
        if length > count:
            gaps = np.diff(frames)
            assert frames[0] == 0 and frames[-1] >= length // 2
            assert gaps.max() <= 2 * max(1, gaps.min())


@pytest.mark.parametrize("corpus", ["dfew", "ferv39k", "mafw"])
def test_clips_may_be_video_files(corpus: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    source = FAKES[corpus](tmp_path)
    folder, video, label = {
        "dfew": ("Clip/clip_224x224/00009", "Clip/original/00009.mp4", "sadness"),
        "ferv39k": (
            "2_ClipsforFaceCrop/Action/Angry/0000",
            "1_LabeledClips/Action/Angry/0000.mp4",
            "anger",
        ),
        "mafw": ("data/frames/00000", "data/clips/00000.mp4", "anger"),
    }[corpus]
    for path in (source / folder).iterdir():
        path.unlink()
    (source / video).parent.mkdir(parents=True)
    write_video(source / video, faceless(40))
    (source / video).with_name("unlisted.mp4").write_bytes(b"not listed, so not read")
    entries = [e for e in entries_of(corpus, source) if isinstance(e, Item)]
    frames = [item for item in entries if isinstance(item.image, np.ndarray)]
    assert len(frames) == VIDEO_FRAMES and {item.label for item in frames} == {label}
    assert [item.frame for item in frames] == list(range(VIDEO_FRAMES))
    levels = [float(np.mean(item.image)) for item in frames]  # type: ignore[arg-type]
    assert levels == sorted(levels) and levels[-1] - levels[0] > 100
    # Where both are there, the frames are read.
    write_video((source / video).with_stem("00010" if corpus != "ferv39k" else "0001"), faceless(4))
    again = [e for e in entries_of(corpus, source) if isinstance(e, Item)]
    assert sum(isinstance(item.image, np.ndarray) for item in again) == VIDEO_FRAMES
    write_video(source / video, faceless(5))
    short = Counter(e.reason for e in entries_of(corpus, source) if isinstance(e, LeftOut))
    assert short["video unreadable or too short"] == VIDEO_FRAMES - 5
    (source / video).write_bytes(b"no video")
    broken = Counter(e.reason for e in entries_of(corpus, source) if isinstance(e, LeftOut))
    assert broken["video unreadable or too short"] == VIDEO_FRAMES


def test_votes_of_a_workbook_are_those_of_its_export(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    source = FAKES["dfew"](tmp_path / "source")
    table = source / "Annotation" / "annotation.csv"
    rows = [line.split(",") for line in table.read_text("utf-8-sig").splitlines()]
    expected = {e.id: e.votes for e in entries_of("dfew", source) if isinstance(e, Item)}
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([int(cell) if cell.isdigit() else cell for cell in row])
    book.save(table.with_suffix(".xlsx"))
    table.unlink()
    got = {e.id: e.votes for e in entries_of("dfew", source) if isinstance(e, Item)}
    assert got == expected and any(got.values())
    dataset = prepare(
        "dfew", source, tmp_path / "out", preprocessing=SMALL, workers=1, detector=ToyDetector
    ).dataset
    assert dataset.vote_names == ("happiness", "sadness", "neutral", "anger", "surprise", "disgust",
                                  "fear")  # fmt: skip
    assert dataset.votes is not None and set(dataset.votes.sum(1).tolist()) == {0, 10}


def test_a_workbook_without_its_package_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "openpyxl":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    (tmp_path / "annotation.xlsx").write_bytes(b"anything")
    monkeypatch.setattr(builtins, "__import__", without)
    votes = votes_of(tmp_path, "annotation", "order", COLUMNS)
    assert not votes and "mien[xlsx]" in votes.notes[0] and "annotation.csv" in votes.notes[0]


def test_a_broken_table_of_votes_is_one_sentence(tmp_path: Path) -> None:
    assert not votes_of(tmp_path, "annotation", "order", COLUMNS)
    table = put(tmp_path / "annotation.csv", "order,1happy\n1,3\n")
    with pytest.raises(MienError, match="got none of 2sad: copy it again") as error:
        votes_of(tmp_path, "annotation", "order", COLUMNS)
    assert "\n" not in str(error.value)
    table.unlink()
    pytest.importorskip("openpyxl")
    (tmp_path / "annotation.xlsx").write_bytes(b"no workbook")
    with pytest.raises(MienError, match="expected a workbook at"):
        votes_of(tmp_path, "annotation", "order", COLUMNS)


def test_votes_in_text_and_numbers_are_the_same(tmp_path: Path) -> None:
    put(tmp_path / "annotation.csv", "Order;1happy;2sad\n00012;7;3\n13.0;;10\n14;1.5;8\n15;-1;9\n")
    votes = votes_of(tmp_path, "annotation", "order", COLUMNS)
    assert votes.of("00012", "happiness") == (7, 3) and votes.of("12", "sadness") is None
    assert votes.of("13", "sadness") == (0, 10)
    assert votes.of("14", "sadness") is None and votes.of("15", "sadness") is None
