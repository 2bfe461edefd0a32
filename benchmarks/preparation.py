"""How long `mien prepare` takes for frames of Aff-Wild2's kind, and whether memory grows.

    python benchmarks/preparation.py FOLDER [--rows 3000 30000 300000] [--write]

FOLDER takes the fake corpus (videos of 1,000 frames, each a hard link to one of 200 pictures of 112
pixels, with the lists of three challenges, some frames missing or not annotated), the datasets, and
what was measured: when it is interrupted, the same command goes on. Crops are of 48 pixels, so that
300,000 rows take 4.2 GB at most; nothing in FOLDER is deleted but finished datasets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

FRAMES, PICTURES = 1000, 200
_LISTS = {
    "VA_Estimation_Challenge": "valence,arousal",
    "EXPR_Classification_Challenge": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
    "AU_Detection_Challenge": "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26",
}
_RUN = """
import resource, sys
from mien.cli import main
sys.argv[0] = "mien"
try:
    main()
finally:
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        print("peak", resource.getrusage(who).ru_maxrss / 1e3)
"""


def write_corpus(folder: Path, rows: int) -> Path:
    """The fake tree of so many frames; what is there is left as it is."""
    source = folder / f"corpus-{rows}"
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    files = []
    for number in range(PICTURES):
        coarse = rng.integers(30, 220, (14, 14, 3), dtype=np.uint8)
        files.append(pictures / f"{number}.jpg")
        cv2.imwrite(str(files[-1]), cv2.resize(coarse, (112, 112)))
    for video in range(rows // FRAMES):
        name = f"video{video:04d}"
        done = source / "done" / name
        if done.exists():
            continue
        frames = source / "cropped_aligned" / name
        shutil.rmtree(frames, ignore_errors=True)
        frames.mkdir(parents=True)
        for number in range(1, FRAMES + 1):
            if number % 50:  # the others were lost
                file = files[(video * FRAMES + number) % PICTURES]
                (frames / f"{number:05d}.jpg").hardlink_to(file)
        split = "Train_Set" if video % 5 else "Validation_Set"
        for challenge, header in _LISTS.items():
            path = source / "annotations" / challenge / split / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [_line(challenge, rng, number) for number in range(FRAMES)]
            path.write_text("\n".join([header, *lines]) + "\n")
        done.parent.mkdir(exist_ok=True)
        done.touch()
    return source


def _line(challenge: str, rng: np.random.Generator, number: int) -> str:
    if challenge.startswith("VA"):
        return "-5,-5" if number % 20 == 0 else ",".join(f"{v:.3f}" for v in rng.uniform(-1, 1, 2))
    if challenge.startswith("EXPR"):
        return "-1" if number % 20 == 0 else str(rng.integers(8))
    return ",".join(["-1"] * 12 if number % 20 == 0 else map(str, rng.integers(0, 2, 12)))


def measure(folder: Path, rows: int, workers: int) -> dict[str, float]:
    """Prepare the corpus once; memory is that of the main process and of the largest worker."""
    source, out = write_corpus(folder, rows), folder / f"dataset-{rows}"
    shutil.rmtree(out, ignore_errors=True)
    resumed = (folder / f"dataset-{rows}.partial").exists()
    started = time.perf_counter()
    options = ["--size", "48", "--workers", str(workers), "--out", str(out)]
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, "prepare", "aff-wild2", str(source), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if ended.returncode:
        raise SystemExit(ended.stdout + ended.stderr)
    main, worker = (float(line.split()[1]) for line in ended.stdout.splitlines()[-2:])
    count = json.loads((out / "dataset.json").read_text("utf-8"))["rows"]
    shutil.rmtree(out)
    result = {"prepared": count, "seconds": seconds, "main": main, "worker": worker}
    return result | {"resumed": resumed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[3000, 30_000, 300_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="into benchmarks/preparation.md")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    log = given.folder / "measured.json"
    results = json.loads(log.read_text("utf-8")) if log.exists() else {}
    for rows in given.rows:
        if str(rows) not in results:
            results[str(rows)] = measure(given.folder, rows, given.workers)
            log.write_text(json.dumps(results), encoding="utf-8")
        print(rows, results[str(rows)], flush=True)
    lines = [
        "# Many frames",
        "",
        f"Made by `python benchmarks/preparation.py FOLDER --rows {' '.join(map(str, given.rows))}`"
        f" on {platform.machine()}, {platform.system()}, {os.cpu_count()} cores, "
        f"{given.workers} workers; memory is the peak of a process.",
        "",
        "| lines of the lists | rows | seconds | rows a second | main process, MB | worker, MB |",
        "|---|---|---|---|---|---|",
        *(
            f"| {rows:,} | {each['prepared']:,} | {each['seconds']:.0f}"
            f"{' (resumed)' if each['resumed'] else ''} | "
            f"{each['prepared'] / each['seconds']:.0f} | {each['main']:.0f} | "
            f"{each['worker']:.0f} |"
            for rows, each in ((rows, results[str(rows)]) for rows in given.rows)
        ),
    ]
    text = "\n".join(lines) + "\n"
    if given.write:
        Path(__file__).with_name("preparation.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
