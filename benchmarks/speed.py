"""How fast mien reads photos and trains, against the bare calls that it stands on.

    python benchmarks/speed.py [--model fer|FILE] [--quick] [--write]

Photos: ``predict_files`` over copies of one portrait: reading, detection, alignment, network.
Crops: ``Predictor.predict_crops`` (uint8 crops to probabilities and embeddings, all in memory)
against ``InferenceSession.run`` of the same session on the tensor that was made from these crops
beforehand. Training: the steps of ``fit`` with the recipe ``fer`` (loading, augmentation, mixup,
loss, clipping, averaging, Lightning's hooks) against forward, loss, backward and optimizer step of
the same network on a random tensor made beforehand; random start weights, drawn toy faces.

The two sides of a comparison run in turn in one process, so whatever else the machine does slows
both; each ratio is the median over the pairs, with the quartiles of the pairs' own ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import cv2
import lightning
import numpy as np
import onnxruntime
import skimage.data
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch.nn import functional

import mien.training.batches.faces
import mien.training.fit
import mien.training.module
from mien.data.dataset import Dataset
from mien.faces.images import load_image
from mien.faces.tensors import to_tensor
from mien.inference.model import open_onnx
from mien.inference.photos import predict_files
from mien.inference.predictor import Predictor
from mien.models import find_model, open_session
from mien.networks.network import create_network
from mien.preparation.prepare import prepare
from mien.schema import Preprocessing
from mien.synthetic.drawn import LOOKS, write_toy_folder
from mien.training.module import TrainingModule
from mien.training.recipe import Recipe, load_recipe

SEED, THREADS = 0, 2
TABLE = Path(__file__).with_suffix(".md")


class Effort(NamedTuple):
    """How much is measured: sides of the photos, photos a pass, passes, rounds, pairs of steps."""

    sides: tuple[int, ...] = (512, 3000)
    photos: int = 50
    passes: int = 3
    rounds: int = 60
    pairs: int = 30


QUICK = Effort(photos=5, passes=2, rounds=6, pairs=6)


class Spread(NamedTuple):
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        """``median (low to high)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return Spread(median, low, high)


class Comparison(NamedTuple):
    """Seconds a call of mien and of the bare call, pair by pair."""

    ours: list[float]
    bare: list[float]

    def times(self) -> Spread:
        """Time of mien over time of the bare call: 1 is no overhead, more is slower."""
        return spread([a / b for a, b in zip(self.ours, self.bare, strict=True)])

    def speeds(self) -> Spread:
        """Speed of mien over speed of the bare call: 1 is no overhead, less is slower."""
        return spread([b / a for a, b in zip(self.ours, self.bare, strict=True)])


def seconds(call: Callable[[], object], calls: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def compare(
    ours: Callable[[], object], bare: Callable[[], object], *, rounds: int, calls: int
) -> Comparison:
    """Both in turn, ``calls`` calls at a time; who begins alternates, after one round unheard."""
    found = Comparison([], [])
    for number in range(rounds + 1):
        sides = [(found.ours, ours), (found.bare, bare)]
        for times, call in sides if number % 2 else reversed(sides):
            taken = seconds(call, calls)
            if number:
                times.append(taken)
    return found


def compare_crops(
    predictor: Predictor, session: onnxruntime.InferenceSession, batch: int, *, rounds: int
) -> Comparison:
    size = predictor.info.preprocessing.size
    crops = np.random.default_rng(SEED).integers(0, 256, (batch, size, size, 3), np.uint8)
    tensor = to_tensor(crops, predictor.info.preprocessing)
    return compare(
        lambda: predictor.predict_crops(crops),
        lambda: session.run(["expression", "embedding"], {"input": tensor}),
        rounds=rounds,
        calls=max(1, 32 // batch),
    )


def write_photo(folder: Path, side: int) -> Path:
    """The astronaut of scikit-image as a JPEG of ``side`` x ``side`` pixels."""
    path = folder / f"astronaut-{side}.jpg"
    picture = cv2.resize(skimage.data.astronaut(), (side, side), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), picture[:, :, ::-1])
    return path


def photos_per_second(predictor: Predictor, photo: Path, *, photos: int, passes: int) -> Spread:
    def read_all() -> None:
        found = list(predict_files(predictor, [photo] * photos))
        if not all(prediction.expression for prediction in found):
            raise SystemExit(f"expected a face that can be read in every photo, got {found[0]}")

    seconds(lambda: list(predict_files(predictor, [photo])))
    return spread([photos / seconds(read_all) for _ in range(passes)])


def photo_stages(predictor: Predictor, photo: Path, *, rounds: int) -> dict[str, float]:
    """Milliseconds of each stage of one photo, alone and one after the other; medians."""
    image = load_image(photo)
    faces = predictor.crop_faces(image)
    stages: dict[str, Callable[[], object]] = {
        "reading": lambda: load_image(photo),
        "detection and alignment": lambda: predictor.crop_faces(image),
        "network": lambda: predictor.predict_faces(faces),
    }
    return {
        name: 1000 * statistics.median(seconds(stage) for _ in range(rounds))
        for name, stage in stages.items()
    }


def toy_dataset(folder: Path, preprocessing: Preprocessing, *, batches: int, batch: int) -> Dataset:
    """Tight toy faces with enough training rows (three in five) for an epoch of ``batches``."""
    block = 5 * len(LOOKS)
    faces = block * -(-5 * batches * batch // (3 * block))
    write_toy_folder(folder / "faces", faces=faces, seed=SEED, size=preprocessing.size)
    prepare(
        "folder",
        folder / "faces",
        folder / "dataset",
        preprocessing=preprocessing,
        tight=True,
        workers=THREADS,
    )
    return Dataset.open(folder / "dataset")


def bare_step(recipe: Recipe, size: int, classes: int) -> Callable[[], torch.Tensor]:
    """Forward, loss, backward and step of the recipe's network on one random batch.

    Called, it takes one step and gives the loss before it.
    """
    generator = torch.Generator().manual_seed(SEED)
    network = create_network(
        recipe.backbone.name,
        arguments=recipe.backbone.arguments,
        embedding=recipe.embedding.size,
        dropout=recipe.embedding.dropout,
        heads={"expression": {"classes": classes}},
    )
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.optimizer.lr, fused=True)
    batch = recipe.sampler.batch_size
    images = torch.randn(batch, 3, size, size, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.randn(batch, classes, generator=generator).softmax(1)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images).heads["expression"], targets)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


@contextmanager
def timing(owner: Any, name: str) -> Iterator[list[float]]:
    """The seconds of each call of ``owner.name`` while it lasts."""
    function, times = getattr(owner, name), []

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **named)
        times.append(time.perf_counter() - start)
        return result

    with mock.patch.object(owner, name, timed):
        yield times


class Training(NamedTuple):
    """Steps of ``fit`` against bare steps, and the milliseconds of what only ``fit`` does."""

    steps: Comparison
    parts: dict[str, float]


def compare_training(recipe: Recipe, dataset: Dataset, out: Path, *, warmup: int = 2) -> Training:
    """One epoch of ``fit``; after each of its steps the bare loop takes one.

    A step of ``fit`` lasts from the end of one step to the end of the next, whatever happens in
    between but the bare step. The first ``warmup`` pairs are left out.
    """
    size = (recipe.preprocessing or dataset.preprocessing).size
    bare = bare_step(recipe, size, len(dataset.label_space))
    found, started = Comparison([], []), 0.0

    class Interrupted(TrainingModule):
        def on_train_start(self) -> None:
            nonlocal started
            started = time.perf_counter()

        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            nonlocal started
            found.ours.append(time.perf_counter() - started)
            found.bare.append(seconds(bare))
            started = time.perf_counter()

    parts = {
        "loading and augmenting": (mien.training.batches.faces.FaceCrops, "__getitem__"),
        "mixup": (mien.training.module, "mix"),
        "clipping": (lightning.LightningModule, "configure_gradient_clipping"),
        "averaging the weights": (WeightAveraging, "on_train_batch_end"),
    }
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(mien.training.fit, "TrainingModule", Interrupted))
        times = {name: stack.enter_context(timing(*place)) for name, place in parts.items()}
        mien.training.fit.fit(recipe, dataset, out, threads=THREADS)
    steps = len(found.ours)
    # Validation loads batches too, after all steps of the epoch.
    costs = {
        name: 1000 * statistics.median(taken[warmup:steps])
        for name, taken in times.items()
        if taken
    }
    return Training(Comparison(found.ours[warmup:], found.bare[warmup:]), costs)


def machine() -> list[str]:
    names = Path("/proc/cpuinfo")
    lines = names.read_text("utf-8").splitlines() if names.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    versions = ("mien", "torch", "lightning", "onnxruntime", "ai-edge-litert")
    return [
        f"- Machine: {models[0] if models else platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}",
        "- Versions: "
        + ", ".join(f"{name} {metadata.version(name)}" for name in versions)
        + f", OpenCV {cv2.__version__}",
        f"- {THREADS} threads, seed {SEED}, load average at the start "
        + " ".join(f"{load:.2f}" for load in os.getloadavg()),
    ]


def predictions(model: str, folder: Path, effort: Effort) -> tuple[list[str], list[str]]:
    """Rows of the table and notes on photos and crops."""
    opened = open_onnx(model, threads=THREADS)
    info, session = opened.info, open_session(find_model(model), threads=THREADS)
    rows, notes = [], [f"- Model: {info.name}, {info.preprocessing.size} pixels"]
    with Predictor(opened) as predictor:
        for side in effort.sides:
            photo = write_photo(folder, side)
            rate = photos_per_second(predictor, photo, photos=effort.photos, passes=effort.passes)
            name = f"photos of {side} x {side} pixels, end to end"
            rows.append(f"| {name} | {rate.text(1)} /s | | |")
            stages = photo_stages(predictor, photo, rounds=max(3, effort.rounds // 4))
            listed = ", ".join(f"{stage} {cost:.1f} ms" for stage, cost in stages.items())
            notes.append(f"- A photo of {side} pixels alone: {listed}")
        for batch in (1, 32):
            found = compare_crops(predictor, session, batch, rounds=effort.rounds)
            ours, bare = (batch / statistics.median(times) for times in found)
            rows.append(
                f"| crops, batch {batch} | {ours:.0f} /s | {bare:.0f} /s "
                f"| time {found.times().text(3)}{', goal at most 1.1' if batch > 1 else ''} |"
            )
    return rows, notes


def training(recipe: Recipe, folder: Path, *, pairs: int) -> tuple[list[str], list[str]]:
    """The table's row and notes on training."""
    batch = recipe.sampler.batch_size
    preprocessing = recipe.preprocessing or Preprocessing()
    dataset = toy_dataset(folder, preprocessing, batches=pairs + 2, batch=batch)
    steps, parts = compare_training(recipe, dataset, folder / "run")
    ours, bare = (statistics.median(times) for times in steps)
    row = (
        f"| training steps, {recipe.name}, batch {batch} at {preprocessing.size} pixels "
        f"| {1 / ours:.3f} /s | {1 / bare:.3f} /s "
        f"| speed {steps.speeds().text(3)}, goal at least 0.95 |"
    )
    more = statistics.median(a - b for a, b in zip(*steps, strict=True)) * 1000
    listed = ", ".join(f"{name} {cost:.1f} ms" for name, cost in parts.items())
    note = (
        f"- A training step of {1000 * ours:.0f} ms takes {more:.1f} ms more than a bare one: "
        f"{listed}; the rest ({more - sum(parts.values()):.1f} ms, by difference) is Lightning, "
        "seeding, sums and noise"
    )
    return [row], [note]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="fer", help="a shipped model's name or an ONNX file")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument(
        "--write", action="store_true", help=f"write {TABLE.name} beside the script"
    )
    settings = parser.parse_args()
    effort = QUICK if settings.quick else Effort()
    about = machine()
    torch.set_num_threads(THREADS)
    changes = ["backbone.weights=null", "backbone.restore_batch_norm=false", "schedule.epochs=1"]
    recipe = load_recipe("fer", changes)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        rows, notes = predictions(settings.model, Path(temporary), effort)
        more = training(recipe, Path(temporary), pairs=effort.pairs)
    rows, notes = rows + more[0], notes + more[1]
    title, *about_this = (__doc__ or "").strip().split("\n\n")
    text = "\n".join(
        [
            "# Speed",
            "",
            "`python benchmarks/speed.py --write`" + (" with `--quick`" if settings.quick else ""),
            "",
            *about,
            *notes,
            f"- The whole took {time.perf_counter() - start:.0f} seconds",
            "",
            "| what | mien | bare | median ratio, mien to bare (quartiles) |",
            "|---|---|---|---|",
            *rows,
            "",
            title,
            "",
            "\n\n".join(about_this[1:]),
            "",
        ]
    )
    print(text)
    if settings.write:
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
