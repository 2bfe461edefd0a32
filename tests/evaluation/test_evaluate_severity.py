"""``mien evaluate`` of severity, on a fake of AVEC2014 whose splits share subjects."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from evaluations import Page
from fake_models import info_of

import mien.evaluation.compare
import mien.evaluation.evaluate
import mien.evaluation.predictions
from mien.data.clips import videos_of
from mien.data.dataset import FACES_SCHEMA, SEVERITY_FIELD, Dataset
from mien.evaluation.models import Model, RecordingPredictions
from mien.evaluation.predictions import evaluation_of
from mien.heads.severity import SeverityInfo
from mien.labels import LABEL_SPACES
from mien.models import ClipsInfo
from mien.preparation.write import write_dataset
from mien.scales import RESEARCH_ONLY, SCALES
from mien.schema import Preprocessing

# video, split, score, and what the fake model predicts for each of its frames (two or three).
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


def predict_the_level(
    model: Model, clips: ClipsInfo, dataset: Dataset, split: str, **_: object
) -> RecordingPredictions:
    """The mean level of a recording's frames, and an embedding that is an angle of it."""
    videos = videos_of(dataset, split)
    levels = np.array(
        [
            dataset.crops[np.arange(start, start + count)].mean()
            for start, count in zip(videos.starts, videos.counts, strict=True)
        ]
    ) + OFFSETS.get(model.name, 0)
    return RecordingPredictions(
        videos.names,
        videos.subjects,
        videos.starts,
        {"severity": levels},
        np.stack([np.cos(levels / 40), np.sin(levels / 40)], 1),
    )


OFFSETS = {"other.onnx": 2}
"""What a fake model of that name predicts too much."""


def fake_model(path: object, data: Path) -> Model:
    info = info_of(
        {"severity": SeverityInfo(scale=SCALES["bdi-ii"])},
        preprocessing=Preprocessing(size=16),
        clips=ClipsInfo(length=2, stride=1),
    )
    trained_on = {"corpus": "a fake", "checksum": Dataset.open(data).info.get("checksum")}
    name = Path(str(path)).name
    return Model(name, info, lambda inputs: pytest.fail("recordings are faked"), trained_on)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder; what it and every other path opens to is the fake model."""
    folder = tmp_path / "run"
    folder.mkdir()

    def opened(path: object) -> Model:
        return fake_model(path, tmp_path / "data")

    for module in (mien.evaluation.evaluate, mien.evaluation.compare):
        monkeypatch.setattr(module, "open_model", opened)
    monkeypatch.setattr(mien.evaluation.compare, "read_info", lambda path: opened(path).info)
    monkeypatch.setattr(mien.evaluation.predictions, "predict_recordings", predict_the_level)
    return folder


def severity_of(report: dict) -> dict:
    return report["heads"]["severity"]


def test_evaluate_reports_the_person_the_unseen_and_the_warning(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    ended = command("evaluate", run, "--data", tmp_path / "data")
    assert ended.code == 0
    report = json.loads((run / "report" / "report.json").read_text())
    # Means of frames 21, 13, 29, 32, 24 for 14, 14, 28, 40, 20: misses 7, 1, 1, 8, 4. By frame the
    # misses were 6, 8, 2, 2, 1, 0, 2, 9, 7, 1, 7: another number.
    assert report["n"] == 5
    assert severity_of(report)["metrics"]["mae"]["value"] == pytest.approx(21 / 5)
    # Training by recording: 10, 10, 30, 50, mean 25. 201 has 10, 202 has 30: misses of the person
    # 4, 4, 2, and |25 - 40|, |25 - 20|.
    assert severity_of(report)["baselines"]["subject"]["metrics"]["mae"]["value"] == pytest.approx(
        30 / 5
    )
    assert severity_of(report)["baselines"]["mean"]["metrics"]["mae"]["value"] == pytest.approx(
        (11 + 11 + 3 + 15 + 5) / 5
    )
    assert severity_of(report)["subject_groups"]["seen"]["metrics"]["mae"][
        "value"
    ] == pytest.approx(9 / 3)
    assert severity_of(report)["subject_groups"]["unseen"]["metrics"]["mae"][
        "value"
    ] == pytest.approx(12 / 2)
    # 201's second session: mean of 21 and 13 is 17, a miss of 3; the others stay 1, 8, 4.
    assert severity_of(report)["sessions"]["metrics"]["mae"]["value"] == pytest.approx(
        (3 + 1 + 8 + 4) / 4
    )
    # Ten calibration subjects with misses 0 to 9: the 0.9 * 11 = 9.9th, so the 10th smallest.
    assert severity_of(report)["conformal"]["half_width"] == pytest.approx(9)
    assert severity_of(report)["conformal"]["covered"]["all"]["value"] == 1
    assert report["warnings"][0].startswith(
        "Subjects are shared: 2 of the 4 subjects of split test (3 of 5 recordings) are also in "
        "training"
    )
    # The same three things on the terminal, the warning in the first line.
    first, rest = ended.out.split("\n", 1)
    assert first == f"note: {report['warnings'][0]}"
    assert RESEARCH_ONLY in rest
    assert re.search(r"baseline: subject +value .*\nmae +6\.0000", rest)
    assert "subject in training, 3 recordings, 2 subjects" in rest
    assert "subject not in training, 2 recordings, 2 subjects" in rest
    assert report["provenance"]["command"].startswith("mien evaluate ")
    assert "was not trained on this dataset" not in str(report["warnings"])


def test_json_is_the_report(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    ended = command("evaluate", run, "--data", tmp_path / "data", "--split", "valid", "--json")
    assert ended.code == 0
    printed = json.loads(ended.out)
    assert printed["unit"] == "recording" and severity_of(printed)["use"] == RESEARCH_ONLY
    assert "keep their best epoch by valid" in str(printed["warnings"])
    assert printed == json.loads((run / "report" / "report.json").read_text())


def test_another_dataset_than_the_one_trained_on_is_said(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    other = fake(tmp_path / "other", VIDEOS)
    report = json.loads(command("evaluate", run, "--data", other, "--json").out)
    assert "The model was not trained on this dataset" in str(report["warnings"])
    assert severity_of(report)["conformal"]["half_width"] is None
    alone = fake(tmp_path / "alone", [own for own in VIDEOS if own[1] == "test"])
    report = json.loads(command("evaluate", run, "--data", alone, "--json").out)
    assert severity_of(report)["baselines"] == {} and "has no split train" in str(
        report["warnings"]
    )


def test_what_does_not_fit_is_refused(command, run, tmp_path) -> None:
    data = fake(tmp_path / "data")
    command("evaluate", run, "--data", data, "--reference", "train").refused("no --reference")
    command("evaluate", run, "--data", data, "--rule", "ferplus").refused("no --rule", "ferplus")
    command("evaluate", run, "--data", data, "--split", "dev").refused("split", "valid", "dev")
    other = fake(tmp_path / "phq", VIDEOS[:1], scale=SCALES["phq-8"])
    command("evaluate", run, "--data", other, "--split", "train").refused("bdi-ii", "phq-8")
    none = fake(tmp_path / "none", VIDEOS[:1], scale=None)
    command("evaluate", run, "--data", none, "--split", "train").refused("a score")
    assert not (run / "report").exists()


def test_usable_shares_and_lost_videos_come_from_the_description(run, tmp_path) -> None:
    data = fake(tmp_path / "data")
    info = json.loads((data / "dataset.json").read_text())
    info["videos"] = {
        "201_2_Freeform": {"frames": 8, "usable": 2},
        "lost": {"frames": 9, "usable": 0},
    }
    (data / "dataset.json").write_text(json.dumps(info))
    model = fake_model(run, data)
    evaluation = evaluation_of(model, Dataset.open(data), run, split="test", rule="majority")
    arrays = evaluation.heads["severity"]
    assert arrays.usable[0] == 0.25 and np.isnan(arrays.usable[1:]).all()
    assert evaluation.left_out == {"no usable frame (of all splits)": 1}
    assert arrays.tasks.tolist() == [video.split("_")[2] for video, split, *_ in VIDEOS[4:]]


def test_models_of_severity_are_compared(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    options = ("--data", tmp_path / "data", "--out", tmp_path / "to")
    ended = command("compare", run, "other.onnx", *options)
    assert ended.code == 0, ended.err
    document = json.loads((tmp_path / "to" / "compare.json").read_text())
    head = document["heads"]["severity"]
    assert head["use"] == RESEARCH_ONLY
    [found] = head["comparisons"]
    # Predictions less scores are 7, -1, 1, -8, 4, and two more: misses 9, 1, 3, 6, 6 for 21.
    assert found["metrics"]["mae"]["value"] == pytest.approx((25 - 21) / 5)
    # Squares 81 + 1 + 9 + 36 + 36 and 49 + 1 + 1 + 64 + 16.
    assert found["metrics"]["rmse"]["value"] == pytest.approx(32.6**0.5 - 26.2**0.5)
    assert found["unseen"]["mae"]["value"] == pytest.approx((12 - 12) / 2)
    assert "luck" in found["metrics"]["mae"]["reason"]
    assert "--rule" not in document["provenance"]["command"]
    assert ended.out.startswith("note: Subjects are shared")
    assert "other against run: no difference shown (MAE)" in ended.out
    page = Page((tmp_path / "to" / "compare.html").read_text())
    assert RESEARCH_ONLY in page.text
    assert page.row("other less run subjects not in training, 2 recordings")[1].startswith("0.00 ")


@pytest.mark.slow
def test_a_run_that_was_trained_is_evaluated(command, tmp_path) -> None:
    data = fake(tmp_path / "data")
    settings = ["backbone={name: small-3d}", "schedule={epochs: 1, warmup: 0}"]
    settings += ["sampler.batch_size=4", "clips={length: 2, stride: 1, per_video: 1}"]
    options = [part for setting in settings for part in ("--set", setting)]
    folder = tmp_path / "run"
    trained = command("train", "dj-ldml", "--data", data, "--out", folder, *options)
    assert trained.code == 0, trained.err
    ended = command("evaluate", folder, "--data", data)
    assert ended.code == 0, ended.err
    report = json.loads((folder / "report" / "report.json").read_text())
    # Baselines and people do not depend on the model: the numbers of the first test.
    assert severity_of(report)["baselines"]["subject"]["metrics"]["mae"]["value"] == pytest.approx(
        30 / 5
    )
    assert [severity_of(report)["subject_groups"][name]["n"] for name in ("seen", "unseen")] == [
        3,
        2,
    ]
    assert ended.out.startswith("note: Subjects are shared: 2 of the 4 subjects of split test")
    assert set(severity_of(report)["by_task"]) == {"Freeform", "Northwind"}
    assert report["provenance"]["trained_on"].startswith("fake: ")
    assert "was not trained on this dataset" not in str(report["warnings"])
    # The interval is the one that training has put into the model.
    stored = json.loads((folder / "model.json").read_text())["heads"]["severity"]["conformal"]
    assert severity_of(report)["conformal"]["half_width"] == pytest.approx(
        stored["half_width"], abs=1e-4
    )
    assert stored["half_width"] > 0
    predictions = [entry["prediction"] for entry in severity_of(report)["recordings"]]
    misses = [abs(p - s) for p, s in zip(predictions, (14, 14, 28, 40, 20), strict=True)]
    assert severity_of(report)["metrics"]["mae"]["value"] == pytest.approx(np.mean(misses))


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
    settings += ["sampler.batch_size=4", "clips={length: 2, stride: 1, per_video: 1}"]
    changes = [part for setting in settings for part in ("--set", setting)]
    trained = command("train", "dj-ldml", "--data", data, "--out", folder, *changes)
    assert trained.code == 0, trained.err
    ended = command("evaluate", folder, "--data", data)
    assert ended.code == 0, ended.err
    report = json.loads((folder / "report" / "report.json").read_text())
    # Training 10, 10, 30, 50: the person misses by 4, 4, 2, 15, 5 and the mean 25 as in the first
    # test; 201's two tasks are one session.
    assert report["n"] == 5
    assert severity_of(report)["baselines"]["subject"]["metrics"]["mae"]["value"] == pytest.approx(
        30 / 5
    )
    assert severity_of(report)["baselines"]["mean"]["metrics"]["mae"]["value"] == pytest.approx(
        45 / 5
    )
    assert [severity_of(report)["subject_groups"][name]["n"] for name in ("seen", "unseen")] == [
        3,
        2,
    ]
    assert report["warnings"][0].startswith("Subjects are shared: 2 of the 4 subjects")
    assert severity_of(report)["sessions"]["n"] == 4
    assert set(severity_of(report)["by_task"]) == {"freeform", "northwind"}
    assert sum(entry["n"] for entry in severity_of(report)["by_usable"]) == 5
    assert severity_of(report)["conformal"]["reason"].startswith(
        "2 subjects of valid cannot give an interval"
    )


def test_others_results_are_given_for_context_with_their_source(command, run, tmp_path) -> None:
    fake(tmp_path / "data", corpus="avec2014")
    assert command("evaluate", run, "--data", tmp_path / "data").code == 0
    report = json.loads((run / "report" / "report.json").read_text())
    entry = severity_of(report)
    of_method = {result["method"]: result for result in entry["published"]}
    second_hand = of_method["STA-DRN (Pan et al., 2024)"]
    assert (second_hand["mae"], second_hand["rmse"]) == (6.00, 7.75)
    assert second_hand["source"].startswith("second-hand")
    text = Page((run / "report" / "report.html").read_text("utf-8")).text
    assert "Lopez-Otero et al. (2015)" in text and "to be checked" in text
    assert "STA-DRN" in text and "for context, not for a ranking" in text


def test_other_corpora_have_no_context(command, run, tmp_path) -> None:
    fake(tmp_path / "data")
    assert command("evaluate", run, "--data", tmp_path / "data").code == 0
    entry = severity_of(json.loads((run / "report" / "report.json").read_text()))
    assert entry["published"] == [] and entry["shared_subjects"] == ""
    assert "Lopez-Otero" not in (run / "report" / "report.html").read_text("utf-8")


def test_a_run_that_keeps_its_last_epoch_chose_none_on_valid(
    command, run, tmp_path, monkeypatch
) -> None:
    fake(tmp_path / "data")
    model = fake_model("m", tmp_path / "data")
    last = model._replace(info=model.info.model_copy(update={"selected_on": {"keep": "last"}}))
    monkeypatch.setattr(mien.evaluation.evaluate, "open_model", lambda _: last)
    evaluated = command("evaluate", run, "--data", tmp_path / "data", "--split", "valid", "--json")
    assert "best epoch" not in str(json.loads(evaluated.out)["warnings"])
