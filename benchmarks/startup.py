"""How long mien takes to start, against a Python that does nothing.

    python benchmarks/startup.py [--rounds N] [--write]

Each row is a process of its own. The rows take turns, so whatever else the machine does slows all
of them; the time is the median over the rounds, and the ratio that to the bare Python's.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

TABLE = Path(__file__).with_suffix(".md")
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "python -c 'import mien'": ("-c", "import mien"),
    "mien --help": ("-m", "mien", "--help"),
    "mien recipes": ("-m", "mien", "recipes"),
    "mien models": ("-m", "mien", "models"),
    "python -c 'import torch'": ("-c", "import torch"),
}


def seconds(arguments: tuple[str, ...]) -> float:
    """How long one process takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    for arguments in COMMANDS.values():
        seconds(arguments)  # the first one also reads the disk
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare = next(iter(medians.values()))
    lines = ["| process | seconds | times a bare Python |", "|---|---|---|"]
    lines += [f"| `{name}` | {value:.2f} | {value / bare:.1f} |" for name, value in medians.items()]
    table = "\n".join(lines)
    print(table)
    if options.write:
        text = f"# Start\n\n`python benchmarks/startup.py --write`, {options.rounds} rounds\n"
        TABLE.write_text(f"{text}\n{table}\n", "utf-8")


if __name__ == "__main__":
    main()
