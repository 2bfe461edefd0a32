"""Whether any number of photos can be read: memory, speed, handles, kills, resumption, shards.

    python benchmarks/predict_scale.py [--photos N] [--model FILE] [--write]

The photos are hard links to a few hundred files: crops of scikit-image's astronaut, each moved,
scaled and lit a little differently, 256 pixels wide. ``mien predict`` reads them into one Parquet
table: at once; killed by SIGKILL at three random moments and resumed each time; and as two shards
that are merged. All three tables must be equal, row for row. While it reads at once, its memory
(resident, without files) and its open files are looked at twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow.parquet as pq
import skimage.data

TABLE = Path(__file__).with_suffix(".md")
DIFFERENT, SEED, FOLDER = 300, 0, 1000


class Sample(NamedTuple):
    """A process at one moment: seconds, inputs finished, megabytes, open files."""

    seconds: float
    inputs: int
    megabytes: float
    files: int


def write_photos(folder: Path, count: int) -> None:
    """``count`` hard links to different photos, a thousand a folder."""
    generator = np.random.default_rng(SEED)
    person = skimage.data.astronaut()
    originals = folder.parent / "originals"
    originals.mkdir()
    for number in range(DIFFERENT):
        side = int(generator.integers(220, 400))
        left, top = (int(generator.integers(0, limit)) for limit in (512 - side, 60))
        part = person[top : top + side, max(0, min(left, 220)) :][:, :side]
        lit = np.clip(part * generator.uniform(0.6, 1.3), 0, 255).astype(np.uint8)
        small = cv2.resize(lit, (256, 256), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(originals / f"{number}.jpg"), small[:, :, ::-1])
    for number in range(count):
        place = folder / f"{number // FOLDER:04}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(originals / f"{number % DIFFERENT}.jpg", place / f"{number:07}.jpg")


def command(photos: Path, out: Path, model: str, *more: str) -> list[str]:
    options = ["--out", str(out), "--model", model, *more]
    return [sys.executable, "-m", "mien", "predict", str(photos), *options]


def finished(work: Path) -> int:
    """How many inputs the last run in a work folder has finished or taken over."""
    try:
        with (work / "sources.jsonl").open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return 0
    # Behind the last end of a line is nothing, or half a line.
    last = lines[-2] if len(lines) > 1 else b""
    return json.loads(last)["number"] + 1 if last.startswith(b"{") else 0


def watched(arguments: list[str], work: Path) -> list[Sample]:
    """Run a command to its end, and look at it twice a second."""
    samples = []
    started = time.monotonic()
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
        proc = Path(f"/proc/{process.pid}")
        while process.poll() is None:
            try:
                lines = (proc / "status").read_text().splitlines()
                numbers = {line.split(":")[0]: line.split()[1] for line in lines if " kB" in line}
                files = len(os.listdir(proc / "fd"))
                megabytes = int(numbers["RssAnon"]) / 1024
            except (OSError, KeyError):  # it has ended meanwhile
                break
            elapsed = time.monotonic() - started
            samples.append(Sample(elapsed, finished(work), megabytes, files))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"expected {arguments} to end well, got {process.returncode}")
    return [sample for sample in samples if sample.inputs]


def killed(photos: Path, out: Path, model: str, count: int) -> list[int]:
    """Kill a run three times at random moments and let it end; how far it was each time."""
    chosen = random.Random(SEED)
    work = Path(f"{out}.partial")
    ends = []
    for goal in sorted(chosen.randrange(1, count) for _ in range(3)):
        more = ["--resume"] if ends else []
        with subprocess.Popen(
            command(photos, out, model, *more), stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                if finished(work) >= goal:
                    process.kill()
                time.sleep(0.02)
        ends.append(finished(work))
    subprocess.run(command(photos, out, model, "--resume"), check=True, stdout=subprocess.DEVNULL)
    return ends


def rate(samples: list[Sample]) -> float:
    first, last = samples[0], samples[-1]
    return (last.inputs - first.inputs) / (last.seconds - first.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--model", default="fer")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary) / "photos"
        write_photos(photos, options.photos)
        once, ended, parts = (
            Path(temporary) / f"{name}.parquet" for name in ("once", "killed", "shards")
        )
        samples = watched(command(photos, once, options.model), Path(f"{once}.partial"))
        ends = killed(photos, ended, options.model, options.photos)
        for number in (1, 2):
            subprocess.run(
                command(photos, parts, options.model, "--shard", f"{number}/2"),
                check=True,
                stdout=subprocess.DEVNULL,
            )
        merge = [sys.executable, "-m", "mien", "predict", "--merge", "--out", str(parts)]
        subprocess.run(merge, check=True, stdout=subprocess.DEVNULL)
        tables = [pq.read_table(path) for path in (once, ended, parts)]
        sources = tables[0].column("source").to_pylist()
        megabytes = once.stat().st_size / 1e6
    reading = [sample for sample in samples if sample.inputs < options.photos]
    warm = [sample for sample in reading if sample.inputs >= min(1000, options.photos // 3)]
    quarter = max(2, len(warm) // 4)
    rows = {
        "photos, rows, megabytes of the table": (
            f"{len(set(sources)):,}, {len(sources):,}, {megabytes:.1f}"
        ),
        "photos a second, first quarter and last": (
            f"{rate(warm[:quarter]):.1f}, {rate(warm[-quarter:]):.1f}"
        ),
        "memory in MB after 1,000 photos, at the last, at most": (
            f"{warm[0].megabytes:.0f}, {warm[-1].megabytes:.0f}, "
            f"{max(sample.megabytes for sample in samples):.0f}"
        ),
        "open files after 1,000 photos, at the last": f"{warm[0].files}, {warm[-1].files}",
        "killed after so many photos": ", ".join(f"{end:,}" for end in ends),
        "resumed table equals that at once": str(tables[1].equals(tables[0])),
        "merged shards equal that at once": str(tables[2].equals(tables[0])),
    }
    lines = ["| what | measured |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())]
    text = "\n".join(lines)
    print(text)
    if options.write:
        call = f"python benchmarks/predict_scale.py --photos {options.photos} --write"
        about = (__doc__ or "").split("\n\n", 2)[2].strip()
        head = f"# Many photos\n\n`{call}`, seed {SEED}, load average at the start {load}"
        TABLE.write_text(f"{head}\n\n{about}\n\n{text}\n", "utf-8")
    if not (tables[1].equals(tables[0]) and tables[2].equals(tables[0])):
        raise SystemExit("expected equal tables, got different ones")


if __name__ == "__main__":
    main()
