"""Videos in, what each person shows out: streams, tables, annotated videos, timelines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from mien.faces.video import Frame
from mien.inference.predictor import Predictor
from mien.inference.severity import SeverityPredictor
from mien.inference.video import predict_video
from mien.schema import Box, Face, MienError, Preprocessing, Status

av = pytest.importorskip("av")

FIVE = np.array([(30, 40), (70, 40), (50, 60), (35, 80), (65, 80)], np.float32)
SIZE, LENGTH = 16, 4


def write_video(path: Path, frames: int = 20, rate: int = 10, size: tuple[int, int] = (160, 120)):
    """A grey video that brightens from frame to frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), min(60 + 6 * number, 255), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


class Seen:
    """Says where faces are at each time: a list of left edges; remembers the times."""

    def __init__(self, faces) -> None:
        self.faces, self.times = faces, []

    def at(self, image, time):
        self.times.append(round(time, 3))
        return [
            Face(Box(left, 10, 60, 90), 1.0, FIVE * 0.6 + np.float32([left, 10]))
            for left in self.faces(time)
        ]


def severity_model(path: Path, *, half_width: float | None = 10.0, **changes) -> SeverityPredictor:
    """A model whose severity of a clip is ten times its brightness, as tensors have it."""
    shape = ["B", LENGTH, 3, SIZE, SIZE]
    nodes = [
        helper.make_node("ReduceMean", ["clip", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "ten"], ["severity"]),
        helper.make_node("Reshape", ["severity", "column"], ["embedding"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [4], [1, 2, 3, 4]),
        helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0]),
        helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("clip", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("severity", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", 1]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    preprocessing = Preprocessing(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1))
    about = {
        "format": 1,
        "name": "brightness",
        "task": "severity",
        "scale": {"name": "ours", "top": 10, "bands": [["low", 0], ["high", 5]]},
        "clips": {"length": LENGTH, "stride": 2, "rate": 10, "aggregate": "mean"},
        "conformal": {"coverage": 0.9, "half_width": half_width},
        "use": "Not a diagnosis. Trained on: nothing.",
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
        **changes,
    }
    helper.set_model_props(model, {"mien": json.dumps(about)})
    onnx.save(model, path)
    return SeverityPredictor.load(path)


@pytest.fixture
def predictor(toy_model: Path) -> Predictor:
    return Predictor.load(toy_model)


def test_frames_are_looked_at_by_their_times(tmp_path: Path, predictor: Predictor) -> None:
    video, detector = write_video(tmp_path / "v.mp4"), Seen(lambda time: [20])
    frames: list[Frame] = []
    reading = predict_video(
        video,
        predictor=predictor,
        rate=5,
        detector=detector,
        on_frame=lambda frame, _: frames.append(frame),
    )
    assert [frame.index for frame in frames] == list(range(0, 20, 2))
    assert detector.times == pytest.approx(np.arange(10) / 5)
    assert (reading.status, reading.frames, reading.without_face) == (Status.OK, 10, 0)
    [track] = reading.tracks
    assert (track.usable, track.share, track.start, track.end) == (10, 1.0, 0.0, 1.8)


def test_shares_are_the_means_of_the_frames(tmp_path: Path, predictor: Predictor) -> None:
    rows: list[dict[str, float]] = []
    reading = predict_video(
        write_video(tmp_path / "v.mp4"),
        predictor=predictor,
        detector=Seen(lambda time: [20]),
        on_frame=lambda _, seen: rows.extend(one.probabilities for one in seen),
    )
    [track] = reading.tracks
    assert sum(track.shares.values()) == pytest.approx(1)
    for name, share in track.shares.items():
        assert share == pytest.approx(np.mean([row[name] for row in rows]), abs=1e-6)
    assert track.expression == max(track.shares, key=track.shares.__getitem__)


def test_each_person_has_a_track_and_a_gap_ends_it(tmp_path: Path, predictor: Predictor) -> None:
    # Two people from the start; the right one is away from 0.5 to 2.5 seconds.
    def faces(time: float) -> list[int]:
        return [5, 90] if time < 0.5 or time > 2.5 else [5]

    reading = predict_video(
        write_video(tmp_path / "v.mp4", frames=30), predictor=predictor, detector=Seen(faces)
    )
    assert [track.track for track in reading.tracks] == [0, 1, 2]
    left, right, back = reading.tracks
    assert left.usable == 15 and left.share == 1
    assert right.usable == 3 and right.end < 0.5 and back.start > 2.5


def test_severity_is_that_of_clips_with_an_interval_cut_to_the_scale(tmp_path: Path) -> None:
    model = severity_model(tmp_path / "s.onnx", half_width=7.0)
    video = write_video(tmp_path / "v.mp4", frames=20)
    reading = predict_video(video, severity=model, detector=Seen(lambda time: [20]))
    [track] = reading.tracks
    # Five frames a second make clips of 0.0 to 0.6 and 0.8 to 1.4; the last two make none.
    assert [(clip.start, round(clip.end, 3)) for clip in track.clips] == [(0.0, 0.6), (0.8, 1.4)]
    first, second = (clip.severity for clip in track.clips)
    # Frames 0, 2, 4, 6 are (60 + 6 * 3) / 255 bright in the mean, the next four 8 * 6 more.
    assert first == pytest.approx(10 * 78 / 255, abs=0.15)
    assert second == pytest.approx(10 * 126 / 255, abs=0.15)
    assert track.severity is not None
    assert track.severity.value == pytest.approx((first + second) / 2)
    assert track.severity.low == 0 and track.severity.high == 10
    assert track.severity.band == "low" and track.expression is None


def test_a_track_too_short_for_a_clip_says_so(tmp_path: Path) -> None:
    model = severity_model(tmp_path / "s.onnx")
    reading = predict_video(
        write_video(tmp_path / "v.mp4", frames=5), severity=model, detector=Seen(lambda time: [20])
    )
    [track] = reading.tracks
    assert track.severity is None and track.reason.endswith("3 of the 4 frames of a clip")


def test_without_a_calibrated_interval_there_is_none(tmp_path: Path) -> None:
    score = severity_model(tmp_path / "s.onnx", half_width=None).score([4, 8])
    assert score == (6.0, None, None, "high")


def test_no_face_and_no_video_are_readings_with_reasons(
    tmp_path: Path, predictor: Predictor
) -> None:
    nobody = predict_video(
        write_video(tmp_path / "v.mp4"), predictor=predictor, detector=Seen(lambda time: [])
    )
    assert nobody.status is Status.NO_FACE and nobody.reason == "no face found in 10 frames"
    assert nobody.without_face == 10 and not nobody.tracks
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    for name in ("bad.mp4", "missing.mp4"):
        reading = predict_video(tmp_path / name, predictor=predictor, detector=Seen(list))
        assert reading.status is Status.UNREADABLE and name in reading.reason


def test_a_video_that_ends_early_is_read_as_far_as_it_goes(
    tmp_path: Path, predictor: Predictor
) -> None:
    whole = write_video(tmp_path / "v.avi", frames=60)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    reading = predict_video(whole, predictor=predictor, detector=Seen(lambda time: [20]))
    assert reading.damage and reading.reason.endswith("what came before was read")
    assert 0 < reading.frames < 30 and reading.tracks


def test_a_rate_of_nothing_is_refused(tmp_path: Path, predictor: Predictor) -> None:
    with pytest.raises(MienError, match="rate above 0"):
        predict_video(tmp_path / "v.mp4", predictor=predictor, rate=0)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A real face that moves, three seconds long."""
    data = pytest.importorskip("skimage.data")
    path = tmp_path / "real.mp4"
    photo = np.asarray(data.astronaut())[:256, 96:416]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 320, 240
        stream.pix_fmt = "yuv420p"
        for number in range(30):
            picture = np.ascontiguousarray(np.roll(photo, number, 1)[8:248])
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.slow
def test_the_command_writes_rows_an_annotated_video_and_a_timeline(
    command, real: Path, tmp_path: Path
) -> None:
    severity_model(tmp_path / "s.onnx")
    models = ("--model", "fer", "--model", tmp_path / "s.onnx")
    out = tmp_path / "out.csv"
    ended = command("predict", real, *models, "--out", out, "--annotate", tmp_path / "seen")
    assert ended.code == 0, ended.err
    with out.open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert row["expression"] == "happiness" and float(row["usable_share"]) == 1
    assert float(row["severity_low"]) <= float(row["severity"]) <= float(row["severity_high"]) <= 10
    assert "Not a diagnosis" in row["use"]
    with av.open(str(tmp_path / "seen" / "real.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx(np.arange(15) / 5, abs=0.002)
    assert (tmp_path / "seen" / "real.timeline.png").stat().st_size > 5000

    table = tmp_path / "frames.parquet"
    assert command("predict", real, "--rows", "frames", "--out", table).code == 0
    assert pq.read_table(table)["time"].to_pylist() == pytest.approx(np.arange(15) / 5)
    clips = command("predict", real, *models, "--rows", "clips", "--json")
    assert [row["start"] for row in json.loads(clips.out)] == pytest.approx([0, 0.8, 1.6])


def test_what_does_not_go_together_is_one_sentence(command, tmp_path: Path) -> None:
    severity_model(tmp_path / "s.onnx")
    video = write_video(tmp_path / "v.mp4", frames=2)
    model = ("--model", tmp_path / "s.onnx")
    command("predict", video, tmp_path / "a.png").refused("photos or videos, got both")
    command("predict", video, *model, *model).refused("one --model of severity, got two")
    command("predict", video, "--rows", "all").refused("--rows summary, frames, clips")
    command("predict", video, *model, "--rows", "frames", "--out", tmp_path / "o.csv").refused(
        "add --model fer"
    )
    command("predict", tmp_path / "a.png", *model).refused("reads severity from clips")


@pytest.mark.slow
def test_bad_videos_are_rows_and_exit_code_1(command, real: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.webm").write_bytes(b"nothing")
    out = tmp_path / "rows.jsonl"
    ended = command("predict", real, tmp_path / "bad.webm", tmp_path / "no.avi", "--out", out)
    assert ended.code == 1 and "Traceback" not in ended.err
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["status"] for row in rows] == ["ok", "unreadable", "unreadable"]
    assert all(row["reason"] for row in rows[1:])
