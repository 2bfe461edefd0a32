"""How long a half-hour video takes, and whether memory grows with it.

    python benchmarks/video.py [--minutes 30] [--write]

The video is made first: a photo that ships with scikit-image, moved about, 640 x 480 pixels at 25
frames per second, MPEG-4. Then it is read as ``mien predict`` reads it: every frame is decoded; in
five per second faces are detected, tracked, cropped and predicted by the shipped model.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from mien.faces.video import Frame
from mien.inference.predictor import Predictor
from mien.inference.videos import FPS, VideoPredictions, predict_video
from mien.schema import Prediction

SIZE = (640, 480)
FRAMES_A_SECOND = 25


def write_video(path: Path, minutes: float) -> None:
    """A face that wanders, ``minutes`` long."""
    from skimage import data

    photo = data.astronaut()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_A_SECOND)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(round(minutes * 60 * FRAMES_A_SECOND)):
            x, y = 60 * np.sin(number / 40), 20 * np.cos(number / 31)
            matrix = np.array([[1.0, 0, 40 + x], [0, 1.0, 20 + y]])
            picture = cv2.warpAffine(photo, matrix, SIZE)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def resident() -> float:
    """Megabytes that this process holds now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


Samples = list[tuple[float, float]]


def measure(path: Path, minutes: float) -> tuple[VideoPredictions, Samples, float]:
    """The predictions, (minute, megabytes) on the way, and seconds."""
    marks = [mark for mark in (1, 2, 5, 10, 15, 20, 25, minutes) if mark <= minutes]
    samples: Samples = []

    def sample(frame: Frame, _: list[Prediction]) -> None:
        while marks and frame.time >= 60 * marks[0] - 1 / FPS:
            samples.append((marks.pop(0), resident()))
            print(f"minute {samples[-1][0]:g}: {samples[-1][1]:.0f} MB", flush=True)

    with Predictor.load("fer") as predictor:
        started = time.perf_counter()
        video = predict_video(path, predictor=predictor, on_frame=sample)
        return video, samples, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--write", action="store_true", help="into benchmarks/video.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_video(path, given.minutes)
        before = resident()
        video, samples, seconds = measure(path, given.minutes)
        size = path.stat().st_size / 1e6
    [person, *others] = video.persons
    load = os.getloadavg()[2]
    lines = [
        "# A long video",
        "",
        f"Made by `python benchmarks/video.py --minutes {given.minutes:g}` on "
        f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, load {load:.1f} in "
        "the last 15 minutes.",
        "",
        f"{given.minutes:g} minutes, 25 frames per second, {SIZE[0]} x {SIZE[1]} pixels, "
        f"{size:.0f} MB: {video.frames:,} frames were read, {FPS:g} per second; "
        f"{1 + len(others)} track, {person.usable_frames:,} of them with a face.",
        "",
        f"**{given.minutes * 60 / seconds:.1f} times real time** ({seconds:.0f} s).",
        "",
        "| minute | memory in MB |",
        "|---|---|",
        f"| 0 | {before:.0f} |",
        *(f"| {minute:g} | {memory:.0f} |" for minute, memory in samples),
    ]
    text = "\n".join(lines) + "\n"
    if given.write:
        Path(__file__).with_name("video.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
