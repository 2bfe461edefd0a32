"""A video through the whole path, as a camera is read: shown, stored on request, and ended."""

from __future__ import annotations

import csv
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_videos import write_video

from mien.errors import MienError
from mien.faces.video import Frame, Video
from mien.inference.live import capture
from mien.inference.live import live as module
from mien.inference.live.live import Session, open_source, run_live
from mien.inference.model import OnnxModel, open_onnx
from mien.inference.rows import FACE_COLUMNS, Rows
from mien.schema import Face, Prediction, Status, UInt8Array

from ..conftest import OneFace, WriteModel, picture


class Sees(OneFace):
    def at(self, image: UInt8Array, time: float) -> list[Face]:
        return self(image)


class SeesOnce(Sees):
    def __enter__(self) -> SeesOnce:
        return self


class Shown:
    """A view that remembers what it was shown, and can be told to stop after so many frames."""

    def __init__(self, draws: bool = True, stop_after: float = float("inf")) -> None:
        self.draws, self.stop_after = draws, stop_after
        self.notice = ""
        self.pictures: list[UInt8Array | None] = []
        self.predictions: list[Prediction] = []
        self.statuses: list[str] = []
        self.closed = False
        self.on_show: Callable[[], None] = lambda: None

    def __call__(self, rows: Rows, notice: str) -> Shown:
        self.notice = notice
        return self

    def show(
        self, picture: UInt8Array | None, predictions: Sequence[Prediction], status: str
    ) -> None:
        self.pictures.append(picture)
        self.predictions += predictions
        self.statuses.append(status)
        self.on_show()

    def stopped(self) -> bool:
        return len(self.pictures) >= self.stop_after

    def close(self) -> None:
        self.closed = True


class Plugged:
    """A camera that gives each frame when the one before was shown, so that none is dropped."""

    name = "camera 7"

    def __init__(self, pictures: Sequence[UInt8Array], damage: str = "", step: float = 0.1) -> None:
        self.pictures, self.step, self._damage = pictures, step, damage
        self.damage, self.closed = "", False
        self.shown = threading.Semaphore(1)

    def frames(self) -> Iterator[Frame]:
        for index, pixels in enumerate(self.pictures):
            assert self.shown.acquire(timeout=10)
            yield Frame(index, index * self.step, pixels)
        self.damage = self._damage

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def model(write_model: WriteModel) -> OnnxModel:
    return open_onnx(write_model(affect=2), threads=1)


def live(
    camera: Plugged, view: Shown, model: OnnxModel, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> Session:
    monkeypatch.setattr(module, "open_source", lambda source: camera)
    monkeypatch.setattr(capture, "_LONGEST_CLOSE", 0.1)  # a camera that waits for its turn
    on_show = view.on_show

    def shown() -> None:
        camera.shown.release()
        on_show()

    view.on_show = shown
    return run_live(7, view, model=model, detector=Sees(), **options)


BLACK = np.zeros((120, 160, 3), np.uint8)
PICTURES = [picture(0), picture(1), BLACK, picture(2)]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_video_is_read_as_a_camera_is(tmp_path: Path, model: OnnxModel) -> None:
    film = write_video(tmp_path / "film.mp4", [picture(0)] * 9, rate=30)
    out, view = tmp_path / "rows.jsonl", Shown()
    session = run_live(film, view, model=model, detector=Sees(), out=out)
    rows = read(out)
    assert list(rows[0])[: len(FACE_COLUMNS)] == list(FACE_COLUMNS)
    frames = [row["frame"] for row in rows]
    assert frames == sorted(set(frames)) and set(frames) <= set(range(9)) and frames[-1] == 8
    assert [row["time"] for row in rows] == pytest.approx([frame / 30 for frame in frames])
    assert {row["source"] for row in rows} == {str(film)} and {row["track"] for row in rows} == {0}
    assert len(view.pictures) == len(rows) and view.closed
    assert session.ended == f"{film} is over" and not session.broken
    assert session.rows == {"ok": len(rows)}
    assert f"read {len(rows)} of 9 frames" in session.sentence
    assert session.sentence.endswith(f"{len(rows)} ok, written to {out}")
    assert not (tmp_path / "rows.jsonl.partial").exists()
    assert out.stat().st_mode & 0o777 == 0o600


def test_rows_are_those_of_predict_where_nothing_is_smoothed(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.jsonl"
    session = live(Plugged(PICTURES), Shown(False), model, monkeypatch, out=out, smooth=0.0)
    rows = read(out)
    assert [row["status"] for row in rows] == ["ok", "ok", "no-face", "ok"]
    assert session.rows == {"ok": 3, "no-face": 1}
    from mien.inference.predictor import Predictor

    predictor = Predictor(model, detector=OneFace())
    for row, pixels in zip(rows, PICTURES, strict=True):
        [expected] = predictor(pixels)
        assert row["expression"] == expected.expression
        if expected.status is Status.OK:
            assert row["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
            assert row["valence"] == pytest.approx(expected.valence, abs=1e-6)
            assert row["action_units"] == pytest.approx(expected.action_units, abs=1e-6)


def test_smoothing_reaches_what_is_shown(model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    darker = (0.7 * picture(0)).astype(np.uint8)  # still the same person
    view, plain = Shown(False), Shown(False)
    live(Plugged([picture(0), darker]), view, model, monkeypatch, smooth=0.2)
    live(Plugged([picture(0), darker]), plain, model, monkeypatch, smooth=0.0)
    assert [each.track for each in plain.predictions] == [0, 0]
    share = 1 - np.exp(-0.1 / 0.2)
    first, second = (each.valence for each in plain.predictions[:2])
    assert first is not None and second is not None and abs(first - second) > 1e-4
    expected = first + share * (second - first)
    assert view.predictions[1].valence == pytest.approx(expected, abs=1e-6)
    assert "smoothed over 0.2 s" in view.statuses[0] and "not smoothed" in plain.statuses[0]


def test_a_baseline_is_said_in_every_row(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, view = tmp_path / "rows.csv", Shown(False)
    pictures = [picture(0)] * 8
    live(Plugged(pictures), view, model, monkeypatch, out=out, baseline=0.5, smooth=0)
    rows = read(out)
    assert [row["status"] for row in rows] == ["abstained"] * 6 + ["ok"] * 2
    assert rows[0]["reason"] == "at rest: 0.0 of 0.5 s" and rows[0]["valence"] == ""
    assert rows[-1]["reason"] == "relative to the first 0.5 s"
    assert float(rows[-1]["valence"]) == pytest.approx(0, abs=1e-6)
    assert "relative to each person's first 0.5 s" in view.statuses[0]


def test_the_notice_is_in_the_picture_and_nothing_is_stored(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    view = Shown()
    live(Plugged(PICTURES), view, model, monkeypatch)
    assert view.notice == "Emotion recognition is running. Nothing is stored."
    assert list(tmp_path.iterdir()) == []
    for made, pixels in zip(view.pictures, PICTURES, strict=True):
        assert made is not None and made.shape[0] > pixels.shape[0]
        strip = made[pixels.shape[0] :]
        assert strip.shape[1] == 160 and strip.max() > 200 and strip.min() < 40
    assert "q ends" in view.statuses[-1] and " frames a second, " in view.statuses[-1]


def test_only_what_is_asked_for_is_drawn(model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    view = Shown(draws=False)
    live(Plugged(PICTURES), view, model, monkeypatch)
    assert view.pictures == [None] * 4


def test_a_video_is_written_on_request(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, view = tmp_path / "shown.mp4", Shown(draws=False)
    session = live(Plugged(PICTURES), view, model, monkeypatch, video=out)
    assert view.notice.endswith("Stored: this video.")
    assert session.places == (str(out),) and session.sentence.endswith(f"; written to {out}")
    with Video(out) as made:
        frames = list(made.frames())
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-3)
    assert frames[0].pixels.shape[0] > 140
    assert out.stat().st_mode & 0o777 == 0o600
    with pytest.raises(MienError, match=r"expected a video named .mp4, got .*avi"):
        live(Plugged(PICTURES), view, model, monkeypatch, video=tmp_path / "shown.avi")


def test_somebody_stops_it(model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    camera, view = Plugged([picture(0)] * 50), Shown(stop_after=3)
    session = live(camera, view, model, monkeypatch)
    assert session.ended == "stopped" and not session.broken
    assert len(view.pictures) == 3 and view.closed


def test_time_is_up(model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Plugged([picture(0)])

    def silent() -> Iterator[Frame]:
        yield Frame(0, 0.0, picture(0))
        threading.Event().wait(0.5)

    camera.frames = silent  # type: ignore[method-assign]
    session = live(camera, Shown(), model, monkeypatch, seconds=0.1)
    assert session.ended == "stopped after 0.1 s" and not session.broken


def test_a_camera_that_is_unplugged(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera, out = Plugged(PICTURES, damage="camera 7 gives no more pictures"), tmp_path / "o.csv"
    session = live(camera, Shown(), model, monkeypatch, out=out)
    assert session.broken and session.sentence.startswith("camera 7 gives no more pictures; read 4")
    assert len(read(out)) == 4


def test_an_interrupt_completes_what_is_written(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, film, view = tmp_path / "o.csv", tmp_path / "o.mp4", Shown()

    def interrupt() -> None:
        if len(view.pictures) == 3:
            raise KeyboardInterrupt

    view.on_show = interrupt
    camera = Plugged([picture(0)] * 9)
    with pytest.raises(KeyboardInterrupt, match=f"interrupted; .* written to {out} and {film}"):
        live(camera, view, model, monkeypatch, out=out, video=film)
    assert [row["frame"] for row in read(out)] == ["0", "1"]
    assert film.stat().st_size > 0 and view.closed


def test_an_error_leaves_the_rows_and_says_where(
    tmp_path: Path, model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, view = tmp_path / "o.csv", Shown()

    def fail() -> None:
        if len(view.pictures) == 3:
            raise MienError("expected a screen, got none")

    view.on_show = fail
    left = tmp_path / "o.csv.partial" / "rows.jsonl"
    with pytest.raises(MienError, match=f"got none; the rows so far are in '{left}'"):
        live(Plugged([picture(0)] * 9), view, model, monkeypatch, out=out)
    assert not out.exists() and [row["frame"] for row in read(left)] == [0, 1]
    with pytest.raises(MienError, match="no unfinished work, got rows of an earlier run"):
        live(Plugged(PICTURES), Shown(), model, monkeypatch, out=out)
    assert len(read(left)) == 2


def test_the_page(
    tmp_path: Path,
    model: OnnxModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The Python of the page on cameras, and its numbers."""
    page = (Path(__file__).parents[3] / "docs" / "live.md").read_text("utf-8")
    [block] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    film = write_video(tmp_path / "film.mp4", [picture(0)] * 3, rate=30)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "open_source", lambda source: Video(film))
    monkeypatch.setattr(module, "open_models", lambda models, **options: (model, None))
    monkeypatch.setattr("mien.inference.live.views.Window", lambda title: Shown())
    monkeypatch.setattr(module, "VideoFaceDetector", SeesOnce)
    exec(block, {})
    assert "written to session.csv" in capsys.readouterr().out
    assert read(tmp_path / "session.csv")[0]["status"] == "ok"
    assert module.SMOOTH_SECONDS == 0.5 and "`--smooth 0.5`, the default" in page


def test_what_cannot_be_a_camera(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="got an address"):
        open_source("rtsp://door/1")
    with pytest.raises(MienError, match="got no file"):
        open_source(tmp_path / "none.mp4")
    with pytest.raises(MienError, match="expected a picture from camera 78"):
        open_source("78")


def test_a_model_of_clips_is_refused(tmp_path: Path) -> None:
    from severity_models import write_severity_model

    path = write_severity_model(tmp_path / "s.onnx")
    with pytest.raises(MienError, match="expected a model of faces, got one of clips"):
        run_live(0, Shown(), model=path)
