"""The protocols of AVEC on trees of tiny videos: read, prepared, trained, measured, by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_corpora import put
from toy_corpora import five_points
from toy_videos import faceless, write_video

import mien.evaluation.protocol
import mien.preparation.recordings
from mien.corpora.protocols import PROTOCOLS, protocol_of
from mien.data.clips import Clips, even_clips, videos_of
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.evaluation.models import open_model
from mien.evaluation.protocol import evaluate_protocol
from mien.preparation.prepare import prepare
from mien.schema import Box, Face, Preprocessing
from mien.training.protocol import train_protocol

NAMES = ("avec2013", "avec2014", "avec2014-subject-disjoint")

SESSIONS = {
    "203_1": ("Training", 4),
    "203_2": ("Testing", 20),  # the same subject, in two parts, as in the corpus
    "205_1": ("train", 33),
    "206_1": ("train", 8),
    "207_1": ("Development", 12),
    "208_1": ("dev", 41),
    "209_3": ("test", 0),
    "210_1": ("Testing", 63),
    "211_1": ("Training", 27),
    "212_1": ("Development", 5),
}

CHANGES = [
    "backbone={name: test_resnet, arguments: {}}",
    "schedule={epochs: 1}",
    "embedding.size=8",
    "clips={length: 2, stride: 1, per_video: 2}",
    "sampler={batch_size: 4}",
]


class Follower:
    """Finds one face in the middle of every frame; stands in for the detector of videos."""

    def restart(self) -> None: ...

    def close(self) -> None: ...

    def at(self, image: Any, time: float) -> list[Face]:
        height, width = image.shape[:2]
        box = Box(width / 4, height / 4, width / 2, height / 2)
        landmarks = five_points(width / 2, height / 2) + np.float32([width / 4, height / 4])
        return [Face(box=box, landmarks=landmarks, score=0.9)]


def avec_tree(root: Path, corpus: str) -> Path:
    """Videos of a few frames; labels have a space before them, and one a byte order mark."""
    for number, (session, (split, score)) in enumerate(SESSIONS.items()):
        names = (
            [f"{split}/{session}_cut_combined.mp4"]
            if corpus == "avec2013"
            else [
                f"{split}/{task}/{session}_{task}_video.mp4" for task in ("Freeform", "Northwind")
            ]
        )
        for place, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write_video(root / name, faceless(3 + place + number % 2, (64, 64)))
        label = root / "label" / "DepressionLabels" / f"{session}_Depression.csv"
        put(label, f" {score}\n", bom=number == 0)
    return root


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    pytest.importorskip("av")
    made: dict[str, Dataset] = {}

    def dataset(corpus: str) -> Dataset:
        if corpus not in made:
            folder = tmp_path_factory.mktemp(corpus)
            source = avec_tree(folder / "source", corpus)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(mien.preparation.recordings, "VideoFaceDetector", Follower)
                small = Preprocessing(size=32)
                result = prepare(
                    corpus, source, folder / "out", preprocessing=small, fps=None, workers=1
                )
            assert not result.left_out
            made[corpus] = result.dataset
        return made[corpus]

    return dataset


def by_hand(targets: list[float], preds: list[float]) -> dict[str, float]:
    """The errors in plain loops; concordance with 1/n throughout."""
    n = len(targets)
    mean_t, mean_p = sum(targets) / n, sum(preds) / n
    variance_t = sum((t - mean_t) ** 2 for t in targets) / n
    variance_p = sum((p - mean_p) ** 2 for p in preds) / n
    pairs = list(zip(targets, preds, strict=True))
    covariance = sum((t - mean_t) * (p - mean_p) for t, p in pairs) / n
    return {
        "mae": sum(abs(t - p) for t, p in pairs) / n,
        "rmse": math.sqrt(sum((t - p) ** 2 for t, p in pairs) / n),
        "pcc": covariance / math.sqrt(variance_t * variance_p),
        "ccc": 2 * covariance / (variance_t + variance_p + (mean_t - mean_p) ** 2),
    }


def test_the_hand_knows_an_example() -> None:
    errors = by_hand([4, 20, 33, 63], [6, 17, 40, 60])
    assert errors["mae"] == 3.75 and errors["rmse"] == math.sqrt(17.75)
    assert errors["ccc"] == pytest.approx(887 / 904.75)
    assert errors["pcc"] == pytest.approx(443.5 / math.sqrt(468.5 * 435.6875))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_of_avec_runs_whole_and_its_errors_are_right(
    name: str, prepared: Callable[[str], Dataset], tmp_path: Path
) -> None:
    protocol = protocol_of(name)
    dataset = prepared(protocol.corpus)
    per_session = 1 if protocol.corpus == "avec2013" else 2
    assert len(set(dataset.column("video"))) == per_session * len(SESSIONS)
    (view,) = protocol.views(dataset)
    parts = {split: set(view.column("subject")[view.splits == split]) for split in set(view.splits)}
    assert set(parts) == {"train", "valid", "test"}
    shared = parts["train"] & parts["test"]
    assert shared == (set() if "disjoint" in name else {"203"})
    train_protocol("regression", protocol, dataset, tmp_path / "folds", changes=CHANGES, threads=1)
    run = json.loads((tmp_path / "folds" / "summary.json").read_text("utf-8"))["runs"][0]
    assert run["selected_on"]["split"] == "valid" and run["selected_on"]["metric"] == "mae"
    document, _ = evaluate_protocol(tmp_path / "folds", protocol, dataset, draws=20)

    model = open_model(tmp_path / "folds" / "fold-01")
    videos = videos_of(view, "test")
    rows, owners = even_clips(videos, Clips(length=2, stride=1, per_video=2))
    of_clips: dict[int, list[float]] = {}
    for clip, owner in zip(rows, owners, strict=True):
        severity = model.predict(view.crops[clip][None]).heads["severity"][0]
        of_clips.setdefault(int(owner), []).append(float(severity))
    preds = [sum(values) / len(values) for values in of_clips.values()]
    targets = [float(view.column("severity")[start]) for start in videos.starts]
    sessions = {session: float(score) for session, (_, score) in SESSIONS.items()}
    assert targets == [sessions[view.column("session")[start]] for start in videos.starts]
    assert document["n"] == document["folds"][0]["units"] == len(targets)
    assert document["unit"] == "recording" and document["clustered_by"] == "subject"
    assert list(document["metrics"]) == ["mae", "rmse", "pcc", "ccc"]
    for metric, value in by_hand(targets, preds).items():
        assert document["metrics"][metric]["value"] == pytest.approx(value, rel=1e-3, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_given_severities_give_given_errors(
    name: str,
    prepared: Callable[[str], Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    protocol = protocol_of(name)
    dataset = prepared(protocol.corpus)
    train_protocol("regression", protocol, dataset, tmp_path / "folds", changes=CHANGES, threads=1)
    plain = mien.evaluation.protocol.predict_split
    seen: dict[str, list[float]] = {}

    def predicted(*arguments: Any) -> Any:
        predictions = plain(*arguments)
        truth = arguments[1].column("severity")[predictions.rows].astype(float)
        shifts = np.array([2.0, -3.0, 7.0, -3.0] * len(truth))[: len(truth)]
        severity = np.clip(truth + shifts, 0, 63)
        seen["targets"], seen["preds"] = truth.tolist(), severity.tolist()
        return predictions._replace(heads={**predictions.heads, "severity": severity})

    monkeypatch.setattr(mien.evaluation.protocol, "predict_split", predicted)
    document, _ = evaluate_protocol(tmp_path / "folds", protocol, dataset, draws=20)
    for metric, value in by_hand(seen["targets"], seen["preds"]).items():
        assert document["metrics"][metric]["value"] == pytest.approx(value, rel=1e-6)
        assert document["folds"][0]["metrics"][metric] == pytest.approx(value, rel=1e-6)


def test_there_are_nineteen_protocols() -> None:
    assert list(PROTOCOLS) == [
        *("rafdb", "affectnet-7", "affectnet-8", "ferplus", "fer2013", "ckplus-10fold"),
        *("oulu-10fold", "mmi-10fold", "jaffe-loso", "sfew", "abaw-va", "abaw-expr", "abaw-au"),
        *("dfew-5fold", "ferv39k", "mafw-5fold", *NAMES),
    ]


@pytest.mark.slow
def test_selecting_on_test_is_refused_for_recordings(
    prepared: Callable[[str], Dataset], tmp_path: Path
) -> None:
    from mien.training.train import train

    dataset = prepared("avec2014")
    with pytest.raises(MienError, match="--unsafe-select-on-test"):
        train("regression", dataset, tmp_path / "run", changes=CHANGES, select_on="test")
    assert not (tmp_path / "run").exists()
