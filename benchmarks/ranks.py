"""Metric losses over ranks: gradients against one rank, ours and a library's; and steps per second.

    python benchmarks/ranks.py gradients
    python benchmarks/ranks.py speed [--epochs 5] [--faces 1280] [--write]

``gradients``: a small network in float64 with a loss of pytorch-metric-learning, on two processes
(gloo) with half a batch of 12 or 11 rows each, in DDP; once by mien's gathering, once by the
library's ``DistributedLossWrapper``. The error is the largest difference of a gradient from that of
one process with the whole batch, over the largest such gradient; for the network and for what
the loss learns.

``speed``: ``mien train`` with one process of two threads, and with two of one thread, in turn, at
the same batch of 64 drawn faces; steps per second of the median epoch after the first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

SUPPORT = Path(__file__).parent.parent / "tests" / "support"
sys.path.insert(0, str(SUPPORT))
TABLE = Path(__file__).with_suffix(".md")
LOSSES = ("pml.SupConLoss", "pml.TripletMarginLoss", "pml.ContrastiveLoss", "pml.ArcFaceLoss")
SEED, BATCH = 0, 64


class Wrapped(nn.Module):
    """The small network of the tests with the library's wrapper around its loss."""

    def __init__(self, name: str, *, efficient: bool) -> None:
        from pytorch_metric_learning.utils.distributed import DistributedLossWrapper
        from rank_cases import SmallNetwork

        super().__init__()
        network = SmallNetwork(name)
        self.trunk = network.trunk
        self.loss = network.loss.loss.loss
        self.wrapper = DistributedLossWrapper(self.loss, efficient=efficient)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """The loss that the wrapper gives on this rank."""
        value: Tensor = self.wrapper(self.trunk(inputs), labels)
        return value


def theirs(name: str, kind: str, *, efficient: bool) -> dict[str, Tensor]:
    """Gradients by the library's wrapper on this rank."""
    from rank_cases import batches, deal

    from mien.training.ranks import current_ranks

    batch = deal(batches(2)[kind], current_ranks())
    network = Wrapped(name, efficient=efficient)
    module = DistributedDataParallel(network)
    module(batch.inputs, batch.targets["expression"]).backward()
    return {
        ("trunk" if key.startswith("trunk") else "learned") + key: p.grad.clone()
        for key, p in network.named_parameters()
        if p.grad is not None
    }


def ours(name: str, kind: str) -> dict[str, Tensor]:
    """Gradients by mien on this rank, or on one."""
    from rank_cases import batches, deal, step

    from mien.training.ranks import current_ranks

    gradients = step(name, deal(batches(2)[kind], current_ranks())).gradients
    return {
        ("trunk" if key.startswith("trunk") else "learned")
        + key.replace("loss.loss.loss.", "loss."): value
        for key, value in gradients.items()
        if key.startswith(("trunk", "loss"))
    }


def gradients_on_rank(kind: str) -> dict[tuple[str, str], dict[str, Tensor]]:
    """By loss and by who gathers, on this rank."""
    found: dict[tuple[str, str], dict[str, Tensor]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LOSSES:
            found[name, "mien"] = ours(name, kind)
        torch.save(found, Path(os.environ["MIEN_RANKS"]) / f"{kind}.pt")  # if the next ones fail
        for name in LOSSES:
            found[name, "wrapper"] = theirs(name, kind, efficient=False)
            if name != "pml.ArcFaceLoss":  # it refuses reference embeddings
                found[name, "wrapper, efficient"] = theirs(name, kind, efficient=True)
    return found


def error(gradients: dict[str, Tensor], expected: dict[str, Tensor], part: str) -> str:
    """The largest relative difference of a part's gradients."""
    names = [name for name in expected if name.startswith(part)]
    if not names:
        return ""
    size = max(expected[name].abs().max().item() for name in names)
    gap = max((gradients[name] - expected[name]).abs().max().item() for name in names)
    return f"{gap / size:.1e}"


def print_gradients() -> None:
    from rank_processes import on_ranks

    print("| batch | loss | gathered by | error, network | error, learned by the loss |")
    print("|---|---|---|---|---|")
    for kind in ("even", "uneven"):
        with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.environ["MIEN_RANKS"] = place
            expected = {name: ours(name, kind) for name in LOSSES}
            try:
                found = on_ranks(2, Path(place) / "ranks", gradients_on_rank, kind)[0]
            except Exception as failure:
                found = torch.load(Path(place) / f"{kind}.pt")
                last = str(failure).strip().splitlines()[-1]
                print(f"the wrapper ended: {last}", file=sys.stderr)
        for name in LOSSES:
            for by in ("mien", "wrapper", "wrapper, efficient"):
                if (name, by) in found:
                    parts = [error(found[name, by], expected[name], p) for p in ("trunk", "learn")]
                    print(f"| {kind} | {name} | {by} | {parts[0]} | {parts[1]} |")
                elif kind == "uneven":
                    print(f"| {kind} | {name} | {by} | fails | |")


def seconds_of_epochs(data: Path, out: Path, epochs: int, *options: str) -> list[float]:
    """Of all epochs but the first, which warms up."""
    changes = [f"schedule.epochs={epochs}", f"sampler.batch_size={BATCH}", f"seed={SEED}"]
    changes += ["sampler.kind=shuffled"]
    line = [sys.executable, "-m", "mien", "-q", "train", "triplet", "--data", str(data)]
    line += ["--out", str(out), *options, *(part for c in changes for part in ("--set", c))]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(each)["seconds"] for each in lines][1:]


def print_speed(epochs: int, faces: int, *, write: bool) -> None:
    from mien.data.dataset import Dataset
    from mien.preparation.prepare import prepare
    from mien.schema import Preprocessing
    from mien.synthetic.drawn import write_toy_folder

    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = write_toy_folder(root / "faces", faces=faces, size=112)
        data = root / "dataset"
        prepare("folder", folder, data, preprocessing=Preprocessing(size=112), tight=True)
        steps = int((Dataset.open(data).splits == "train").sum()) // BATCH
        options = {
            "one process, two threads": ("--threads", "2"),
            "two processes, one thread each": ("--devices", "2", "--threads", "1"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in options}
        for turn in range(2):
            for name, given in options.items():
                out = root / f"{turn}-{name.split()[0]}"
                seconds[name] += seconds_of_epochs(data, out, epochs, *given)
    rows: list[Any] = [["", "steps per second", "epochs"]]
    rates = {name: steps / statistics.median(values) for name, values in seconds.items()}
    rows += [[name, f"{rates[name]:.2f}", len(seconds[name])] for name in options]
    one, two = rates.values()
    text = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
    text = text.replace("\n", "\n|---|---|---|\n", 1)
    text += f"\n\nTwo processes take {two / one:.2f} times the steps of one.\n"
    print(text)
    if write:
        TABLE.write_text(f"# Two ranks against one on two cores\n\n{text}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["gradients", "speed"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--faces", type=int, default=1280)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} of the speed")
    given = parser.parse_args()
    if given.what == "gradients":
        print_gradients()
    else:
        print_speed(given.epochs, given.faces, write=given.write)


if __name__ == "__main__":
    main()
