"""What each person in a video shows: tracks, shares of time, severity of clips, and reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_models import info_of
from severity_models import LENGTH, SIZE, write_severity_model
from toy_videos import cut_short, faceless, write_video

from mien.errors import MienError
from mien.faces.partial_image import BLANK
from mien.faces.video import Frame
from mien.heads.expression import ExpressionInfo
from mien.inference.clips import ClipReader
from mien.inference.curves import MOST_STEPS, Curve
from mien.inference.model import OnnxModel, open_onnx
from mien.inference.persons import Person
from mien.inference.predictor import Predictor
from mien.inference.rows import Rows
from mien.inference.videos import VideoPredictions, predict_video
from mien.labels import LabelSpace
from mien.metrics.aggregation import Aggregate
from mien.models import ClipsInfo
from mien.schema import Box, Face, ModelOutput, Pose, Prediction, Preprocessing, Status, UInt8Array

from .conftest import WriteModel, description, picture

FIVE = np.array([(30, 40), (70, 40), (50, 60), (35, 80), (65, 80)], np.float32)


class Seen:
    """Says where faces are at each time: a list of left edges; remembers the times."""

    def __init__(
        self, faces: Callable[[float], list[int]], yaw: Callable[[float], float] = lambda _: 0.0
    ) -> None:
        self.faces, self.yaw = faces, yaw
        self.times: list[float] = []

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        self.times.append(round(time, 3))
        return [
            Face(
                Box(left, 10, 60, 90),
                1.0,
                FIVE * 0.6 + np.float32([left, 10]),
                Pose(self.yaw(time), 0, 0),
            )
            for left in self.faces(time)
        ]


def always(_: float) -> list[int]:
    return [20]


@pytest.fixture
def severity(tmp_path: Path) -> OnnxModel:
    return open_onnx(write_severity_model(tmp_path / "s.onnx"))


def video(folder: Path, frames: int = 20, **options: object) -> Path:
    """A gray video, ten frames a second, that brightens by 5 levels a frame from 20."""
    return write_video(folder / "v.mp4", faceless(frames), **options)  # type: ignore[arg-type]


def test_frames_are_looked_at_by_their_times(tmp_path: Path, predictor: Predictor) -> None:
    detector = Seen(always)
    frames: list[Frame] = []
    others: list[Frame] = []
    result = predict_video(
        video(tmp_path),
        predictor=predictor,
        fps=5,
        detector=detector,
        on_frame=lambda frame, _: frames.append(frame),
        on_skipped=others.append,
    )
    assert [frame.index for frame in frames] == list(range(0, 20, 2))
    assert [frame.index for frame in others] == list(range(1, 20, 2))
    assert detector.times == pytest.approx(np.arange(10) / 5)
    assert (result.status, result.frames, result.frames_without_face) == (Status.OK, 10, 0)
    [track] = result.persons
    assert (track.frames, track.usable_frames, track.start, track.end) == (10, 10, 0.0, 1.8)
    assert (track.usable_seconds, track.usable_share) == (pytest.approx(2.0), pytest.approx(1.0))


def test_shares_are_weighted_by_how_long_a_frame_is_there(
    tmp_path: Path, write_model: WriteModel
) -> None:
    model = Predictor.load(write_model(affect=2))
    times = [0.0, 0.2, 0.4, 1.4, 1.6, 2.0]
    seen: list[Prediction] = []
    shades = [np.uint8(picture(0) * (1 - share) + picture(1) * share) for share in np.r_[:6] / 20]
    path = write_video(tmp_path / "v.mp4", shades, times=times)
    result = predict_video(
        path,
        predictor=model,
        detector=Seen(always),
        on_frame=lambda _, found: seen.extend(found),
    )
    [track] = result.persons
    weights = np.array([0.2, 0.2, 1.0, 0.2, 0.4, 0.4])  # the last as long as the one before
    assert [one.time for one in seen] == pytest.approx(times)
    rows = np.array([list(one.probabilities.values()) for one in seen])
    assert rows.std(0).max() > 1e-3  # else any weights would do
    assert list(track.prediction.probabilities.values()) == pytest.approx(
        weights @ rows / weights.sum(), abs=1e-6
    )
    assert sum(track.prediction.probabilities.values()) == pytest.approx(1)
    assert track.prediction.expression == max(
        track.prediction.probabilities, key=track.prediction.probabilities.__getitem__
    )
    for name in ("valence", "arousal"):
        values = np.array([getattr(one, name) for one in seen])
        assert getattr(track.prediction, name) == pytest.approx(
            weights @ values / weights.sum(), abs=1e-6
        )


def test_only_what_may_be_used_counts(tmp_path: Path, predictor: Predictor) -> None:
    seen: list[Prediction] = []
    result = predict_video(
        video(tmp_path),
        predictor=predictor,
        detector=Seen(always, lambda time: 80.0 if time < 0.9 else 0.0),
        on_frame=lambda _, found: seen.extend(found),
    )
    [track] = result.persons
    assert [one.status for one in seen] == [Status.ABSTAINED] * 5 + [Status.OK] * 5
    assert (track.frames, track.usable_frames) == (10, 5)
    assert track.usable_share == pytest.approx(0.5) and track.prediction.status is Status.OK
    rows = [list(one.probabilities.values()) for one in seen[5:]]
    assert list(track.prediction.probabilities.values()) == pytest.approx(
        np.mean(rows, 0), abs=1e-6
    )
    [segment] = track.usable.segments()
    assert segment.edges[[0, -1]] == pytest.approx([1.0, 2.0])

    turned = predict_video(
        video(tmp_path), predictor=predictor, detector=Seen(always, lambda _: 80.0)
    )
    [track] = turned.persons
    assert (
        track.prediction.status is Status.ABSTAINED
        and not track.prediction.probabilities
        and track.prediction.expression is None
    )
    assert track.prediction.reason.startswith(
        "none of 10 frames can be used; first: head is turned"
    )


def test_each_person_has_a_track_and_a_gap_ends_it(tmp_path: Path, predictor: Predictor) -> None:
    # Two people from the start; the right one is away from 0.5 to 2.5 seconds.
    def faces(time: float) -> list[int]:
        return [5, 90] if time < 0.5 or time > 2.5 else [5]

    seen: list[list[Prediction]] = []
    result = predict_video(
        video(tmp_path, 30),
        predictor=predictor,
        detector=Seen(faces),
        on_frame=lambda _, found: seen.append(found),
    )
    assert [track.track for track in result.persons] == [0, 1, 2]
    left, right, back = result.persons
    assert left.usable_frames == 15 and left.usable_share == pytest.approx(1)
    assert right.usable_frames == 3 and right.end < 0.5 and back.start > 2.5
    assert right.usable_share == pytest.approx(0.2)
    assert [(one.index, one.track) for one in seen[-1]] == [(0, 0), (1, 2)]
    assert [len(track.usable.segments()) for track in result.persons] == [1, 1, 1]


def test_severity_is_that_of_clips(tmp_path: Path, severity: OnnxModel) -> None:
    result = predict_video(video(tmp_path), clip_model=severity, detector=Seen(always))
    [track] = result.persons
    # Five frames a second make clips of 0.0 to 0.6 and 0.8 to 1.4; the last two make none.
    assert [(clip.start, round(clip.end, 3)) for clip in track.clips] == [(0.0, 0.6), (0.8, 1.4)]
    first, second = (clip.prediction.severity for clip in track.clips)
    # Frames 0, 2, 4, 6 are 20 + 5 * 3 bright in the mean, the next four 8 * 5 more.
    assert first == pytest.approx(10 * 35 / 255, abs=0.15)
    assert second == pytest.approx(10 * 75 / 255, abs=0.15)
    assert track.prediction.severity is not None
    assert track.prediction.severity == pytest.approx((first + second) / 2)
    assert track.prediction.band == "low" and track.prediction.expression is None
    assert result.models == (severity.info,) and track.prediction.status is Status.OK


def test_a_model_of_clips_abstains_below_its_confidence() -> None:
    space = LabelSpace(name="two", names=("a", "b"))
    info = info_of(
        {"expression": ExpressionInfo(label_space=space, abstain_below=0.7)},
        clips=ClipsInfo(length=1, stride=1),
    )
    answers = iter([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])

    def predict(crops: UInt8Array) -> ModelOutput:
        return ModelOutput(np.ones((1, 1), np.float32), {"expression": np.float32([next(answers)])})

    model = SimpleNamespace(info=info, predict=predict)
    reader = ClipReader(model, "v.mp4", 0)  # type: ignore[arg-type]
    person = Person(0, 0.0, reader, 1.0)
    for time in (0.0, 1.0, 2.0):
        reader.add(time, np.zeros((SIZE, SIZE, 3), np.uint8), continued=True)
        person.see(time, "")
    summary = person.summary("v.mp4", 3.0, None, "cut short")
    doubt = "not sure: 56 % a; answers from 70 %"
    assert summary.prediction.status is Status.ABSTAINED
    assert summary.prediction.reason == f"{doubt}; cut short"
    table = Rows("clips", clips=info)
    result = VideoPredictions("v.mp4", Status.OK, "cut short", (info,), persons=(summary,))
    rows = [entry.prediction for entry in table.of_video(result)]
    assert [row.status for row in rows] == [Status.OK, Status.OK, Status.ABSTAINED]
    assert [row.reason for row in rows[:2]] == ["cut short"] * 2
    assert rows[2].reason.startswith("not sure: 60 % a")


def test_clips_of_partial_images_are_composed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = Preprocessing(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1), partial_image="mask")
    about = {"preprocessing": masked.model_dump(mode="json"), "preprocessing_hash": masked.hash}
    model = open_onnx(write_severity_model(tmp_path / "masked.onnx", **about))
    seen: list[UInt8Array] = []
    predict = OnnxModel.predict

    def watched(self: OnnxModel, crops: UInt8Array, batch_size: int = 32) -> ModelOutput:
        seen.append(crops)
        return predict(self, crops, batch_size)

    monkeypatch.setattr(OnnxModel, "predict", watched)
    predict_video(video(tmp_path), clip_model=model, detector=Seen(always))
    clips = np.concatenate(seen)
    assert (clips[:, :, 0, 0] == BLANK).all()
    assert (clips[:, :, SIZE * 5 // 16, SIZE // 2] != BLANK).all()


def recording(model: OnnxModel, clips: list[float]) -> tuple[object, ...]:
    """Severity, its interval and its band, of a recording whose clips have these severities."""
    reader = ClipReader(model, "v.mp4", 0)
    reader._outputs = [{"severity": np.float32([value])} for value in clips]
    fields, _ = reader.recording()
    return tuple(fields[name] for name in ("severity", "severity_low", "severity_high", "band"))


@pytest.mark.parametrize("aggregate", ["mean", "median", "trimmed"])
def test_the_probabilities_of_a_recording_sum_to_one(aggregate: Aggregate) -> None:
    space = LabelSpace(name="three", names=("a", "b", "c"))
    info = info_of(
        {"expression": ExpressionInfo(label_space=space)},
        clips=ClipsInfo(length=2, stride=1, aggregate=aggregate),
    )
    reader = ClipReader(SimpleNamespace(info=info), "v.mp4", 0)  # type: ignore[arg-type]
    clips = ([0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.6, 0.3, 0.1])
    reader._outputs = [{"expression": np.float32([clip])} for clip in clips]
    fields, doubt = reader.recording()
    assert doubt == ""
    assert sum(fields["probabilities"].values()) == pytest.approx(1)
    assert fields["expression"] == "a"


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        ([4.0, 8.0], (6.0, 0.0, 10.0, "high")),
        ([-3.0], (0.0, 0.0, 7.0, "low")),
        ([30.0], (10.0, 3.0, 10.0, "high")),
    ],
)
def test_scores_and_intervals_are_cut_to_the_scale(
    tmp_path: Path, clips: list[float], expected: tuple[float, float, float, str]
) -> None:
    model = open_onnx(write_severity_model(tmp_path / "s.onnx", half_width=7.0))
    assert recording(model, clips) == expected


def test_clips_are_aggregated_as_the_model_says(tmp_path: Path) -> None:
    clips = {"length": LENGTH, "stride": 2, "fps": 10, "aggregate": "median"}
    path = write_severity_model(tmp_path / "s.onnx", half_width=None, clips=clips)
    assert recording(open_onnx(path), [1, 2, 9]) == (2.0, None, None, "low")


def test_clips_run_at_the_rate_of_training(tmp_path: Path, severity: OnnxModel) -> None:
    # 10 / 2 frames a second were trained on, and the video has 2.5: each is seen twice.
    slow = video(tmp_path, 8, times=[number * 0.4 for number in range(8)])
    result = predict_video(slow, clip_model=severity, detector=Seen(always))
    [track] = result.persons
    assert [(round(c.start, 3), round(c.end, 3)) for c in track.clips] == [
        *((0.0, 0.6), (0.8, 1.4), (1.6, 2.2)),
    ]
    # Frames 0, 0, 1, 1 of the video.
    assert track.clips[0].prediction.severity == pytest.approx(10 * 22.5 / 255, abs=0.15)


def test_where_the_face_is_missing_no_frame_is_repeated(
    tmp_path: Path, severity: OnnxModel
) -> None:
    def blinking(time: float) -> list[int]:
        return [] if 0.3 < time < 0.7 else [20]  # frames 4 and 6 are without a face

    result = predict_video(video(tmp_path, 16), clip_model=severity, detector=Seen(blinking))
    [track] = result.persons
    [clip] = track.clips
    assert (clip.start, round(clip.end, 3)) == (0.0, 1.0)  # frames 0, 2, 8, 10
    assert clip.prediction.severity == pytest.approx(10 * (20 + 5 * 5) / 255, abs=0.15)


def test_a_track_too_short_for_a_clip_says_so(tmp_path: Path, severity: OnnxModel) -> None:
    result = predict_video(video(tmp_path, 5), clip_model=severity, detector=Seen(always))
    [track] = result.persons
    assert track.prediction.severity is None and track.prediction.reason.endswith(
        "too short for a clip: 3 of 4 frames"
    )


def test_no_face_and_no_video_are_readings_with_reasons(
    tmp_path: Path, predictor: Predictor
) -> None:
    def read(path: Path, detector: Seen) -> VideoPredictions:
        return predict_video(path, predictor=predictor, detector=detector)

    nobody = read(video(tmp_path), Seen(lambda _: []))
    assert nobody.status is Status.NO_FACE and nobody.reason == "no face found in 10 frames"
    assert nobody.frames_without_face == 10 and not nobody.persons
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    for name in ("bad.mp4", "missing.mp4"):
        result = read(tmp_path / name, Seen(always))
        assert result.status is Status.UNREADABLE and name in result.reason


def test_a_video_that_ends_early_is_read_as_far_as_it_goes(
    tmp_path: Path, predictor: Predictor
) -> None:
    path = cut_short(write_video(tmp_path / "v.avi", faceless(40) + faceless(20)))
    result = predict_video(path, predictor=predictor, detector=Seen(always))
    assert result.damage and result.reason.endswith("what came before was read")
    assert 0 < result.frames < 30 and result.persons


def test_faults_of_models_and_writers_are_not_the_videos(
    tmp_path: Path, write_model: WriteModel, predictor: Predictor
) -> None:
    broken = Predictor.load(write_model(description(), blow_up=True))
    with pytest.raises(MienError, match="finite numbers"):
        predict_video(video(tmp_path), predictor=broken, detector=Seen(always))

    def full(*_: object) -> None:
        raise MienError("no space left")

    with pytest.raises(MienError, match="no space"):
        predict_video(video(tmp_path), predictor=predictor, detector=Seen(always), on_frame=full)


def test_a_rate_of_nothing_is_refused(tmp_path: Path, predictor: Predictor) -> None:
    with pytest.raises(MienError, match="fps above 0"):
        predict_video(tmp_path / "v.mp4", predictor=predictor, fps=0)
    with pytest.raises(ValueError, match="predictor"):
        predict_video(tmp_path / "v.mp4")


def test_a_face_that_cannot_be_aligned_is_a_prediction_with_a_reason(
    tmp_path: Path, predictor: Predictor, severity: OnnxModel
) -> None:
    class Point(Seen):
        def at(self, image: UInt8Array, time: float) -> list[Face]:
            return [Face(Box(20, 10, 60, 90), 1.0, np.full((5, 2), 50, np.float32))]

    seen: list[Prediction] = []
    result = predict_video(
        video(tmp_path),
        predictor=predictor,
        clip_model=severity,
        detector=Point(always),
        on_frame=lambda _, found: seen.extend(found),
    )
    assert {one.status for one in seen} == {Status.ABSTAINED}
    assert seen[0].reason.startswith("face not aligned")
    [track] = result.persons
    assert (
        track.usable_frames == 0
        and "not aligned" in track.prediction.reason
        and "0 of 4" in track.prediction.reason
    )


def test_a_curve_stays_small_and_keeps_its_means() -> None:
    curve = Curve(0.2)
    values = np.random.default_rng(0).random((3 * MOST_STEPS, 2))
    for number, row in enumerate(values):
        curve.add(number * 0.2, 0.2, row)
    [segment] = curve.segments()
    assert len(segment.means) <= MOST_STEPS
    assert curve.step == pytest.approx(0.8)
    assert segment.means[:100] == pytest.approx(values[:400].reshape(100, 4, 2).mean(1))
    assert np.diff(segment.edges) == pytest.approx(0.8)


def test_a_curve_has_gaps() -> None:
    curve = Curve(0.5)
    curve.add(10.0, 1.0, [1.0])
    curve.add(12.25, 0.5, [3.0])
    first, second = curve.segments()
    assert first.edges.tolist() == [10.0, 10.5, 11.0] and first.means.tolist() == [[1.0], [1.0]]
    assert second.edges.tolist() == [12.0, 12.5, 13.0] and second.means.tolist() == [[3.0], [3.0]]
