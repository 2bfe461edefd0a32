"""Corpora of recordings with scores: readers on fakes of their layouts, and their preparation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from toy_videos import cut_short, faceless, moving_face, write_video

from mien.corpora import corpus_of
from mien.corpora.items import LeftOut, Options, VideoItem
from mien.errors import MienError
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing

# session -> split folder and score; subject 203 is in two splits.
SESSIONS = {
    "203_1": ("Training", "4"),
    "203_2": ("Testing", "20"),
    "205_1": ("Training", "33"),
    "207_1": ("Development", "12"),
}


def avec2014(root: Path, sessions=SESSIONS) -> Path:
    """The folders of AVEC2014, with files that are no videos yet."""
    (root / "label" / "DepressionLabels").mkdir(parents=True)
    for session, (split, score) in sessions.items():
        for task in ("Freeform", "Northwind"):
            folder = root / split / task
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{session}_{task}_video.mp4").touch()
        label = root / "label" / "DepressionLabels" / f"{session}_Depression.csv"
        label.write_text(score)
    return root


def read(name: str, source: Path, **options):
    reading = corpus_of(name).read(source, Options(**options))
    entries = list(reading.items())
    assert len(entries) == reading.total
    return reading, {entry.id: entry for entry in entries}


def test_avec2014_has_sessions_tasks_and_official_splits(tmp_path: Path) -> None:
    reading, entries_by_id = read("avec2014", avec2014(tmp_path))
    assert reading.scale is not None and reading.scale.name == "bdi-ii"
    assert len(entries_by_id) == 8
    item = entries_by_id["203_2_Northwind_video"]
    assert isinstance(item, VideoItem)
    assert (item.split, item.subject, item.session) == ("test", "203", "203_2")
    assert (item.severity, item.task) == (20, "northwind")
    assert entries_by_id["207_1_Freeform_video"].split == "valid"
    assert "official splits; 1 subject is in more than one" in reading.notes


def test_one_task_alone(tmp_path: Path) -> None:
    _, entries_by_id = read("avec2014", avec2014(tmp_path), task="freeform")
    assert len(entries_by_id) == 4 and all("Freeform" in name for name in entries_by_id)


def test_splits_by_subject_share_nobody_and_stay(tmp_path: Path) -> None:
    sessions = {
        f"{300 + n}_{k}": ("Training" if k == 1 else "Testing", "9")
        for n in range(10)
        for k in (1, 2)
    }
    root = avec2014(tmp_path, sessions)
    reading, entries_by_id = read("avec2014", root, disjoint=True)
    splits: dict[str, set[str]] = {}
    for item in entries_by_id.values():
        splits.setdefault(item.subject, set()).add(item.split)
    assert all(len(subject_splits) == 1 for subject_splits in splits.values())
    assert sorted(split for subject_splits in splits.values() for split in subject_splits) == (
        ["test"] * 2 + ["train"] * 6 + ["valid"] * 2
    )
    assert {k: v.split for k, v in read("avec2014", root, disjoint=True)[1].items()} == {
        k: v.split for k, v in entries_by_id.items()
    }
    assert any("no subject is in more than one" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("label", "reason"),
    [(None, "no label file"), ("64", "in [0, 63]"), ("high", "expected a number")],
)
def test_labels_that_are_none_leave_their_recording_out(tmp_path: Path, label, reason) -> None:
    root = avec2014(tmp_path)
    path = root / "label" / "DepressionLabels" / "205_1_Depression.csv"
    path.unlink()
    if label is not None:
        path.write_text(label)
    _, entries_by_id = read("avec2014", root)
    left_out = entries_by_id["205_1_Freeform_video"]
    assert isinstance(left_out, LeftOut) and reason in left_out.reason


def test_avec2013_has_one_video_a_session(tmp_path: Path) -> None:
    for split, session in (("train", "203_1"), ("dev", "204_1"), ("test", "205_2")):
        (tmp_path / split).mkdir()
        (tmp_path / split / f"{session}_cut_combined.mp4").touch()
        (tmp_path / f"{session}_Depression.csv").write_text("17")
    (tmp_path / "train" / "notes.mp4").touch()
    _, entries_by_id = read("avec2013", tmp_path)
    assert entries_by_id["205_2_cut_combined"].split == "test"
    assert isinstance(entries_by_id["train/notes.mp4"], LeftOut)
    with pytest.raises(MienError, match="expected AVEC2014"):
        read("avec2014", tmp_path)


def test_daic_woz_has_phq8_and_says_that_it_has_no_videos(tmp_path: Path) -> None:
    (tmp_path / "train_split_Depression_AVEC2017.csv").write_text(
        "Participant_ID,PHQ8_Binary,PHQ8_Score\n300,0,2\n301,1,25\n302,0,4\n"
    )
    (tmp_path / "full_test_split.csv").write_text("Participant_ID,PHQ_Binary,PHQ_Score\n303,1,24\n")
    with pytest.raises(MienError, match="published without videos"):
        read("daic-woz", tmp_path)
    for person in (300, 301, 303):
        (tmp_path / f"{person}_P").mkdir()
        (tmp_path / f"{person}_P" / "video.mp4").touch()
    reading, entries_by_id = read("daic-woz", tmp_path)
    assert reading.scale is not None and reading.scale.top == 24
    assert (entries_by_id["300_P"].severity, entries_by_id["303_P"].split) == (2, "test")
    assert (
        "in [0, 24]" in entries_by_id["301_P"].reason
        and "no video" in entries_by_id["302_P"].reason
    )


def table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_names_videos_scores_and_splits(tmp_path: Path) -> None:
    rows = [
        {"video": "a.mp4", "score": "3", "subject": "x", "split": "train"},
        {"video": "b.mp4", "score": "7", "subject": "y", "split": "holiday"},
        {"video": "c.mp4", "score": "11", "subject": "y", "split": "dev"},
    ]
    reading, entries_by_id = read("recordings", table(tmp_path / "t.csv", rows), scale="10")
    assert reading.scale is not None and (reading.scale.top, reading.scale.bands) == (10, ())
    assert entries_by_id["a.mp4"].path == tmp_path / "a.mp4"
    assert (
        "unknown split" in entries_by_id["b.mp4"].reason
        and "in [0, 10]" in entries_by_id["c.mp4"].reason
    )
    with pytest.raises(MienError, match=r"bdi-ii, phq-8"):
        read("recordings", tmp_path / "t.csv", scale="mine")
    with pytest.raises(MienError, match="columns score and video"):
        read("recordings", table(tmp_path / "u.csv", [{"file": "a", "score": "1"}]))


@pytest.mark.slow
def test_every_frame_is_a_row_or_is_left_out_with_a_reason(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", moving_face(20))
    write_video(tmp_path / "half.mp4", [*moving_face(10), *faceless(10)])
    write_video(tmp_path / "nobody.mp4", faceless(10))
    cut_short(write_video(tmp_path / "cut.avi", moving_face(40)))
    (tmp_path / "none.mp4").write_bytes(b"not a video")
    names = ("good.mp4", "half.mp4", "nobody.mp4", "cut.avi", "none.mp4", "missing.mp4")
    rows = [{"video": name, "score": "5", "subject": name, "split": "train"} for name in names]
    source = table(tmp_path / "t.csv", rows)
    datasets = [
        prepare(
            "recordings",
            source,
            tmp_path / f"out-{workers}",
            preprocessing=Preprocessing(size=32),
            fps=5,
            workers=workers,
        ).dataset
        for workers in (1, 2)
    ]
    dataset = datasets[0]
    assert dataset.info["checksum"] == datasets[1].info["checksum"]
    counts = dataset.info["videos"]
    assert counts["good.mp4"]["frames"] == counts["good.mp4"]["usable"] == 10
    assert (counts["half.mp4"]["frames"], counts["half.mp4"]["usable"]) == (10, 5)
    with (dataset.folder / "left_out.csv").open(encoding="utf-8", newline="") as file:
        left_out = list(csv.DictReader(file))
    frames = [row for row in left_out if "/" in row["id"]]
    assert sum(one["frames"] for one in counts.values()) == len(dataset) + len(frames)
    assert {row["id"] for row in left_out} >= {"none.mp4", "missing.mp4", "cut.avi"}
    assert all(row["reason"] for row in left_out)
    assert (dataset.severity == 5).all() and dataset.scale is not None
    rows_of = np.flatnonzero(dataset.column("video") == "good.mp4")
    assert dataset.column("time")[rows_of] == pytest.approx(np.arange(10) / 5)
