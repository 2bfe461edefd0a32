"""Time and memory of the metric losses, forward and backward, beside what they can be held to.

Each loss stands beside the same value from pytorch-metric-learning, where it has one, and beside
its floor: the batched matrix product of all similarities, forward and backward. The sides of a row
run in turn within every round, so a busy machine slows all of them; times are medians over the
rounds and factors are medians of the rounds' own factors. Memory is the growth of the process's
resident high-water mark over one call, in processes that measure nothing else.

    python benchmarks/losses.py --out benchmarks/losses.md
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytorch_metric_learning
import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import Tensor

from mien.losses import (
    expression_metric_loss,
    histogram_loss,
    label_aware_histogram_loss,
    multi_threshold_loss,
    ordinal_histogram_loss,
    triplet_loss,
)

WIDTH, CLASSES, SLICES = 512, 8, 8
BATCHES = (64, 128, 256, 512, 1024, 2048)
THRESHOLDS = [0.1 + 1.5 * i / (SLICES - 1) for i in range(SLICES)]
# The library lists all triplets; more than these take minutes and gigabytes.
MOST_TRIPLETS = 2_000_000

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One line of the table: a loss, its peer, the slices of its floor, the goal against the peer.

    ``lists`` says that the peer lists all triplets; ``goal`` is (factor, at batch).
    """

    name: str
    ours: Loss
    theirs: Loss | None = None
    slices: int = 1
    lists: bool = False
    goal: tuple[float, int] | None = None


def squared() -> distances.LpDistance:
    return distances.LpDistance(normalize_embeddings=True, p=2, power=2)


def their_slices(rows: Tensor, labels: Tensor) -> Tensor:
    miner = miners.BatchHardMiner(distance=squared())
    total = rows.new_zeros(())
    for part, threshold in zip(rows.chunk(SLICES, dim=1), THRESHOLDS, strict=True):
        loss = losses.TripletMarginLoss(
            margin=threshold, distance=squared(), reducer=reducers.MeanReducer()
        )
        total = total + loss(part, labels, miner(part, labels))
    return total / SLICES


def their_pairs(rows: Tensor, labels: Tensor) -> Tensor:
    loss = losses.ContrastiveLoss(0, 1.0, distance=squared(), reducer=reducers.MeanReducer())
    return loss(rows, labels)


TABLE = (
    Row(
        "multi-threshold, 8 slices, conventional",
        lambda x, y: multi_threshold_loss(x, y, thresholds=THRESHOLDS, dual=False),
        their_slices,
        slices=SLICES,
        goal=(5, 512),
    ),
    Row(
        "multi-threshold, 8 slices, dual",
        lambda x, y: multi_threshold_loss(x, y, thresholds=THRESHOLDS),
        slices=SLICES,
    ),
    Row(
        "triplet, all",
        lambda x, y: triplet_loss(x, y, mining="all"),
        lambda x, y: losses.TripletMarginLoss(0.5, distance=squared())(x, y),
        lists=True,
        goal=(20, 256),
    ),
    Row(
        "histogram",
        histogram_loss,
        lambda x, y: losses.HistogramLoss(n_bins=150)(x, y),
        lists=True,
        goal=(100, 256),
    ),
    Row("histogram, label-aware", label_aware_histogram_loss),
    Row("histogram, ordinal", ordinal_histogram_loss),
    Row("expression pairs", expression_metric_loss, their_pairs),
)


def make_batch(batch: int, seed: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(batch) % CLASSES
    rows = 0.3 * torch.randn(CLASSES, WIDTH, generator=g)[labels]
    return rows + torch.randn(batch, WIDTH, generator=g), labels


def sides(row: Row, batch: int, seed: int) -> dict[str, Callable[[], Tensor]]:
    """What runs in turn: each a function that does forward and backward and returns the value."""
    rows, labels = make_batch(batch, seed)
    rows.requires_grad_()
    upstream = torch.rand(row.slices, batch, batch, generator=torch.Generator().manual_seed(1))

    def step(loss: Loss) -> Callable[[], Tensor]:
        def run() -> Tensor:
            rows.grad = None
            value = loss(rows, labels)
            value.backward()
            return value.detach()

        return run

    def floor() -> Tensor:
        rows.grad = None
        parts = rows.view(batch, row.slices, -1).transpose(0, 1)
        parts.bmm(parts.transpose(1, 2)).backward(upstream)
        return rows.grad

    found = {"floor": floor, "ours": step(row.ours)}
    a_class = batch // CLASSES
    triplets = batch * (a_class - 1) * (batch - a_class)
    if row.theirs is not None and not (row.lists and triplets > MOST_TRIPLETS):
        found["theirs"] = step(row.theirs)
    return found


def measure(
    row: Row, batch: int, seed: int, rounds: int, seconds: float, clock: Callable[[], float]
) -> dict[str, float]:
    """Medians in milliseconds, and of the rounds' factors over floor and peer."""
    runs = sides(row, batch, seed)
    values = {name: run() for name, run in runs.items()}
    if "theirs" in values and not torch.allclose(values["ours"], values["theirs"], rtol=1e-3):
        raise RuntimeError(f"{row.name}: {values['ours']} is not {values['theirs']}")
    times: dict[str, list[float]] = {name: [] for name in runs}
    start = time.perf_counter()
    while len(times["ours"]) < 3 or (
        len(times["ours"]) < rounds and time.perf_counter() - start < seconds
    ):
        for name, run in runs.items():
            before = clock()
            run()
            times[name].append(1e3 * (clock() - before))
    result = {name: statistics.median(found) for name, found in times.items()}
    result["rounds"] = len(times["ours"])
    for name in ("floor", "theirs"):
        if name in times:
            pairs = zip(times["ours"], times[name], strict=True)
            result[f"to {name}"] = statistics.median(ours / other for ours, other in pairs)
    return result


def resident(field: str) -> float:
    """``VmRSS`` or the high-water mark ``VmHWM`` of this process in MB (Linux)."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"expected {field} in /proc/self/status")
    return int(found[1]) / 1024


def peak(row: Row, batch: int, side: str, seed: int) -> float:
    """Growth of the high-water mark in MB over one call."""
    run = sides(row, batch, seed)[side]
    # What earlier batches freed goes back to the system first, else it would be used unseen.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def peaks_elsewhere(row: Row, batches: list[int], side: str, seed: int) -> list[float]:
    """`peak` of ascending batches in a process of its own, after a warm-up on a small one."""
    number = str(TABLE.index(row))
    command = [sys.executable, __file__, "--seed", str(seed), "--peak", number, side]
    command += ["--batches", *map(str, batches)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(value) for value in output.split()]


def table(options: argparse.Namespace) -> list[str]:
    clock = CLOCKS[options.clock]
    lines = [
        "| loss | batch | ours ms | floor ms | peer ms | ours / floor | peer / ours "
        "| ours MB | floor MB | peer MB | rounds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in TABLE:
        memory: dict[tuple[str, int], float] = {}
        for side in ("ours", "floor", "theirs"):
            there = [batch for batch in options.batches if side in sides(row, batch, 0)]
            if there:
                peaks = peaks_elsewhere(row, there, side, options.seed)
                memory |= {(side, batch): mb for batch, mb in zip(there, peaks, strict=True)}
        for batch in options.batches:
            found = measure(row, batch, options.seed, options.rounds, options.seconds, clock)
            factor = f"{1 / found['to theirs']:.1f}" if "to theirs" in found else ""
            if row.goal is not None and row.goal[1] == batch and factor:
                factor += f" (goal {row.goal[0]:g})"
            cells = [
                row.name,
                str(batch),
                f"{found['ours']:.2f}",
                f"{found['floor']:.2f}",
                f"{found['theirs']:.2f}" if "theirs" in found else "",
                f"{found['to floor']:.2f}",
                factor,
                *(
                    f"{memory[side, batch]:.0f}" if (side, batch) in memory else ""
                    for side in ("ours", "floor", "theirs")
                ),
                f"{found['rounds']:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def above_goal(lines: list[str]) -> str:
    """One sentence on the rows that miss three times their floor."""
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:]]
    missed = [f"{c[0]} at {c[1]} ({c[5]})" for c in cells if float(c[5]) > 3]
    if not missed:
        return "Every row is within three times its floor."
    return (
        f"Above three times the floor: {'; '.join(missed)}. On small batches the floor is a few "
        "calls and a loss a few dozen; what they cost is the calls, not the arithmetic."
    )


def processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else platform.machine()


def load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def report(options: argparse.Namespace, lines: list[str], before: str) -> str:
    command = " ".join(["python benchmarks/losses.py", *sys.argv[1:]])
    return "\n".join(
        [
            "# Time and memory of the metric losses",
            "",
            f"`{command}` on {processor()}, {os.cpu_count()} processors, {options.threads} "
            f"threads; torch {torch.__version__}, pytorch-metric-learning "
            f"{pytorch_metric_learning.__version__}; width {WIDTH}, {CLASSES} classes, float32, "
            f"seed {options.seed}, {options.clock} time. Load average (1, 5, 15 minutes) "
            f"{before} before and {load()} after.",
            "",
            "Forward and backward. The floor is the batched matrix product of all similarities, "
            "forward and backward; the peer is pytorch-metric-learning with the same value, "
            f"left out above {MOST_TRIPLETS:,} triplets where it lists them. Times are medians of "
            "rounds in which the sides take turns, factors medians over the rounds; memory is the "
            "growth of the resident high-water mark over one call.",
            "",
            *lines,
            "",
            above_goal(lines),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=8.0, help="per row, after three rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu, with one thread, on a busy machine"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a Markdown file; else the standard output")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)
    if options.peak:
        row, side = TABLE[int(options.peak[0])], options.peak[1]
        for batch in (16, *options.batches):
            megabytes = peak(row, batch, side, options.seed)
            if batch > 16:
                print(megabytes)
        return
    before = load()
    text = report(options, table(options), before)
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
