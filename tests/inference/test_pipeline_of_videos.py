"""The command on videos: rows, tables, drawn videos, timelines, and what cannot be read."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from severity_models import USE, write_severity_model
from toy_videos import cut_short, faceless, moving_face, write_video

from mien.errors import MienError
from mien.faces.kinds import is_video
from mien.faces.video import Frame, Video
from mien.inference.drawing.drawn_video import drawn_video
from mien.inference.drawing.timeline import plot_timeline
from mien.inference.inputs.sources import has_videos
from mien.inference.model import OnnxModel, open_onnx
from mien.inference.pipeline import Summary, write_predictions
from mien.inference.predictor import Predictor
from mien.inference.rows import CLIP_COLUMNS, FACE_COLUMNS, PERSON_COLUMNS
from mien.inference.videos import predict_video
from mien.schema import Box, Face, Prediction, Status, UInt8Array

from .conftest import OneFace, WriteModel, description, picture, with_heads

Command = Callable[..., Any]
EXPRESSION_COLUMNS = ("expression", "confidence", "probabilities")
SEVERITY_COLUMNS = ("severity", "severity_low", "severity_high", "band", "use")


def write(
    inputs: list[str],
    *,
    predictor: Predictor | None = None,
    severity: OnnxModel | None = None,
    **options: Any,
) -> Summary:
    models = [predictor and predictor.model, severity]
    return write_predictions(inputs, models=[each for each in models if each], **options)


@pytest.fixture
def severity(tmp_path: Path) -> OnnxModel:
    return open_onnx(write_severity_model(tmp_path / "s.onnx"))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds at 10 frames a second; no face in the second from 0.8 to 1.2."""
    dark = [np.zeros((120, 160, 3), np.uint8)] * 4
    shown = [picture(0)] * 20
    return write_video(tmp_path / "film.mp4", [*shown[:8], *dark, *shown[12:]])


class NotDark(OneFace):
    """Sees a face in what is not black, as far as a codec keeps black."""

    def __call__(self, image: UInt8Array) -> list[Face]:
        return super().__call__(image) if image.max() > 60 else []


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names() -> list[str]:
    return [str(name) for name in description()["heads"]["expression"]["label_space"]["names"]]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_row_a_person(
    tmp_path: Path, film: Path, predictor: Predictor, severity: OnnxModel, suffix: str
) -> None:
    out, detector = tmp_path / f"people{suffix}", NotDark()
    counts = write([str(film)], predictor=predictor, severity=severity, out=out, detector=detector)
    assert (counts.videos, counts.photos, counts.rows, counts.incomplete) == (1, 0, {"ok": 1}, 0)
    assert counts.sentence == f"1 ok; written to {out}\n{USE}"
    [row] = read(out)
    columns = [*PERSON_COLUMNS, *EXPRESSION_COLUMNS, "action_units", *SEVERITY_COLUMNS]
    assert list(row) == columns
    shares = row["probabilities"]
    shares = json.loads(shares) if suffix == ".csv" else shares
    assert list(shares) == names() and sum(shares.values()) == pytest.approx(1)
    assert float(row["confidence"]) == pytest.approx(max(shares.values()))
    assert float(row["usable_share"]) == pytest.approx(0.8)
    assert float(row["usable_seconds"]) == pytest.approx(1.6)
    assert (float(row["start"]), float(row["end"])) == (0.0, 1.8)
    low, value, high = (float(row[f"severity{end}"]) for end in ("_low", "", "_high"))
    assert low == 0 and high == 10 and 0 < value < 10
    assert row["use"] == USE and row["model"] == "tiny and brightness"
    assert int(row["clips"]) == 2
    if suffix == ".parquet":
        about = json.loads(pq.read_schema(out).metadata[b"mien"])
        assert about["license_terms"] == "for tests"
        assert list(about["heads"]) == ["expression", "action_units", "severity"]
        assert about["heads"]["action_units"]["source"] == "blendshapes"
        assert about["heads"]["severity"]["use"] == USE
        assert about["heads"]["severity"]["scale"]["top"] == 10
        assert about["heads"]["expression"]["label_space"]["names"] == names()


def test_the_row_of_a_person_follows_from_the_rows_of_the_frames(
    tmp_path: Path, film: Path, write_model: WriteModel
) -> None:
    model = Predictor.load(write_model(affect=2), detector=NotDark())
    for rows in ("summary", "frames"):
        out = tmp_path / f"{rows}.parquet"
        write([str(film)], predictor=model, rows=rows, out=out, detector=NotDark())
    [person] = read(tmp_path / "summary.parquet")
    frames = read(tmp_path / "frames.parquet")
    affect = ("valence", "arousal", "action_units")
    assert list(frames[0]) == [*FACE_COLUMNS, *EXPRESSION_COLUMNS, *affect]
    assert [row["time"] for row in frames] == pytest.approx(np.arange(10) / 5)
    assert [row["frame"] for row in frames] == list(range(0, 20, 2))
    empty = [row for row in frames if row["track"] is None]
    assert [row["time"] for row in empty] == pytest.approx([0.8, 1.0])
    assert {(row["status"], row["reason"]) for row in empty} == {("no-face", "no face found")}
    seen = [row for row in frames if row["track"] is not None]
    assert {(row["track"], row["face"]) for row in seen} == {(0, 0)}
    for name in names():
        mean = np.mean([row["probabilities"][name] for row in seen])
        assert person["probabilities"][name] == pytest.approx(mean, abs=1e-6)
    for name in ("valence", "arousal"):
        assert person[name] == pytest.approx(np.mean([row[name] for row in seen]), abs=1e-6)


def test_rows_of_clips(tmp_path: Path, film: Path, severity: OnnxModel) -> None:
    short = write_video(tmp_path / "short.mp4", [picture(0)] * 4)
    out = tmp_path / "clips.jsonl"
    write([str(film), str(short)], severity=severity, rows="clips", out=out, detector=NotDark())
    first, second, none = read(out)
    assert list(first) == [*CLIP_COLUMNS, *SEVERITY_COLUMNS]
    assert first["severity_low"] is None  # the interval is that of a recording
    assert (first["start"], first["end"]) == (0.0, 0.6)
    assert (second["start"], second["end"]) == (1.2, 1.8)
    assert 0 < first["severity"] < 10 and first["use"] == USE
    assert none["severity"] is None and none["reason"].startswith("too short for a clip: 2 of")


@pytest.mark.parametrize(
    ("rows", "count", "pattern"),
    [
        (
            "summary",
            1,
            r"person 0  1\.6 s \(80 %\)  \w+ \d+ %, no action unit, severity [\d.]+ "
            r"\(0\.0 to 10\.0\) of 10",
        ),
        ("frames", 10, r"person 0  0\.00 s  \w+ \d+ %"),
        ("clips", 2, r"person 0  0\.0 to 0\.6 s  severity [\d.]+ of 10 \(ours\), (low|high)"),
    ],
)
def test_a_line_per_row(
    film: Path, predictor: Predictor, severity: OnnxModel, rows: str, count: int, pattern: str
) -> None:
    lines = io.StringIO()
    options: dict[str, Any] = {"rows": rows, "lines": lines, "detector": NotDark()}
    summary = write([str(film)], predictor=predictor, severity=severity, **options)
    printed = lines.getvalue().splitlines()
    assert len(printed) == count == sum(summary.rows.values())
    assert re.fullmatch(rf"{re.escape(str(film))}  {pattern}.*", printed[0]), printed[0]
    assert summary.sentence == ("" if rows == "frames" else USE)


def test_photos_and_folders_beside_videos(
    tmp_path: Path, film: Path, photos: Path, predictor: Predictor
) -> None:
    shutil.copy(film, photos / "inner" / "9.mp4")
    show = io.StringIO()
    out = tmp_path / "all.jsonl"
    given = [str(photos / "1.png"), str(film), str(photos)]
    counts = write(given, predictor=predictor, out=out, detector=NotDark(), lines=show)
    rows = read(out)
    expected = ["1.png", film.name, "1.png", "3.png", "black.png", "0.JPG", "2.JPG", "9.mp4"]
    assert [Path(row["source"]).name for row in rows] == expected
    assert [row["track"] for row in rows] == [None, 0, None, None, None, None, None, 0]
    assert rows[4]["status"] == "no-face" and rows[4]["expression"] is None
    [alone] = predictor(photos / "1.png")
    assert rows[0]["expression"] == alone.expression
    assert rows[0]["probabilities"]["neutral"] == pytest.approx(alone.probabilities["neutral"])
    assert (counts.videos, counts.photos, counts.incomplete) == (2, 6, 0)
    assert len(show.getvalue().splitlines()) == 8


def test_a_photo_has_no_severity_and_says_so(
    tmp_path: Path, photos: Path, severity: OnnxModel, predictor: Predictor
) -> None:
    given, out = [str(photos / "1.png"), str(tmp_path / "none.png")], tmp_path / "o.jsonl"
    write(given, severity=severity, out=out)
    first, second = read(out)
    assert first["status"] == "abstained" and "expected a video" in first["reason"]
    assert second["status"] == "abstained"  # nobody has looked whether it is there
    write(given, severity=severity, predictor=predictor, rows="clips", out=out, detector=OneFace())
    first, second = read(out)
    assert first["reason"] == "expected a video for a model of clips, got a photo"
    assert second["status"] == "unreadable"


def test_bad_videos_are_rows_with_reasons(tmp_path: Path, predictor: Predictor) -> None:
    good = write_video(tmp_path / "good.mp4", [picture(0)] * 4)
    gray = write_video(tmp_path / "gray.avi", [picture(0)] * 4, codec="rawvideo", pixels="gray")
    webm = write_video(tmp_path / "web.webm", [picture(0)] * 4, codec="libvpx")
    half = cut_short(write_video(tmp_path / "half.avi", [picture(i % 5) for i in range(60)]))
    empty = write_video(tmp_path / "empty.avi", [])
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    dark = write_video(tmp_path / "dark.mp4", [np.zeros((120, 160, 3), np.uint8)] * 4)
    paths = [good, gray, webm, half, empty, tmp_path / "bad.mp4", tmp_path / "no.mov", dark, good]
    for rows in ("summary", "frames"):
        out = tmp_path / "o.jsonl"
        counts = write(
            list(map(str, paths)), predictor=predictor, rows=rows, out=out, detector=NotDark()
        )
        found = read(out)
        assert list(dict.fromkeys(row["source"] for row in found)) == [
            *dict.fromkeys(map(str, paths))
        ]
        reasons = {Path(row["source"]).name: row["reason"] for row in found}
        statuses = {Path(row["source"]).name: row["status"] for row in found}
        assert {statuses[name] for name in ("good.mp4", "gray.avi", "web.webm")} == {"ok"}
        assert {statuses[name] for name in ("empty.avi", "bad.mp4", "no.mov")} == {"unreadable"}
        assert statuses["dark.mp4"] == "no-face"
        assert reasons.get("half.avi")
        assert all(reasons[name] for name in ("empty.avi", "bad.mp4", "no.mov", "dark.mp4"))
        assert counts.incomplete == 4


@pytest.fixture
def drawn(tmp_path: Path, film: Path, predictor: Predictor) -> Path:
    folder = tmp_path / "drawn"
    write([str(film)], predictor=predictor, annotate=folder, detector=NotDark())
    return folder


def test_a_drawn_video_has_every_frame_at_its_time(drawn: Path, film: Path) -> None:
    with Video(drawn / "film.mp4") as made, Video(film) as given:
        frames = list(made.frames())
        times = [frame.time for frame in given.frames()]
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-4)
    assert frames[0].pixels.shape == (720, 960, 3)  # enlarged, as pictures are

    # The box's edge is in the color of the expression; where there is no face there is none.
    def marked(frame: Frame) -> bool:
        return bool(np.ptp(frame.pixels[180:540, 240:720].astype(int), axis=2).max() > 60)

    assert not any(marked(frame) for frame in frames[8:12])
    assert sorted(path.name for path in drawn.iterdir()) == ["film.mp4", "film.timeline.png"]


def test_boxes_between_two_looks_move(tmp_path: Path) -> None:
    def seen(left: float) -> list[Prediction]:
        face = Face(Box(left, 40, 40, 40), 1.0)
        return [Prediction(Status.ABSTAINED, reason="none", face=face, track=0)]

    gray = np.full((640, 640, 3), 90, np.uint8)
    with drawn_video(tmp_path / "moved.mp4") as video:
        video.add(Frame(0, 0.0, gray), seen(100))
        for number in (1, 2, 3):
            video.skip(Frame(number, number / 8, gray))
        video.add(Frame(4, 0.5, gray), seen(500))
        video.skip(Frame(5, 0.625, gray))
    with Video(tmp_path / "moved.mp4") as made:
        frames = list(made.frames())
    # The frame's left side, in the rows of the box's middle.
    strips = [np.abs(frame.pixels[50:70].astype(int) - 90).max((0, 2)) for frame in frames]
    lefts = [int(np.flatnonzero(strip > 40)[0]) for strip in strips]
    assert lefts == pytest.approx([100, 200, 300, 400, 500, 500], abs=6)


def test_another_size_of_frames_is_fitted(tmp_path: Path) -> None:
    with drawn_video(tmp_path / "sizes.mp4") as video:
        video.add(Frame(0, 0.0, np.full((640, 801, 3), 200, np.uint8)), [])
        video.add(Frame(1, 0.1, np.full((1280, 640, 3), 200, np.uint8)), [])
    with Video(tmp_path / "sizes.mp4") as made:
        first, second = made.frames()
    assert first.pixels.shape == second.pixels.shape == (640, 800, 3)
    assert second.pixels[:, :200].max() < 40 and second.pixels[:, 250:550].min() > 160


def test_a_video_that_changes_its_size(tmp_path: Path, predictor: Predictor) -> None:
    parts = [
        write_video(
            tmp_path / f"{width}.mpg", [picture(0, 120, width)] * 8, codec="mpeg1video", rate=25
        )
        for width in (160, 240)
    ]
    both = tmp_path / "both.mpg"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with Video(both) as video:
        widths = [frame.pixels.shape[1] for frame in video.frames()]
    assert set(widths) == {160, 240}
    out = tmp_path / "rows.jsonl"
    write(
        [str(both)],
        predictor=predictor,
        fps=25,
        rows="frames",
        out=out,
        annotate=tmp_path / "drawn",
        detector=OneFace(),
    )
    rows = read(out)
    assert {row["status"] for row in rows} == {"ok"}
    assert len({row["box"]["left"] for row in rows}) == 2
    with Video(tmp_path / "drawn" / "both.mp4") as video:
        frames = list(video.frames())
    assert len(frames) == len(widths)
    assert {frame.pixels.shape for frame in frames} == {(720, 960, 3)}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MienError("full")])
def test_what_is_stopped_leaves_nothing_half_written(
    tmp_path: Path, film: Path, model_file: Path, stop: BaseException
) -> None:
    class Stopped(NotDark):
        def __call__(self, image: UInt8Array) -> list[Face]:
            if self.calls == 4:
                raise stop
            return super().__call__(image)

    out, folder = tmp_path / "o" / "table.csv", tmp_path / "drawn"
    out.parent.mkdir()
    out.write_text("older")
    with Predictor.load(model_file) as predictor, pytest.raises((KeyboardInterrupt, MienError)):
        write(
            [str(film)],
            predictor=predictor,
            rows="frames",
            out=out,
            annotate=folder,
            detector=Stopped(),
        )
    assert out.read_text() == "older"
    assert [path.name for path in out.parent.iterdir()] == ["table.csv"]
    assert not list(folder.iterdir())


def test_a_folder_with_the_videos_in_it_is_not_drawn_into(
    tmp_path: Path, film: Path, predictor: Predictor
) -> None:
    with pytest.raises(MienError, match="folder of their own"):
        write([str(film)], predictor=predictor, annotate=tmp_path)
    assert film.stat().st_size > 0


def test_videos_of_one_name_are_drawn_under_different_ones(
    tmp_path: Path, film: Path, predictor: Predictor
) -> None:
    other = tmp_path / "other" / "film.avi"
    other.parent.mkdir()
    write_video(other, [picture(0)] * 3)
    given = [str(film), str(other)]
    write(given, predictor=predictor, annotate=tmp_path / "drawn", detector=NotDark())
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [
        *("film.mp4", "film.timeline.png", "other__film.mp4", "other__film.timeline.png"),
    ]


def test_a_timeline_shows_what_there_is(
    tmp_path: Path, film: Path, predictor: Predictor, severity: OnnxModel
) -> None:
    class Frames:
        def at(self, image: UInt8Array, time: float) -> list[Face]:
            return NotDark()(image)

    heights = []
    for models in ({"predictor": predictor}, {"predictor": predictor, "clip_model": severity}):
        result = predict_video(film, detector=Frames(), **models)  # type: ignore[arg-type]
        assert plot_timeline(result, tmp_path / "t.png")
        with Image.open(tmp_path / "t.png") as plot:
            heights.append(plot.height)
    assert heights[1] > heights[0] + 200
    nobody = write_video(tmp_path / "n.mp4", [np.zeros((120, 160, 3), np.uint8)] * 4)
    result = predict_video(nobody, predictor=predictor, detector=Frames())
    assert not plot_timeline(result, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_without_matplotlib_the_install_line_comes_first(
    tmp_path: Path, film: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MienError, match=r"pip install \"mien\[train\]\""):
        write([str(film)], predictor=predictor, annotate=tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()


def test_videos_are_told_by_name_and_content(tmp_path: Path, film: Path, photos: Path) -> None:
    bare, heic = tmp_path / "recording", tmp_path / "photo.heic"
    shutil.copy(film, bare)
    heic.write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(20))
    assert is_video(film) and is_video(bare) and is_video(tmp_path / "missing.webm")
    assert not is_video(heic) and not is_video(photos / "1.png") and not is_video(tmp_path)
    for suffix in ("avi", "webm", "mpg", "mkv"):
        codec = "libvpx" if suffix == "webm" else "mpeg1video" if suffix == "mpg" else "mpeg4"
        made = write_video(tmp_path / f"v.{suffix}", faceless(3), codec=codec, rate=25)
        assert is_video(made.rename(tmp_path / f"bare-{suffix}")), suffix
    films = tmp_path / "films"
    films.mkdir()
    shutil.copy(film, films)
    assert has_videos([str(films)]) and has_videos([str(photos), str(bare)])
    shutil.copy(film, photos)
    assert not has_videos([str(photos), "-", str(tmp_path / "none.png")])


def test_memory_holds_the_crops_of_open_clips_only(
    tmp_path: Path, severity: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.inference.clips import ClipReader

    readers: list[ClipReader] = []
    made = ClipReader.__init__

    def remember(self: ClipReader, *given: Any) -> None:
        made(self, *given)
        readers.append(self)

    monkeypatch.setattr(ClipReader, "__init__", remember)

    class Passing:
        """Another person every three seconds."""

        def at(self, image: UInt8Array, time: float) -> list[Face]:
            return NotDark()(image) if time % 3 < 1.9 else []

    held: list[int] = []
    path = write_video(tmp_path / "long.mp4", [picture(0)] * 150)
    predict_video(
        path,
        clip_model=severity,
        detector=Passing(),
        on_frame=lambda *_: held.append(sum(len(reader._open) for reader in readers)),
    )
    assert len(readers) == 5
    assert max(held) <= 2 * 3  # of two tracks, the clip that is open and one that just ended


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A real face that moves, three seconds long."""
    return write_video(tmp_path / "real.mp4", moving_face(30, (320, 240)))


@pytest.mark.slow
def test_two_people_side_by_side(command: Command, tmp_path: Path) -> None:
    one, other = (moving_face(30, (320, 240), mirrored=mirrored) for mirrored in (False, True))
    both = [np.hstack(pair) for pair in zip(one, other, strict=True)]
    path = write_video(tmp_path / "both.mp4", both)
    rows = json.loads(command("predict", path, "--rows", "frames", "--json").out)
    summary = json.loads(command("predict", path, "--json").out)
    long = [row for row in summary if row["usable_seconds"] > 1.5]
    assert len(long) == 2
    for person in long:
        own = [row for row in rows if row["track"] == person["track"]]
        assert len(own) == person["frames"]
        mean = np.mean([row["probabilities"]["happiness"] for row in own])
        assert person["probabilities"]["happiness"] == pytest.approx(mean, abs=1e-5)


@pytest.mark.slow
def test_the_command(command: Command, real: Path, tmp_path: Path) -> None:
    models = ("--model", "fer", "--model", write_severity_model(tmp_path / "s.onnx"))
    out = tmp_path / "out.csv"
    ended = command("predict", real, *models, "--out", out, "--annotate", tmp_path / "seen")
    assert ended.code == 0, ended.err
    assert "1 ok; written to" in ended.out and USE in ended.out
    [row] = read(out)
    assert row["expression"] == "happiness" and float(row["usable_share"]) == 1
    assert row["use"] == USE
    with Video(tmp_path / "seen" / "real.mp4") as made:
        assert [frame.time for frame in made.frames()] == pytest.approx(np.arange(30) / 10)
    clips = command("predict", real, *models, "--rows", "clips", "--json")
    assert [row["start"] for row in json.loads(clips.out)] == pytest.approx([0, 0.8, 1.6])
    shown = command("predict", real, *models)
    assert "person 0" in shown.out and " of 10 (ours)" in shown.out and USE in shown.out
    (tmp_path / "bad.webm").write_bytes(b"nothing")
    bad = command("predict", real, tmp_path / "bad.webm", "--out", tmp_path / "rows.jsonl")
    assert bad.code == 1 and "Traceback" not in bad.err
    assert [row["status"] for row in read(tmp_path / "rows.jsonl")] == ["ok", "unreadable"]


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ("ss", {}, "one --model of clips, got two"),
        ("ff", {}, "one --model of faces, got two"),
        ("f", {"rows": "all"}, "rows summary, frames, clips, got 'all'"),
        ("s", {"rows": "frames"}, "add --model fer"),
        ("f", {"rows": "clips"}, "a model of clips"),
        ("f", {"out": "rows.txt"}, "expected a table named"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    tmp_path: Path, model_file: Path, models: str, options: dict[str, Any], message: str
) -> None:
    video = write_video(tmp_path / "v.mp4", faceless(2))
    files = {"s": write_severity_model(tmp_path / "s.onnx"), "f": model_file}
    with pytest.raises(MienError, match=message):
        write_predictions([video], models=[files[each] for each in models], **options)


def test_frames_of_which_a_model_is_not_sure_are_part_of_a_person(
    tmp_path: Path, film: Path, write_model: WriteModel
) -> None:
    file = write_model(with_heads(expression={"abstain_below": 0.999}))
    model = Predictor.load(file, detector=NotDark())
    frames, people = tmp_path / "frames.jsonl", tmp_path / "people.jsonl"
    write([str(film)], predictor=model, rows="frames", out=frames, detector=NotDark())
    write([str(film)], predictor=model, out=people, detector=NotDark())
    seen = [row for row in read(frames) if row["track"] is not None]
    assert {row["status"] for row in seen} == {"abstained"}
    assert all(row["reason"].startswith("not sure: ") for row in seen)
    [person] = read(people)
    assert person["status"] == "ok" and person["usable_frames"] == len(seen)
    mean = np.mean([row["probabilities"]["happiness"] for row in seen])
    assert person["probabilities"]["happiness"] == pytest.approx(mean, abs=1e-6)
