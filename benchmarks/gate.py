"""May a new model take the place of an old one? A table, and exit code 1 where it is worse.

    python benchmarks/gate.py OLD NEW --data FOLDER [--rows N] [--faces 400] [--out FILE.json]

OLD and NEW are ONNX files or names of shipped models. FOLDER has ``ferplus-valid.parquet`` and
``diffusionfer-train.parquet``; what is not there is not measured, and said. Both models read the
same pictures: FER+ as tight crops and again aligned by landmarks, DiffusionFER and rendered faces
where the detector sees them. Every difference is paired by picture, new less old, with a bootstrap
interval; all intervals together cover with 95 % (each with 95 % and more), so that a model which is
as good fails once in twenty gates, however many checks there are.

The new model fails where an interval lies wholly on the worse side, where it lacks a head of the
old one, where its file is larger than ``--megabytes``, and where a crop surely takes more than a
tenth longer.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import gate_pictures
from gate_pictures import Pictures
from mien.errors import MienError
from mien.faces.detection.detect import FaceDetector
from mien.inference.predictor import CroppedFace, Predictor
from mien.inference.units import with_units
from mien.metrics import classification, multilabel, regression
from mien.models import find_model
from mien.schema import UInt8Array
from mien.statistics.bootstrap import Bootstrap, Interval, bootstrap, intervals
from mien.statistics.paired import verdict_of_interval

FAMILY, DRAWS = 0.05, 2000
SLOWER, ROUNDS = 1.1, 150
PRESENT = 0.2
_SMALLER_IS_BETTER = ("log loss", "calibration error", "confidence")
Array = NDArray[np.float64]
Values = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model says of pictures: arrays by output, and probabilities of their classes."""

    pictures: Pictures
    heads: Mapping[str, Array]
    probabilities: Array
    units: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One line of the table; ``low`` and ``high`` bound the difference, new less old."""

    group: str
    name: str
    old: float | None
    new: float | None
    low: float | None
    high: float | None
    verdict: str


Measure = Callable[[Answers, Array], Values]
"""From answers and weights ``(B, N)`` to ``(B,)`` values by name."""


def answers(predictor: Predictor, pictures: Pictures) -> Answers:
    """What a model says of pictures, cropped as for a user."""
    cropped = [
        _tight(predictor, image) if face is None else predictor.crop_face(image, face)
        for image, face in zip(pictures.images, pictures.faces, strict=True)
    ]
    output = predictor.predict_crops(np.stack([each.crop for each in cropped]))
    output = with_units(predictor.reading, [each.face for each in cropped], output)
    heads = {name: values.astype(np.float64) for name, values in output.heads.items()}
    space = predictor.info.heads["expression"].label_space
    shares = heads["expression"] @ space.projection(pictures.space)
    shares = shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)
    return Answers(pictures, heads, shares, predictor.reading.heads["action_units"].units)


def _tight(predictor: Predictor, image: UInt8Array) -> CroppedFace:
    [face] = predictor.crop_faces(image, tight=True)
    return face


def expression_metrics(given: Answers, weights: Array) -> Values:
    """By rule: accuracies, log loss and calibration error of the pictures with a label."""
    values: dict[str, Array] = {}
    for rule, classes in given.pictures.expression.items():
        rows = np.flatnonzero(classes >= 0)
        targets, shares, w = classes[rows], given.probabilities[rows], weights[:, rows]
        preds, confidence = shares.argmax(1), shares.max(1)
        confusion = classification.confusion_matrix(targets, preds, shares.shape[1], weights=w)
        bins = np.clip(np.ceil(confidence * 15).astype(np.int64) - 1, 0, 14)
        gaps = classification.grouped_sums(bins, 15, w * ((preds == targets) - confidence))
        losses = classification.negative_log_likelihoods(targets, shares)
        suffix = f", {rule}" if rule else ""
        values |= {
            f"accuracy{suffix}": classification.accuracy(confusion),
            f"mean class accuracy{suffix}": classification.mean_class_accuracy(confusion),
            f"log loss{suffix}": classification.weighted_means(w, losses),
            f"calibration error{suffix}": np.abs(gaps).sum(1) / w.sum(1),
        }
    return values


def affect_metrics(given: Answers, weights: Array) -> Values:
    """Concordance of valence and of arousal."""
    targets, preds = given.pictures.affect, given.heads.get("valence_arousal")
    if targets is None or preds is None:
        return {}
    return {
        f"CCC of {name}": regression.agreement(preds[:, i], targets[:, i], weights=weights)["ccc"]
        for i, name in enumerate(regression.DIMENSIONS)
    }


def unit_metrics(given: Answers, weights: Array) -> Values:
    """Means over the units that are known: F1 at intensity 0.2 and ICC(3,1)."""
    f1, icc = [], []
    for unit, targets in given.pictures.units.items():
        if unit not in given.units:
            continue
        preds = given.heads["action_units"][:, given.units.index(unit)]
        f1.append(
            multilabel.binary_metrics(
                targets >= PRESENT, preds, threshold=PRESENT, weights=weights
            )["f1"]
        )
        icc.append(regression.consistency(regression.moments(preds, targets, weights=weights)))
    if not f1:
        return {}
    return {
        "action units, mean F1 at 0.2": multilabel.mean_over_units(np.stack(f1)),
        "action units, mean ICC(3,1)": multilabel.mean_over_units(np.stack(icc)),
    }


METRICS: tuple[Measure, ...] = (expression_metrics, affect_metrics, unit_metrics)


class Sides(NamedTuple):
    """What a group of checks measures of each model, by weights of its N pictures."""

    group: str
    n: int
    old: Callable[[Array], Values]
    new: Callable[[Array], Values]


def of_metrics(old: Answers, new: Answers) -> Sides:
    """All metrics of two models' answers to the same pictures."""

    def measured(given: Answers, weights: Array) -> Values:
        return {key: value for each in METRICS for key, value in each(given, weights).items()}

    return Sides(
        old.pictures.name,
        len(old.pictures),
        partial(measured, old),
        partial(measured, new),
    )


def of_scores(group: str, name: str, old: Array, new: Array) -> Sides:
    """The mean of one number per picture."""

    def mean(scores: Array, weights: Array) -> Values:
        return {name: classification.weighted_means(weights, scores)}

    return Sides(group, len(old), partial(mean, old), partial(mean, new))


def measure(predictors: tuple[Predictor, Predictor], arguments: Namespace) -> Iterator[Sides]:
    """Every check that has an interval, group by group."""
    folder: Path = arguments.data
    with FaceDetector() as detector:
        sources: dict[str, Callable[[], Pictures]] = {
            "ferplus-valid.parquet": lambda: gate_pictures.ferplus(
                folder / "ferplus-valid.parquet", arguments.rows
            ),
            "diffusionfer-train.parquet": lambda: gate_pictures.diffusionfer(
                folder / "diffusionfer-train.parquet", arguments.rows, detector
            ),
        }
        for file, load in sources.items():
            if not (folder / file).is_file():
                print(f"not measured, because it is not in {folder}: {file}", file=sys.stderr)
                continue
            pictures = load()
            old, new = (answers(predictor, pictures) for predictor in predictors)
            yield of_metrics(old, new)
            if file.startswith("ferplus"):
                yield from _unchanged(predictors, pictures, arguments.sanity)
                pictures = gate_pictures.aligned(pictures, detector)
                yield of_metrics(*(answers(predictor, pictures) for predictor in predictors))
        if arguments.faces:
            pictures = gate_pictures.rendered(arguments.faces, detector)
            old, new = (answers(predictor, pictures) for predictor in predictors)
            yield of_metrics(old, new)
            rows = gate_pictures.closed_and_neutral(pictures)
            neutral = pictures.space.index("neutral")
            of_old, of_new = (
                (each.probabilities[rows].argmax(1) == neutral).astype(float) for each in (old, new)
            )
            if len(rows):
                yield of_scores("sanity", "neutral with closed lips", of_old, of_new)
    things = gate_pictures.things()
    of_old, of_new = (answers(each, things).probabilities.max(1) for each in predictors)
    yield of_scores("sanity", "confidence in what is no face", of_old, of_new)


def _unchanged(
    predictors: tuple[Predictor, Predictor], pictures: Pictures, count: int
) -> Iterator[Sides]:
    """Of evenly spaced pictures, in which share a change leaves the expression as it was."""
    rows = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).astype(np.int64)
    images = [pictures.images[row] for row in rows]
    plain = Pictures("plain", images, [None] * len(images))
    before = [answers(predictor, plain).probabilities.argmax(1) for predictor in predictors]
    for name, variants in gate_pictures.changed(plain).items():
        same = [
            np.mean(
                [
                    answers(predictor, variant).probabilities.argmax(1) == classes
                    for variant in variants
                ],
                axis=0,
            )
            for predictor, classes in zip(predictors, before, strict=True)
        ]
        yield of_scores("sanity", f"same expression, {name}", *same)


def checked(all_sides: Iterable[Sides]) -> list[Check]:
    """The lines of the table that have intervals, which share one level."""
    drawn = [(sides.group, _drawn(sides)) for sides in all_sides]
    count = sum(side == "difference" for _, each in drawn for side, _ in each.values)
    level = 1 - FAMILY / max(count, 1)
    return [check for group, each in drawn for check in _checks(group, each, level)]


def _drawn(sides: Sides) -> Bootstrap[tuple[str, str]]:
    def statistics(weights: Array) -> dict[tuple[str, str], Array]:
        old, new = sides.old(weights), sides.new(weights)
        return {
            **{("old", name): value for name, value in old.items()},
            **{("new", name): value for name, value in new.items()},
            **{("difference", name): new[name] - old[name] for name in old if name in new},
        }

    return bootstrap(statistics, sides.n, draws=DRAWS)


def _checks(group: str, drawn: Bootstrap[tuple[str, str]], level: float) -> Iterator[Check]:
    found = intervals(drawn, level=level)
    for name in dict.fromkeys(name for _, name in found):
        old, new = (found.get((side, name), Interval(None)).value for side in ("old", "new"))
        difference = found.get(("difference", name), Interval(None))
        if ("new", name) not in found:
            verdict = "worse"
        elif ("old", name) not in found:
            verdict = "not in OLD"
        else:
            smaller = name.startswith(_SMALLER_IS_BETTER)
            verdict = verdict_of_interval(difference, greater_is_better=not smaller)
        yield Check(group, name, old, new, difference.low, difference.high, verdict)


def size_check(old: Path, new: Path, megabytes: float) -> Check:
    """The size of the files."""
    sizes = [path.stat().st_size / 1e6 for path in (old, new)]
    verdict = "worse" if sizes[1] > megabytes else "small enough"
    return Check("file", f"megabytes, at most {megabytes:g}", *sizes, None, None, verdict)


def speed_check(predictors: tuple[Predictor, Predictor], rounds: int = ROUNDS) -> Check:
    """Milliseconds of one crop; both take turns, and who begins changes."""
    crops = [
        np.full((1, *predictor.info.input_shape[-2:], 3), 127, np.uint8) for predictor in predictors
    ]
    times = np.empty((rounds + 5, 2))
    for row in range(len(times)):
        for side in (0, 1) if row % 2 else (1, 0):
            start = time.perf_counter()
            predictors[side].predict_crops(crops[side])
            times[row, side] = time.perf_counter() - start
    times = times[5:]
    generator = np.random.default_rng(0)
    medians = [np.median(times[generator.integers(0, rounds, rounds)], axis=0) for _ in range(500)]
    low, high = np.quantile([new / old for old, new in medians], [0.025, 0.975])
    old, new = (1000 * np.median(times, axis=0)).tolist()
    verdict = "worse" if low > SLOWER else "fast enough"
    return Check("speed", "ms of one crop; new / old", old, new, float(low), float(high), verdict)


def table(checks: Sequence[Check]) -> str:
    """The checks as a table in Markdown."""
    lines = [
        "| what | old | new | new less old, or the ratio | |",
        "|---|---|---|---|---|",
    ]
    for check in checks:
        cells = ["" if value is None else f"{value:.3f}" for value in (check.old, check.new)]
        interval = ""
        if check.low is not None and check.high is not None:
            interval = f"{check.low:+.3f} to {check.high:+.3f}"
        verdict = f"**{check.verdict}**" if check.verdict == "worse" else check.verdict
        name = f"{check.group}: {check.name}"
        lines.append(f"| {name} | {' | '.join(cells)} | {interval} | {verdict} |")
    return "\n".join(lines)


def gate(arguments: Namespace) -> list[Check]:
    """All checks of two models."""
    files = [find_model(name) for name in (arguments.old, arguments.new)]
    with ExitStack() as stack:
        old, new = (
            stack.enter_context(Predictor.load(file, threads=arguments.threads)) for file in files
        )
        for predictor in (old, new):
            if "expression" not in predictor.info.heads:
                raise MienError(
                    f"expected models with the head expression, got {predictor.info.name!r} with "
                    f"{', '.join(predictor.info.heads)}: choose another"
                )
        checks = checked(measure((old, new), arguments))
        checks.append(size_check(*files, arguments.megabytes))
        checks.append(speed_check((old, new)))
    return checks


def parsed(words: Sequence[str] | None = None) -> Namespace:
    """The arguments of the command."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, help="only so many pictures of each file")
    parser.add_argument("--faces", type=int, default=400, help="rendered faces; 0 for none")
    parser.add_argument("--sanity", type=int, default=500, help="pictures that are changed")
    parser.add_argument("--megabytes", type=float, default=6.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the checks as JSON, too")
    return parser.parse_args(words)


def main() -> None:
    """Print the table; exit code 1 where the new model is worse in something."""
    arguments = parsed()
    try:
        checks = gate(arguments)
    except MienError as error:
        raise SystemExit(f"gate: {error}") from None
    print(table(checks))
    worse = [f"{check.group}: {check.name}" for check in checks if check.verdict == "worse"]
    print(f"\nworse: {'; '.join(worse)}" if worse else "\nnothing is worse")
    if arguments.out is not None:
        text = json.dumps([asdict(check) for check in checks], indent=1)
        arguments.out.write_text(text, encoding="utf-8")
    if worse:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
