"""The rate and the delay of a camera that is read live, and how much smoothing calms it.

    python benchmarks/live.py [--seconds 20] [--rounds 3] [--sizes 640x480 1280x720] [--write]

A video stands in for the camera: scikit-image's astronaut, who sways, 30 frames a second, with the
noise of a sensor. It is read by `mien.inference.live` at its own pace, with the shipped model and
its settings, and shown as lines (nothing is drawn), drawn but not shown, and in a window where
there is a screen (a virtual one will do: `Xvfb :77 & DISPLAY=:77 python benchmarks/live.py`). The
delay is from when a frame came to when it was shown; the rows are of the round in the middle by it.
What the parts of the way cost is measured apart, on every frame of the video, one after the other.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.tracks import Tracker
from mien.faces.video import Video
from mien.inference.drawing.annotate import annotate
from mien.inference.frames import FaceOutput, read_frame
from mien.inference.live.live import Session, run_live
from mien.inference.live.notice import notice, with_strip
from mien.inference.live.steady import Steady
from mien.inference.live.views import MakeView, View, Window
from mien.inference.predictor import Predictor
from mien.inference.rows import Rows
from mien.schema import Prediction, UInt8Array

PAGE = Path(__file__).with_suffix(".md")
FPS = 30
NOISE = 6.0  # standard deviation in gray levels
SMOOTH = (0.0, 0.25, 0.5, 1.0)
UNITS = ("AU6", "AU12", "AU25")


class Unseen:
    """A view that shows nothing, and draws or not."""

    def __init__(self, draws: bool) -> None:
        self.draws = draws

    def show(
        self, picture: UInt8Array | None, predictions: Sequence[Prediction], status: str
    ) -> None:
        """Show nothing."""

    def stopped(self) -> bool:
        """Nobody is there to stop it."""
        return False

    def close(self) -> None:
        """There is nothing to close."""


def write_video(path: Path, size: tuple[int, int], seconds: float) -> None:
    """A face that sways, before a camera with noise."""
    from skimage import data

    photo, generator = data.astronaut(), np.random.default_rng(0)
    width, height = size
    scale = height / 512
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 20 * width * height
        for number in range(round(seconds * FPS)):
            x, y = 20 * np.sin(number / 9), 10 * np.cos(number / 11)
            matrix = np.array([[scale, 0, (width - height) / 2 + x], [0, scale, y]])
            picture = cv2.warpAffine(photo, matrix, size, borderMode=cv2.BORDER_REPLICATE)
            noisy = picture + generator.normal(0, NOISE, picture.shape)
            frame = av.VideoFrame.from_ndarray(
                np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def views() -> Iterator[tuple[str, MakeView]]:
    """What shows the frames, by name; a window only where there is a screen."""
    yield "lines", lambda rows, told: Unseen(draws=False)
    yield "drawn", lambda rows, told: Unseen(draws=True)

    def window(rows: Rows, told: str) -> View:
        return Window("mien")

    try:
        Window("mien").close()
    except MienError as error:
        print(f"without a window: {error}")
        return
    yield "window", window


def live(path: Path, make_view: MakeView, rounds: int) -> Session:
    """The session in the middle by its delay."""
    sessions = [run_live(path, make_view) for _ in range(rounds)]
    return sorted(sessions, key=lambda session: session.timing.delay(0.5))[rounds // 2]


class Costs(NamedTuple):
    """Medians in milliseconds of the parts of one frame's way, and its outputs."""

    parts: dict[str, float]
    outputs: list[list[FaceOutput]]


def costs(path: Path) -> Costs:
    """Every frame of a video, one after the other."""
    times: dict[str, list[float]] = {"detect": [], "track": [], "predict": [], "draw": []}
    outputs: list[list[FaceOutput]] = []
    lines = (notice([]), "30 of 30 frames a second, 33 ms late, smoothed over 0.5 s; q ends")
    with Video(path) as video, Predictor.load() as predictor, VideoFaceDetector() as detector:
        tracker, steady = Tracker(), Steady(predictor.reading, smooth=0.5, baseline=None)
        for frame in video.frames():
            marks = [time.perf_counter()]
            faces = detector.at(frame.pixels, frame.time)
            marks.append(time.perf_counter())
            tracked = list(zip(tracker.assign(frame.pixels, faces, frame.time), faces, strict=True))
            marks.append(time.perf_counter())
            outputs.append(read_frame(predictor, frame, tracked, "camera"))
            predictions = steady.read(outputs[-1])
            marks.append(time.perf_counter())
            with_strip(annotate(frame.pixels, predictions, enlarge=False), lines)
            marks.append(time.perf_counter())
            for part, seconds in zip(times.values(), np.diff(marks), strict=True):
                part.append(float(seconds))
    return Costs({name: 1000 * statistics.median(each) for name, each in times.items()}, outputs)


def calm(outputs: list[list[FaceOutput]]) -> list[str]:
    """Standard deviations of three units over the frames after the first second."""
    lines = []
    for smooth in SMOOTH:
        with Predictor.load() as predictor:
            steady = Steady(predictor.reading, smooth=smooth, baseline=None)
        values = []
        for frame in outputs:
            for prediction in steady.read(frame):
                if prediction.time is not None and prediction.time > 1 and prediction.action_units:
                    values.append([prediction.action_units[unit] for unit in UNITS])
        deviations = " | ".join(f"{deviation:.4f}" for deviation in np.std(values, axis=0))
        lines.append(f"| {smooth:g} | {smooth:g} | {deviations} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720"])
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    given = parser.parse_args()
    rates, parts, still = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.sizes:
            width, height = map(int, name.split("x"))
            path = Path(folder) / f"{name}.mp4"
            write_video(path, (width, height), given.seconds)
            for shown, make_view in views():
                timing = live(path, make_view, given.rounds).timing
                rates.append(
                    f"| {width} x {height} | {shown} | "
                    f"{(timing.read - 1) / max(timing.seconds, 1e-9):.1f} | "
                    f"{100 * timing.read / timing.came:.0f} % | {1000 * timing.delay(0.5):.0f} | "
                    f"{1000 * timing.delay(0.99):.0f} |"
                )
                print(rates[-1], flush=True)
            measured = costs(path)
            numbers = " | ".join(f"{each:.1f}" for each in measured.parts.values())
            parts.append(f"| {width} x {height} | {numbers} |")
            print(parts[-1], flush=True)
            if not still:
                still = calm(measured.outputs)
                print(*still, sep="\n", flush=True)
    options = f"--seconds {given.seconds:g} --rounds {given.rounds} --sizes {' '.join(given.sizes)}"
    lines = [
        "# Cameras",
        "",
        f"Made by `python benchmarks/live.py {options} --write` on {platform.machine()}, "
        f"{platform.system()}, {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f} in the "
        "last 15 minutes.",
        "",
        f"A video as a camera of {FPS} frames a second, one face, the shipped model, smoothed over "
        "0.5 s. Delays are in milliseconds.",
        "",
        "| size | shown | frames a second | of all | delay, middle | delay, 99 of 100 |",
        "|---|---|---|---|---|---|",
        *rates,
        "",
        "## What a frame costs",
        "",
        "Medians in milliseconds, every frame one after the other, beside nothing else.",
        "",
        "| size | detect | track | predict | draw |",
        "|---|---|---|---|---|",
        *parts,
        "",
        "## Smoothing",
        "",
        f"Standard deviations of the intensities of action units of a face that sways and does not "
        f"change, noise {NOISE:g} gray levels, {given.sizes[0]}, after the first second.",
        "",
        f"| `--smooth` | delay in seconds | {' | '.join(UNITS)} |",
        "|---|---|---|---|---|",
        *still,
    ]
    if given.write:
        PAGE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
