"""mien beside other packages that find faces and name their expressions, from photo to result.

    python benchmarks/inference.py --valid FERPLUS_VALID.parquet [--fer PYTHON] [--facex PYTHON]
        [--node FOLDER] [--quick] [--work FOLDER] [--write]

PYTHON is that of an environment with ``fer==25.10`` or ``facex==1.1``, FOLDER one in which
``npm install @vladmandic/human @vladmandic/face-api @tensorflow/tfjs @tensorflow/tfjs-backend-wasm
sharp`` was run; a package without one is left out. Everybody gets two threads, the same files and
their own defaults. Each measurement is a process of its own, and the packages take turns, so that
whatever else the machine does slows all of them; figures are medians over the rounds, ratios
medians over the pairs of a round. Finished measurements are kept in the folder ``--work``, so the
script goes on where it was ended.

- one: milliseconds of a 512 x 512 photo, one at a time, after the first.
- many: photos of 512 x 512 a second, 1,000 copies that differ a little.
- large: photos of 4,000 x 3,000 a second.
- crops: accuracy on the split valid of FER+ by the majority vote; 48 x 48 pictures taken as faces,
  but by human, which has no way to: where it finds no face in one, it counts as wrong.
- groups: faces that are found in photos with six rendered heads of 40 to 200 pixels each.

Start is the time from starting the process to the first result, memory the peak of the process
while it reads many photos.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow.parquet as pq
import skimage.data
from PIL import Image

TABLE = Path(__file__).with_suffix(".md")
PEERS = Path(__file__).with_name("peers")
THREADS = 2
_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


class Effort(NamedTuple):
    """How much is measured."""

    rounds: int = 5
    repeat: int = 30
    many: int = 1000
    large: int = 20
    crops: int | None = None
    groups: int = 20


QUICK = Effort(rounds=1, repeat=3, many=10, large=2, crops=40, groups=2)


def portraits(folder: Path, count: int, width: int, height: int) -> list[str]:
    """JPEGs of the astronaut of scikit-image, each lit and shifted a little differently."""
    generator = np.random.default_rng(width)
    person = skimage.data.astronaut()
    paths = []
    for number in range(min(count, 50)):
        shift = np.float32([[1, 0, generator.uniform(-20, 20)], [0, 1, generator.uniform(-20, 20)]])
        moved = cv2.warpAffine(person, shift, (512, 512), borderMode=cv2.BORDER_REFLECT)
        lit = np.clip(moved * generator.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
        sized = cv2.resize(lit, (width, height), interpolation=cv2.INTER_CUBIC)
        path = folder / f"{width}-{number}.jpg"
        Image.fromarray(sized).save(path, quality=90)
        paths.append(str(path))
    return [paths[number % len(paths)] for number in range(count)]


def crops(folder: Path, table: Path, count: int | None) -> tuple[list[str], list[str]]:
    """The pictures of FER+ and the expressions by the majority rule; ties go to the first."""
    rows = pq.read_table(table).to_pylist()
    paths, names = [], []
    for row in rows:
        votes = {name: row[name] for name in _NAMES}
        best = max(votes, key=lambda name: votes[name])
        if votes[best] <= row["unknown"] + row["NF"]:
            continue
        path = folder / row["name"]
        path.write_bytes(row["image"])
        paths.append(str(path))
        names.append(best)
    return paths[:count], names[:count]


def groups(folder: Path, count: int) -> tuple[list[str], int]:
    """Group photos, and how many faces are in them."""
    from face_photos import group_photos

    sizes = [40.0, 60.0, 80.0, 120.0, 160.0, 200.0]
    paths, faces = [], 0
    for number, (photo, placed) in enumerate(group_photos("size", sizes, count)):
        path = folder / f"group-{number}.jpg"
        Image.fromarray(photo).save(path, quality=95)
        paths.append(str(path))
        faces += len(placed)
    return paths, faces


def commands(options: argparse.Namespace) -> dict[str, tuple[list[str], str]]:
    """How each package is started, and in which folder."""
    here = os.getcwd()
    started = {"mien": ([sys.executable, str(PEERS / "mien_worker.py")], here)}
    for name in ("fer", "facex"):
        if python := getattr(options, name):
            started[name] = ([str(Path(python).absolute()), str(PEERS / f"{name}_worker.py")], here)
    for name in ("human", "face-api") if options.node else ():
        started[name] = (["node", str(PEERS / "node_worker.cjs"), name], str(options.node))
    return started


def run(command: list[str], folder: str, order: dict[str, Any]) -> dict[str, Any]:
    """One process of one package; what it prints, and the seconds to its first result."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(order | {"threads": THREADS}, file)
        file.flush()
        threads = {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
        started = time.perf_counter()
        done = subprocess.run(
            [*command, file.name],
            cwd=folder,
            env={**os.environ, **threads},
            capture_output=True,
            text=True,
            check=False,
        )
        whole = time.perf_counter() - started
    lines = [line for line in done.stdout.splitlines() if line.startswith("result ")]
    if not lines:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    result: dict[str, Any] = json.loads(lines[-1].removeprefix("result "))
    inside = result["seconds"] + sum(result["alone_ms"]) / 1000
    return result | {"start": whole - inside}


class Notebook:
    """What was measured, on disk, so that nothing is measured twice."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "inference.json"
        self._entries = json.loads(self._path.read_text()) if self._path.is_file() else {}

    def __call__(self, key: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was measured under ``key``, now or before."""
        if key not in self._entries:
            self._entries[key] = measure()
            self._path.write_text(json.dumps(self._entries))
            print(f"{key}: done", file=sys.stderr, flush=True)
        entry: dict[str, Any] = self._entries[key]
        return entry


def median(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f}" if values else "failed"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--valid", type=Path, required=True)
    for name in ("fer", "facex", "node"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--work", type=Path, default=Path("inference-work"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    note = Notebook(options.work / ("quick" if options.quick else "full"))
    peers = commands(options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        small = portraits(folder, effort.many, 512, 512)
        large = portraits(folder, effort.large, 4000, 3000)
        tight, names = crops(folder, options.valid, effort.crops)
        group, placed = groups(folder, effort.groups)
        orders = {
            "one": {"photos": [], "first": small[0], "repeat": effort.repeat, "classify": False},
            "many": {"photos": small, "repeat": 0, "classify": False},
            "large": {"photos": large, "repeat": 0, "classify": False},
        }
        results: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for number in range(effort.rounds):
            for kind, order in orders.items():
                for name in list(peers) if number % 2 else reversed(peers):
                    entry = note(
                        f"{name} {kind} {number}", lambda n=name, o=order: run(*peers[n], o)
                    )
                    results.setdefault((name, kind), []).append(entry)
        once = {
            "crops": {"photos": tight, "repeat": 0, "classify": True},
            "groups": {"photos": group, "repeat": 0, "classify": False},
        }
        for kind, order in once.items():
            for name in peers:
                entry = note(f"{name} {kind}", lambda n=name, o=order: run(*peers[n], o))
                results[name, kind] = [entry]

    def values(name: str, kind: str, of: Callable[[dict[str, Any]], float]) -> list[float]:
        return [of(entry) for entry in results[name, kind] if "error" not in entry]

    lines = [
        "| package | one photo, ms | its ratio to mien | many, a second | large, a second "
        "| accuracy on crops | faces in groups | start, s | memory, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in peers:
        one = values(name, "one", lambda each: statistics.median(each["alone_ms"]))
        mine = values("mien", "one", lambda each: statistics.median(each["alone_ms"]))
        ratios = [a / b for a, b in zip(one, mine, strict=False)]
        right = values(
            name,
            "crops",
            lambda each: np.mean([a == b for a, b in zip(each["faces"], names, strict=True)]),
        )
        faces = values(name, "groups", lambda each: sum(map(len, each["faces"])))
        cells = [
            median(one),
            median(ratios, 2),
            median(values(name, "many", lambda each: effort.many / each["seconds"])),
            median(values(name, "large", lambda each: effort.large / each["seconds"])),
            f"{100 * right[0]:.1f} %" if right else "failed",
            f"{faces[0]:.0f} of {placed}" if faces else "failed",
            median(values(name, "one", lambda each: each["start"]), 2),
            median(values(name, "many", lambda each: each["peak_mb"]), 0),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    errors = {
        f"- {name}, {kind}: {entry['error']}"
        for (name, kind), entries in results.items()
        for entry in entries
        if "error" in entry
    }
    text = "\n".join([*lines, *(["", *sorted(errors)] if errors else [])])
    print(text)
    if options.write:
        about = (__doc__ or "").split("\n\n", 2)[2].strip()
        head = f"# From photo to result\n\n`python benchmarks/inference.py --write`, {effort}, "
        head += f"load average at the start {load}"
        TABLE.write_text(f"{head}\n\n{about}\n\n{text}\n", "utf-8")


if __name__ == "__main__":
    main()
