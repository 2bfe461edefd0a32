"""Readers of recordings with scores, on fakes of their layouts; no video is opened here."""

from collections import defaultdict
from pathlib import Path

import pytest

from mien.corpora import corpus_of
from mien.corpora.items import LeftOut, Options, Reading, VideoItem
from mien.errors import MienError
from mien.scales import SCALES


def read(corpus: str, source: Path, **options: object) -> Reading:
    return corpus_of(corpus).read(source, Options(**options))  # type: ignore[arg-type]


def videos(reading: Reading) -> dict[str, VideoItem]:
    return {entry.id: entry for entry in reading.items() if isinstance(entry, VideoItem)}


def left_out(reading: Reading) -> dict[str, str]:
    return {entry.id: entry.reason for entry in reading.items() if isinstance(entry, LeftOut)}


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


SESSIONS = {"203_1": ("Training", 4), "203_2": ("Testing", 20), "205_1": ("dev", 63)}


@pytest.fixture
def avec2014(tmp_path: Path) -> Path:
    for session, (split, score) in SESSIONS.items():
        for task in ("Freeform", "Northwind"):
            put(tmp_path / split / task / f"{session}_{task}_video.mp4")
        put(tmp_path / "label" / "DepressionLabels" / f"{session}_Depression.csv", f" {score}\n")
    return tmp_path


def test_avec2014(avec2014: Path) -> None:
    reading = read("avec2014", avec2014)
    items_by_id = videos(reading)
    assert len(items_by_id) == reading.total == 6 and reading.scale == SCALES["bdi-ii"]
    one = items_by_id["203_2_Northwind_video"]
    assert (one.subject, one.session, one.task) == ("203", "203_2", "northwind")
    assert (one.split, one.severity) == ("test", 20)
    assert one.source == "Testing/Northwind/203_2_Northwind_video.mp4" and one.path.is_file()
    assert {item.split for item in items_by_id.values()} == {"train", "valid", "test"}
    assert any("official splits; 1 subject is in more" in n for n in reading.notes)
    assert [entry.id for entry in reading.items()] == [entry.id for entry in reading.items()]


def test_one_task_of_avec2014(avec2014: Path) -> None:
    items_by_id = videos(read("avec2014", avec2014, task="freeform"))
    assert len(items_by_id) == 3 and {item.task for item in items_by_id.values()} == {"freeform"}
    with pytest.raises(MienError, match=r"task of AVEC2014 \(freeform, northwind\), got 'reading'"):
        read("avec2014", avec2014, task="reading")


def test_avec2013(tmp_path: Path) -> None:
    put(tmp_path / "Development" / "video" / "207_3_cut_combined.mp4")
    put(tmp_path / "Development" / "207_3_Depression.csv", "0")
    (item,) = videos(read("avec2013", tmp_path)).values()
    assert (item.id, item.split, item.subject) == ("207_3_cut_combined", "valid", "207")
    assert (item.session, item.task, item.severity) == ("207_3", None, 0)


def test_what_avec_lacks_is_told(avec2014: Path) -> None:
    labels = avec2014 / "label" / "DepressionLabels"
    for session, text in [("301_1", "64"), ("302_1", "-1"), ("303_1", "nan"), ("304_1", "low")]:
        put(avec2014 / "train" / "Freeform" / f"{session}_Freeform_video.mp4")
        put(labels / f"{session}_Depression.csv", text)
    put(avec2014 / "train" / "Freeform" / "305_1_Freeform_video.mp4")
    put(avec2014 / "train" / "Freeform" / "306_1_Freeform_video.mp4")
    put(labels / "306_1_Depression.csv")
    put(avec2014 / "train" / "extra.mp4")
    put(avec2014 / "203_9_Freeform_video.mp4")
    put(avec2014 / "train" / "203_1_Depression.csv", "5")
    reading = read("avec2014", avec2014)
    reasons = left_out(reading)
    scores = {"301_1": "got 64", "302_1": "got -1", "303_1": "got nan", "304_1": "got 'low'"}
    for session, text in scores.items():
        reason = reasons[f"{session}_Freeform_video"]
        assert reason.startswith("label unreadable: expected a ") and reason.endswith(text)
    assert reasons["305_1_Freeform_video"] == "no label file"
    assert reasons["306_1_Freeform_video"] == "label unreadable: expected a number, got none"
    assert reasons["train/extra.mp4"] == "not a recording of the corpus, by name or folder"
    assert reasons["203_9_Freeform_video.mp4"] == reasons["train/extra.mp4"]
    assert reasons["203_1_Freeform_video"] == "label files disagree: 4 and 5"
    assert len(videos(reading)) == 4
    # Each file with a video's name is a recording or is left out.
    assert reading.total == 4 + len(reasons) == len(list(avec2014.rglob("*.mp4")))


@pytest.mark.parametrize("corpus", ["avec2013", "avec2014"])
def test_no_avec(tmp_path: Path, corpus: str) -> None:
    put(tmp_path / "a.mp4")
    with pytest.raises(MienError, match=r"no recording with a score in 1 videos and 0 label files"):
        read(corpus, tmp_path)


def test_splits_without_a_subject_in_two(avec2014: Path) -> None:
    for number in range(210, 240):
        for session, split in ((1, "train"), (2, "test")):
            name = f"{number}_{session}"
            put(avec2014 / split / "Freeform" / f"{name}_Freeform_video.mp4")
            put(avec2014 / "label" / f"{name}_Depression.csv", "7")
    reading = read("avec2014", avec2014, disjoint=True, seed=3)
    where = defaultdict(set)
    for item in videos(reading).values():
        where[item.subject].add(item.split)
    assert len(where) == 32 and all(len(splits) == 1 for splits in where.values())
    split_names = [next(iter(splits)) for splits in where.values()]
    assert [split_names.count(name) for name in ("train", "valid", "test")] == [20, 6, 6]
    assert "splits made by subject, seed 3; no subject is in more than one" in reading.notes
    again = {
        i.id: i.split for i in videos(read("avec2014", avec2014, disjoint=True, seed=3)).values()
    }
    assert again == {item.id: item.split for item in videos(reading).values()}
    other = {
        i.id: i.split for i in videos(read("avec2014", avec2014, disjoint=True, seed=4)).values()
    }
    assert other != again
    assert reading.fingerprint != read("avec2014", avec2014).fingerprint


def daic(root: Path, tables: dict[str, str]) -> Path:
    for name, text in tables.items():
        put(root / name, text)
    return root


def test_daic_woz(tmp_path: Path) -> None:
    daic(
        tmp_path,
        {
            "train_split_Depression_AVEC2017.csv": (
                "Participant_ID,PHQ8_Binary,PHQ8_Score,Gender\n303,0,0,0\n304,1,24,1\n305,0,,1\n"
                ",0,3,1\n"
            ),
            "dev_split_Depression_AVEC2017.csv": "participant_ID,PHQ8_Score\n302,25\n",
            "full_test_split.csv": "Participant_ID,PHQ_Binary,PHQ_Score,Gender\n300,0,2,1\n",
        },
    )
    for person in (304, 305, 302, 300):
        put(tmp_path / f"{person}_P" / f"{person}.mp4")
    put(tmp_path / "304_P" / "again.avi")
    reading = read("daic-woz", tmp_path)
    items_by_id = videos(reading)
    assert {name: (item.split, item.severity) for name, item in items_by_id.items()} == {
        "300_P": ("test", 2),
        "304_P": ("train", 24),
    }
    assert items_by_id["304_P"].source == "304_P/304.mp4"
    assert reading.scale == SCALES["phq-8"]
    assert left_out(reading) == {
        "303_P": "no video of the participant",
        "304_P/again.avi": "a second video of the participant",
        "305_P": "label unreadable: expected a number, got none",
        "train_split_Depression_AVEC2017.csv/5": "no participant in the row",
        "302_P": "label unreadable: expected a score of phq-8 in [0, 24], got 25",
    }


def test_extended_daic(tmp_path: Path) -> None:
    text = "Participant_ID,Gender,PHQ_Binary,PHQ_Score,PCL-C (PTSD)\n{},male,0,{},1\n"
    for number, name in enumerate(["train_split.csv", "dev_split.csv", "test_split.csv"]):
        put(tmp_path / name, text.format(600 + number, number))
        put(tmp_path / f"{600 + number}_P" / "v.webm")
    items_by_id = videos(read("daic-woz", tmp_path))
    assert [(i.split, i.severity) for i in items_by_id.values()] == [
        ("train", 0),
        ("valid", 1),
        ("test", 2),
    ]


def test_no_daic(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"the tables of DAIC-WOZ or E-DAIC .*, got none of them"):
        read("daic-woz", tmp_path)
    put(tmp_path / "train_split.csv", "Participant_ID,PHQ_Score\n600,3\n")
    with pytest.raises(MienError, match="published without videos"):
        read("daic-woz", tmp_path)
    put(tmp_path / "train_split.csv", "id,PHQ_Score\n600,3\n")
    with pytest.raises(MienError, match=r"the columns participant_id in .*, got id, phq_score"):
        read("daic-woz", tmp_path)


TABLE = """\ufeffVideo, Subject ,score,split,task
a.mp4,ann,3,train,talk
b/c.webm,bob,24,dev,read
d.mp4,,11.5,test,
d.mp4,ann,2,holdout,talk
e.mp4,ann,25,train,talk
f.mp4,ann,,train,talk
,ann,3,train,talk
"""


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    reading = read("recordings", put(tmp_path / "t.csv", TABLE), scale="phq-8")
    items_by_id = videos(reading)
    assert {n: (i.subject, i.split, i.severity, i.task) for n, i in items_by_id.items()} == {
        "a.mp4": ("ann", "train", 3, "talk"),
        "b/c.webm": ("bob", "valid", 24, "read"),
        "d.mp4": (None, "test", 11.5, None),
    }
    assert items_by_id["b/c.webm"].path == tmp_path / "b" / "c.webm"
    assert left_out(reading) == {
        "d.mp4": "unknown split: 'holdout'",
        "e.mp4": "label unreadable: expected a score of phq-8 in [0, 24], got 25",
        "f.mp4": "label unreadable: expected a number, got none",
        "t.csv/8": "no video in the row",
    }
    assert reading.total == 7 and reading.scale == SCALES["phq-8"]
    assert "the table's splits; no subject is in more than one" in reading.notes
    assert list(videos(read("recordings", tmp_path / "t.csv", task="read"))) == ["b/c.webm"]


def test_the_scale_of_a_table(tmp_path: Path) -> None:
    table = put(tmp_path / "t.csv", "video,score\na.mp4,70\n")
    with pytest.raises(MienError, match=r"expected recordings with a score .*, got none in 1 rows"):
        read("recordings", table)
    scale = read("recordings", table, scale="100").scale
    assert scale is not None and scale.top == 100
    for name in ("hamd", "0", "-3", "2.5"):
        with pytest.raises(MienError, match=f"or its highest score, got '{name}'"):
            read("recordings", table, scale=name)


def test_a_table_without_splits_gets_some_by_subject(tmp_path: Path) -> None:
    rows = "".join(f"{n}.mp4,s{n // 2},{n}\n" for n in range(20))
    reading = read("recordings", put(tmp_path / "t.csv", "video,subject,score\n" + rows))
    where = defaultdict(set)
    for item in videos(reading).values():
        where[item.subject].add(item.split)
    assert len(where) == 10 and all(len(splits) == 1 for splits in where.values())
    assert set.union(*where.values()) == {"train", "valid", "test"}
    assert any("splits made by subject" in note for note in reading.notes)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"expected a CSV of recordings at .*, got no file"):
        read("recordings", tmp_path)
    with pytest.raises(MienError, match=r"the columns score and video in .*, got file, split"):
        read("recordings", put(tmp_path / "t.csv", "file,split\n"))
    (tmp_path / "u.csv").write_bytes(b"video,score\n\xff\xfe.mp4,1\n")
    with pytest.raises(MienError, match="a table as UTF-8 text"):
        read("recordings", tmp_path / "u.csv")
