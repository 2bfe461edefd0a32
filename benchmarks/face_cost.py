"""What finding and reading faces costs: start, memory, time per photo and installed size.

    python benchmarks/face_cost.py [--old PYTHON SOURCE] [--rounds N]

``--old`` names the Python of an environment with mediapipe, and the ``src`` folder of mien at
commit 587faed, the last one with the runtime of MediaPipe. Each figure is the median over
processes of their own, which take turns; the photo is scikit-image's astronaut, 512 x 512, on two
threads. Writes a part of benchmarks/faces.md. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from skimage import data

from face_page import write_part

# Runs in both environments: mien's layout differs, its detector is called in one way.
PROGRAM = """
import json, resource, sys, time
import numpy as np
photo = np.load(sys.argv[1])
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
bare = memory()
started = time.perf_counter()
try:
    from mien.faces.detection.detect import FaceDetector
except ImportError:
    from mien.faces.detect import MediaPipeDetector as FaceDetector
settings = {"thorough": True} if sys.argv[2] == "thorough" else {}
detector = FaceDetector(**settings)
first = len(detector(photo))
start = time.perf_counter() - started
times, asked = [], []
for _ in range(60):
    begun = time.perf_counter()
    [face] = detector(photo)
    times.append(time.perf_counter() - begun)
    dict(face.blendshapes)
    asked.append(time.perf_counter() - begun)
times, asked = sorted(times), sorted(asked)
print(json.dumps({"start": start, "photo": 1000 * times[30], "least": 1000 * times[0],
                  "with": 1000 * asked[30], "memory": memory(), "bare": bare}))
"""
ROWS = {
    "start": "import and first face, s",
    "photo": "a photo of 512 x 512, ms (median)",
    "least": "the same, least of 60",
    "with": "with blendshapes looked at, ms (median)",
    "memory": "peak memory of the process, MB",
    "bare": "of these, Python, numpy and the photo",
}


def one(python: str, source: Path, photo: Path, mode: str) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(
        [python, "-c", PROGRAM, str(photo), mode],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", nargs=2, metavar=("PYTHON", "SOURCE"))
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    spec = importlib.util.find_spec("mien")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parents[1]
    columns = {
        "mien, fast": (sys.executable, source, "fast"),
        "mien, thorough": (sys.executable, source, "thorough"),
    }
    if given.old:
        columns = {"with MediaPipe": (given.old[0], Path(given.old[1]), "fast"), **columns}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in columns}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.npy"
        np.save(photo, np.asarray(data.astronaut(), np.uint8))
        for arguments in columns.values():
            one(*arguments[:2], photo, arguments[2])  # the first one also reads the disk
        for _ in range(given.rounds):
            for name, (python, folder_of, mode) in columns.items():
                results[name].append(one(python, folder_of, photo, mode))
    lines = [
        "`python benchmarks/face_cost.py --old PYTHON SOURCE` writes this part: medians over",
        f"{given.rounds} processes, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, two threads.",
        "",
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for key, title in ROWS.items():
        cells = [statistics.median(run[key] for run in results[name]) for name in columns]
        lines.append(f"| {title} | {' | '.join(f'{cell:.3g}' for cell in cells)} |")
    print("\n".join(lines))
    write_part("Time and memory", lines)


if __name__ == "__main__":
    main()
