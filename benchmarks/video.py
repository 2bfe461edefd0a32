"""Whether memory grows with the length of a video, and how fast long ones are read.

    python benchmarks/video.py [--minutes 1 10 30] [--write]

The videos are made first: a photo that ships with scikit-image, moved about, 320 x 240 pixels at
five frames per second, MPEG-4. Then `mien predict` (the shipped model, a row for each frame) and
`mien prepare recordings` read every frame of each in a process of its own, whose peak of memory is
that of the system's accounts.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

SIZE = (320, 240)
FRAMES_A_SECOND = 5

# The peak of the process and of the processes that it has started, in MB, after mien's output.
_RUN = """
import resource, sys
from mien.cli import main
sys.argv[0] = "mien"
try:
    main()
finally:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print("peak", max(resource.getrusage(each).ru_maxrss for each in who) / 1e3)
"""


class Measured(NamedTuple):
    """What one command took: megabytes at most, and seconds."""

    memory: float
    seconds: float


def write_video(path: Path, minutes: float) -> None:
    """A face that wanders, ``minutes`` long."""
    from skimage import data

    photo = cv2.resize(data.astronaut(), (240, 240), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_A_SECOND)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(round(minutes * 60 * FRAMES_A_SECOND)):
            x, y = 30 * np.sin(number / 40), 10 * np.cos(number / 31)
            matrix = np.array([[1.0, 0, 40 + x], [0, 1.0, y]])
            picture = cv2.warpAffine(photo, matrix, SIZE)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def measured(*arguments: str) -> Measured:
    """Run a command of mien; raises where it fails."""
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments], capture_output=True, text=True, check=True
    )
    return Measured(float(ended.stdout.split()[-1]), time.perf_counter() - started)


def measure(folder: Path, minutes: float) -> dict[str, Measured]:
    """Both commands on a video of so many minutes."""
    video = folder / f"{minutes:g}.mp4"
    write_video(video, minutes)
    table = folder / f"{minutes:g}.csv"
    table.write_text(f"video,score,subject,split\n{video.name},5,one,train\n", encoding="utf-8")
    fps = ("--fps", str(FRAMES_A_SECOND))
    rows = ("--rows", "frames", "--out", str(folder / f"{minutes:g}.parquet"))
    out = ("--scale", "phq-8", "--workers", "1", "--out", str(folder / f"{minutes:g}"))
    return {
        "predict": measured("predict", str(video), *fps, *rows),
        "prepare": measured("prepare", "recordings", str(table), *fps, *out),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 30])
    parser.add_argument("--write", action="store_true", help="into benchmarks/video.md")
    given = parser.parse_args()
    results: dict[float, dict[str, Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in given.minutes:
            results[minutes] = measure(Path(folder), minutes)
            print(minutes, results[minutes], flush=True)
    first = results[given.minutes[0]]
    load = os.getloadavg()[2]
    lines = [
        "# Long videos",
        "",
        f"Made by `python benchmarks/video.py --minutes {' '.join(f'{m:g}' for m in results)}` on "
        f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, load {load:.1f} in "
        "the last 15 minutes.",
        "",
        f"{SIZE[0]} x {SIZE[1]} pixels, {FRAMES_A_SECOND} frames per second, all of them read, one "
        "face; memory is the peak of the process.",
        "",
        "| minutes | frames | command | memory in MB | of the first | times real time |",
        "|---|---|---|---|---|---|",
        *(
            f"| {minutes:g} | {minutes * 60 * FRAMES_A_SECOND:,.0f} | {command} | {memory:.0f} | "
            f"{memory / first[command].memory:.2f} | {60 * minutes / seconds:.1f} |"
            for minutes, commands in results.items()
            for command, (memory, seconds) in commands.items()
        ),
    ]
    text = "\n".join(lines) + "\n"
    if given.write:
        Path(__file__).with_name("video.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
