"""How much memory two photos of 108 megapixels take at once, in ``mien predict`` and ``prepare``.

    python benchmarks/large_photos.py [--workers N]

Photos of 12,032 x 9,024 pixels with scikit-image's astronaut pasted in, as baseline and progressive
JPEG and as PNG. Memory is the sum over the process and its children of what is resident, looked at
every 10 ms: what processes share counts for each. Linux only. Writes a part of benchmarks/faces.md.
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
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from face_page import write_part

WIDTH, HEIGHT = 12_032, 9_024
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": (".jpg", {"quality": 85}),
    "progressive JPEG": (".jpg", {"quality": 85, "progressive": True}),
    "PNG": (".png", {"compress_level": 1}),
}
COMMANDS = {
    "predict": ("predict", "photos", "--threads", "{workers}", "--out", "faces.csv"),
    "predict --annotate": (
        *("predict", "photos", "--threads", "{workers}", "--out", "drawn.csv"),
        *("--annotate", "drawn"),
    ),
    "predict --whole": (
        *("predict", "photos", "--threads", "{workers}", "--whole", "--out", "whole.csv"),
    ),
    "prepare": (
        "prepare",
        "folder",
        "photos",
        "--classes",
        "happiness,anger",
        "--workers",
        "{workers}",
        "--out",
        "dataset",
    ),
}


def photo(side: int) -> Image.Image:
    """A photo with a face; ``side`` is that of the pasted portrait, whose face is half as high."""
    coarse = np.random.default_rng(side).integers(60, 180, (48, 64, 3), np.uint8)
    large = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    portrait = Image.fromarray(np.asarray(data.astronaut(), np.uint8))
    large.paste(portrait.resize((side, side), Image.Resampling.BICUBIC), (WIDTH // 3, HEIGHT // 4))
    return large


def resident(process: int) -> float:
    """Megabytes that a process and its children have in memory."""
    pages, waiting = 0, [process]
    while waiting:
        one = waiting.pop()
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):  # ended meanwhile
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak(command: list[str], folder: Path) -> tuple[float, float]:
    """The most megabytes of a command at any time, and its seconds."""
    began, most = time.monotonic(), 0.0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(command, cwd=folder, stderr=errors, env=environment)
        while process.poll() is None:
            most = max(most, resident(process.pid))
            time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"{command}: {(folder / 'stderr').read_text()[-2000:]}")
    return most, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="2")
    given = parser.parse_args()
    lines = [
        "`python benchmarks/large_photos.py` writes this part. Two photos of",
        f"{WIDTH:,} x {HEIGHT:,} pixels, read at once by {given.workers} threads or processes:",
        "peak memory of all processes together, MB. "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores.",
        "",
        f"| | {' | '.join(COMMANDS)} |",
        f"|---|{'---|' * len(COMMANDS)}",
    ]
    for name, (suffix, options) in KINDS.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "photos" / "happiness").mkdir(parents=True)
            for number, side in enumerate((4096, 1200)):
                photo(side).save(folder / "photos" / "happiness" / f"{number}{suffix}", **options)
            cells = []
            for title, arguments in COMMANDS.items():
                filled = [part.format(workers=given.workers) for part in arguments]
                most, seconds = peak([sys.executable, "-m", "mien", *filled], folder)
                print(f"{name}, {title}: {most:.0f} MB, {seconds:.1f} s", flush=True)
                cells.append(f"{most:.0f}")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    write_part("Large photos", lines)


if __name__ == "__main__":
    main()
