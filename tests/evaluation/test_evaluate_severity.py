"""``mien evaluate`` of severity, on a fake of AVEC2014 whose splits share subjects."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import mien.evaluation.evaluate
from mien.data.clips import videos_of
from mien.data.dataset import FACES_SCHEMA, SEVERITY_FIELD, Dataset
from mien.evaluation.severity import SeverityModel, recordings_of
from mien.labels import LABEL_SPACES
from mien.preparation.write import write_dataset
from mien.scales import RESEARCH_ONLY, SCALES
from mien.schema import Preprocessing
from mien.statistics.recordings import Recordings

# video, split, score, and what the fake model says of each of its frames (two or three).
VIDEOS = [
    ("201_1_Freeform", "train", 10, (9, 9)),
    ("201_1_Northwind", "train", 10, (9, 9)),
    ("202_1_Freeform", "train", 30, (9, 9)),
    ("203_1_Freeform", "train", 50, (9, 9)),
    ("201_2_Freeform", "test", 14, (20, 22)),
    ("201_2_Northwind", "test", 14, (12, 12, 15)),
    ("202_2_Freeform", "test", 28, (28, 30)),
    ("204_1_Freeform", "test", 40, (31, 33)),
    ("205_1_Northwind", "test", 20, (21, 27)),
]
VALID = [(f"{300 + n}_1_Freeform", "valid", 20, (20 + n, 20 + n)) for n in range(10)]


def fake(folder: Path, videos: list[tuple] = VIDEOS + VALID, **changes) -> Path:
    """A dataset whose crops are gray planes: a crop's level is what the model says of it."""
    rows, levels = [], []
    for video, split, score, said in videos:
        subject, _, task = video.split("_")
        for frame, level in enumerate(said):
            row = {"id": f"{video}-{frame}", "source": f"{video}.mp4", "corpus": "fake"}
            row |= {"split": split, "subject": subject, "video": video, "frame": frame}
            rows.append(row | {"alignment": "fixed", "severity": score, "task": task})
            levels.append(level)
    schema = pa.schema([*FACES_SCHEMA, SEVERITY_FIELD, pa.field("task", pa.string())])
    about = {"scale": SCALES["bdi-ii"], "license_terms": "Drawn.", "corpus": "fake"} | changes
    crops = np.tile(np.array(levels, np.uint8)[:, None, None, None], (1, 16, 16, 3))
    write_dataset(
        folder,
        [(pa.Table.from_pylist(rows, schema=schema), crops)],
        rows=len(rows),
        label_space=LABEL_SPACES["ferplus"],
        preprocessing=Preprocessing(size=16),
        **about,
    )
    return folder


def says_the_level(dataset: Dataset, split: str) -> Recordings:
    """The mean level of a recording's frames, and an embedding that is an angle of it."""
    own, videos = recordings_of(dataset, split), videos_of(dataset, split)
    said = np.array(
        [
            dataset.crops[np.arange(start, start + count)].mean()
            for start, count in zip(videos.starts, videos.counts, strict=True)
        ]
    )
    return replace(
        own,
        predictions=said,
        tasks=dataset.column("task")[videos.starts],
        embeddings=np.stack([np.cos(said / 40), np.sin(said / 40)], 1),
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder that says it is of severity; what it opens to is the fake model."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.json").write_text('{"task": "severity"}')

    def opened(place: Path) -> SeverityModel:
        checksum = Dataset.open(tmp_path / "data").info.get("checksum")
        return SeverityModel(
            str(place),
            "Made up.",
            "a fake: Made up.",
            SCALES["bdi-ii"],
            Preprocessing(size=16),
            says_the_level,
            checksum,
        )

    monkeypatch.setattr(mien.evaluation.evaluate, "open_severity", opened)
    return folder


def test_evaluate_reports_the_person_the_unseen_and_the_warning(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    ended = command("evaluate", run, "--data", tmp_path / "data")
    assert ended.code == 0
    report = json.loads((run / "report" / "report.json").read_text())
    # Means of frames 21, 13, 29, 32, 24 for 14, 14, 28, 40, 20: misses 7, 1, 1, 8, 4. By frame the
    # misses were 6, 8, 2, 2, 1, 0, 2, 9, 7, 1, 7: another number.
    assert report["n"] == 5
    assert report["metrics"]["mae"]["value"] == pytest.approx(21 / 5)
    # Training by recording: 10, 10, 30, 50, mean 25. 201 has 10, 202 has 30: misses of the person
    # 4, 4, 2, and |25 - 40|, |25 - 20|.
    assert report["baselines"]["person"]["mae"]["value"] == pytest.approx(30 / 5)
    assert report["baselines"]["mean"]["mae"]["value"] == pytest.approx((11 + 11 + 3 + 15 + 5) / 5)
    assert report["persons"]["seen"]["mae"]["value"] == pytest.approx(9 / 3)
    assert report["persons"]["unseen"]["mae"]["value"] == pytest.approx(12 / 2)
    # 201's second session: mean of 21 and 13 is 17, a miss of 3; the others stay 1, 8, 4.
    assert report["sessions"]["mae"]["value"] == pytest.approx((3 + 1 + 8 + 4) / 4)
    # Ten calibration subjects with misses 0 to 9: the 0.9 * 11 = 9.9th, so the 10th smallest.
    assert report["conformal"]["half_width"] == pytest.approx(9)
    assert report["conformal"]["measured"]["all"]["value"] == 1
    assert report["warnings"][0].startswith(
        "Subjects are shared: 2 of the 4 subjects of split test (3 of 5 recordings) are also in "
        "training"
    )
    # The same three things on the terminal, the warning in the first line.
    first, rest = ended.out.split("\n", 1)
    assert first == f"note: {report['warnings'][0]}"
    assert RESEARCH_ONLY in rest
    assert re.search(r"baseline: person +value .*\nmae +6\.0000", rest)
    assert "subjects in training, 3 recordings, 2 subjects" in rest
    assert "subjects not in training, 2 recordings, 2 subjects" in rest
    assert "knowing only the person" in rest
    assert report["provenance"]["command"].startswith("mien evaluate ")
    assert "was not trained on this dataset" not in str(report["warnings"])


def test_json_is_the_report(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    ended = command("evaluate", run, "--data", tmp_path / "data", "--split", "valid", "--json")
    assert ended.code == 0
    printed = json.loads(ended.out)
    assert printed["task"] == "severity" and printed["use"] == RESEARCH_ONLY
    assert "keep their best epoch by valid" in str(printed["warnings"])
    assert printed == json.loads((run / "report" / "report.json").read_text())


def test_another_dataset_than_the_one_trained_on_is_said(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    other = fake(tmp_path / "other", VIDEOS)
    report = json.loads(command("evaluate", run, "--data", other, "--json").out)
    assert "The model was not trained on this dataset" in str(report["warnings"])
    assert report["conformal"]["half_width"] is None
    alone = fake(tmp_path / "alone", [own for own in VIDEOS if own[1] == "test"])
    report = json.loads(command("evaluate", run, "--data", alone, "--json").out)
    assert report["baselines"] == {} and "has no split train" in str(report["warnings"])


def test_what_does_not_fit_is_refused(command, run, tmp_path) -> None:
    data = fake(tmp_path / "data")
    command("evaluate", run, "--data", data, "--reference", "train").refused("no --reference")
    command("evaluate", run, "--data", data, "--rule", "ferplus").refused("no --rule", "ferplus")
    command("evaluate", run, "--data", data, "--split", "dev").refused("split", "valid", "dev")
    other = fake(tmp_path / "phq", VIDEOS[:1], scale=SCALES["phq-8"])
    command("evaluate", run, "--data", other, "--split", "train").refused("bdi-ii", "phq-8")
    none = fake(tmp_path / "none", VIDEOS[:1], scale=None)
    command("evaluate", run, "--data", none, "--split", "train").refused("with scores")
    assert not (run / "report").exists()


def test_usable_shares_and_lost_videos_come_from_the_description(run, tmp_path) -> None:
    data = fake(tmp_path / "data")
    info = json.loads((data / "dataset.json").read_text())
    info["videos"] = {
        "201_2_Freeform": {"frames": 8, "usable": 2},
        "lost": {"frames": 9, "usable": 0},
    }
    (data / "dataset.json").write_text(json.dumps(info))
    evaluation = mien.evaluation.evaluate.severity_evaluation(run, Dataset.open(data), split="test")
    assert evaluation.recordings.usable[0] == 0.25
    assert np.isnan(evaluation.recordings.usable[1:]).all()
    assert evaluation.left_out == {"no usable frame (of all splits)": 1}


def test_two_runs_of_severity_are_compared(command, run, tmp_path, monkeypatch) -> None:
    fake(tmp_path / "data")
    other, fresh = tmp_path / "other", mien.evaluation.evaluate.open_severity
    other.mkdir()
    (other / "model.json").write_text('{"task": "severity"}')

    def off_by_two(dataset: Dataset, split: str) -> Recordings:
        said = says_the_level(dataset, split)
        return replace(said, predictions=said.predictions + 2)

    def opened(place: Path) -> SeverityModel:
        found = fresh(place)
        return found._replace(predict=off_by_two) if "other" in str(place) else found

    monkeypatch.setattr(mien.evaluation.evaluate, "open_severity", opened)
    ended = command("compare", run, other, "--data", tmp_path / "data", "--out", tmp_path / "to")
    assert ended.code == 0, ended.err
    document = json.loads((tmp_path / "to" / "compare.json").read_text())
    assert document["use"] == RESEARCH_ONLY
    found = document["comparisons"][0]
    # Predictions less scores are 7, -1, 1, -8, 4, and two more: misses 9, 1, 3, 6, 6 for 21.
    assert found["differences"]["mae"]["value"] == pytest.approx((25 - 21) / 5)
    # Squares 81 + 1 + 9 + 36 + 36 and 49 + 1 + 1 + 64 + 16.
    assert found["differences"]["rmse"]["value"] == pytest.approx(32.6**0.5 - 26.2**0.5)
    assert found["unseen"]["mae"]["value"] == pytest.approx((12 - 12) / 2)
    assert found["notes"] == ["one seed: its luck is not in the interval"]
    assert ended.out.startswith("note: Subjects are shared")
    assert "other against run: no difference shown (MAE)" in ended.out
    page = (tmp_path / "to" / "compare.html").read_text()
    assert RESEARCH_ONLY in page and "subjects not in training, 2 recordings" in page


def test_tasks_do_not_mix(command, run, tmp_path) -> None:
    data, empty = fake(tmp_path / "data"), tmp_path / "expressions"
    empty.mkdir()
    command("compare", run, empty, "--data", data).refused("models of one task", "of severity")


@pytest.mark.slow
def test_a_run_that_was_trained_is_evaluated(command, tmp_path) -> None:
    data = fake(tmp_path / "data")
    settings = ["backbone={name: small-3d}", "schedule={epochs: 1, warmup: 0}"]
    settings += ["sampler.batch_size=4", "severity.clips={length: 2, stride: 1, per_video: 1}"]
    options = [part for setting in settings for part in ("--set", setting)]
    folder = tmp_path / "run"
    trained = command("train", "dj-ldml", "--data", data, "--out", folder, *options)
    assert trained.code == 0, trained.err
    ended = command("evaluate", folder, "--data", data)
    assert ended.code == 0, ended.err
    report = json.loads((folder / "report" / "report.json").read_text())
    # Baselines and people do not depend on the model: the numbers of the first test.
    assert report["baselines"]["person"]["mae"]["value"] == pytest.approx(30 / 5)
    assert [report["persons"][name]["n"] for name in ("seen", "unseen")] == [3, 2]
    assert ended.out.startswith("note: Subjects are shared: 2 of the 4 subjects of split test")
    assert set(report["by_task"]) == {"Freeform", "Northwind"}
    assert report["trained_on"] == "fake: Drawn."
    assert "was not trained on this dataset" not in str(report["warnings"])
    # The interval is the one that training has put into the model.
    stored = json.loads((folder / "model.json").read_text())["conformal"]
    assert report["conformal"]["half_width"] == pytest.approx(stored["half_width"], abs=1e-4)
    assert stored["half_width"] > 0
    said = [entry["prediction"] for entry in report["recordings"]]
    misses = [abs(p - s) for p, s in zip(said, (14, 14, 28, 40, 20), strict=True)]
    assert report["metrics"]["mae"]["value"] == pytest.approx(np.mean(misses))


def film(path: Path, shift: int) -> None:
    """Five frames of a photographed face, moved a little so that recordings differ."""
    av = pytest.importorskip("av")
    data = pytest.importorskip("skimage.data")
    picture = np.ascontiguousarray(data.astronaut()[: 256 - shift, 96 : 352 - shift])
    picture = np.pad(picture, ((0, shift), (0, shift), (0, 0)), mode="edge")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 256
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.slow
def test_a_fake_of_avec2014_from_videos_to_the_report(command, tmp_path) -> None:
    tree = tmp_path / "AVEC2014"
    folders = {"train": "Training", "valid": "Development", "test": "Testing"}
    developed = [("206_1_Freeform", "valid", 12, ()), ("207_1_Freeform", "valid", 33, ())]
    for number, (video, split, score, _) in enumerate(VIDEOS + developed):
        subject, session, task = video.split("_")
        film(tree / folders[split] / task / f"{video}_video.mp4", 4 * number)
        label = tree / "DepressionLabels" / f"{subject}_{session}_Depression.csv"
        label.parent.mkdir(exist_ok=True)
        label.write_text(f"{score}\n")
    data, folder = tmp_path / "data", tmp_path / "run"
    options = ["--size", "32", "--workers", "1"]
    made = command("prepare", "avec2014", tree, "--out", data, *options)
    assert made.code == 0, made.err
    settings = ["backbone={name: small-3d}", "schedule={epochs: 1, warmup: 0}"]
    settings += ["sampler.batch_size=4", "severity.clips={length: 2, stride: 1, per_video: 1}"]
    changes = [part for setting in settings for part in ("--set", setting)]
    trained = command("train", "dj-ldml", "--data", data, "--out", folder, *changes)
    assert trained.code == 0, trained.err
    ended = command("evaluate", folder, "--data", data)
    assert ended.code == 0, ended.err
    report = json.loads((folder / "report" / "report.json").read_text())
    # Training 10, 10, 30, 50: the person misses by 4, 4, 2, 15, 5 and the mean 25 as in the first
    # test; 201's two tasks are one session.
    assert report["n"] == 5
    assert report["baselines"]["person"]["mae"]["value"] == pytest.approx(30 / 5)
    assert report["baselines"]["mean"]["mae"]["value"] == pytest.approx(45 / 5)
    assert [report["persons"][name]["n"] for name in ("seen", "unseen")] == [3, 2]
    assert report["warnings"][0].startswith("Subjects are shared: 2 of the 4 subjects")
    assert report["sessions"]["n"] == 4
    assert set(report["by_task"]) == {"freeform", "northwind"}
    assert sum(entry["n"] for entry in report["by_usable"]) == 5
    assert report["conformal"]["reason"].startswith("2 subjects of valid cannot give an interval")
