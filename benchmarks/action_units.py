"""How well action units are read: from rendered faces with known units, and on FER+.

    python benchmarks/action_units.py --ferplus ferplus-valid.parquet [--model FILE] [--faces 600]

Prints two tables, which are in ``action_units.md``. The first compares intensities with those that
were rendered, on faces of seed 900 that the detector sees: by unit F1 at 0.2 and ICC(3,1), for the
map from blendshapes and, beside it, for the head of ``--model`` where it has one.
The second asks whether a unit tells an expression from all others on FER+ (48 x 48 pixels, real
faces, majority label): the area under the ROC curve. Intervals of 95 %, bootstrapped over faces.
AU26 of a rendered face is its AU26 or AU27, which one jaw drops for.
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import gate_pictures
from mien.faces.action_units import PRESENT, WEIGHTS, intensities
from mien.faces.detection.detect import FaceDetector
from mien.faces.tight import find_tight_face
from mien.inference.predictor import Predictor
from mien.labels import ACTION_UNIT_TITLES
from mien.metrics.multilabel import binary_metrics, mean_over_units
from mien.metrics.regression import consistency, moments
from mien.statistics.bootstrap import Interval, bootstrap_intervals

Array = NDArray[np.float64]
EXPECTED = {
    "AU12": ("happiness", ("AU12",)),
    "AU4": ("anger", ("AU4",)),
    "AU1 + AU2": ("surprise", ("AU1", "AU2")),
    "AU26": ("surprise", ("AU26",)),
    "AU15": ("sadness", ("AU15",)),
}
"""Which units shall tell which expression from the rest."""


def agreement(preds: Mapping[str, Array], targets: Mapping[str, Array]) -> dict[str, Interval]:
    """By unit and metric, and the means over the units."""
    units = [unit for unit in targets if unit in preds]

    def statistics(weights: Array) -> dict[str, Array]:
        f1 = {
            unit: binary_metrics(
                targets[unit] >= PRESENT, preds[unit], threshold=PRESENT, weights=weights
            )["f1"]
            for unit in units
        }
        icc = {
            unit: consistency(moments(preds[unit], targets[unit], weights=weights))
            for unit in units
        }
        return {
            **{f"{unit} f1": value for unit, value in f1.items()},
            **{f"{unit} icc": value for unit, value in icc.items()},
            "mean f1": mean_over_units(np.stack(list(f1.values()))),
            "mean icc": mean_over_units(np.stack(list(icc.values()))),
        }

    return bootstrap_intervals(statistics, len(next(iter(targets.values()))))


def shown(interval: Interval | None) -> str:
    """``0.81 (0.78 to 0.84)``."""
    if interval is None or interval.value is None:
        return ""
    if interval.low is None or interval.high is None:
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def by_blendshapes(pictures: gate_pictures.Pictures) -> dict[str, Array]:
    """The map's intensities by unit."""
    rows = np.stack([intensities(face.blendshapes) for face in pictures.faces if face is not None])
    return dict(zip(WEIGHTS, rows.T.astype(np.float64), strict=True))


def by_head(model: str, pictures: gate_pictures.Pictures) -> dict[str, Array]:
    """Those of a model's head; none where it has none."""
    with Predictor.load(model) as predictor:
        head = predictor.info.heads.get("action_units")
        if head is None:
            return {}
        faces = [
            predictor.crop_face(image, face)
            for image, face in zip(pictures.images, pictures.faces, strict=True)
            if face is not None
        ]
        output = predictor.predict_crops(np.stack([face.crop for face in faces]))
    return dict(zip(head.units, output.heads["action_units"].T.astype(np.float64), strict=True))


def rendered_table(pictures: gate_pictures.Pictures, model: str | None) -> str:
    """The first table."""
    targets = {unit: values.astype(np.float64) for unit, values in pictures.units.items()}
    targets["AU26"] = np.maximum(targets["AU26"], targets["AU27"])
    sides = {"blendshapes": by_blendshapes(pictures)}
    if model is not None and (of_head := by_head(model, pictures)):
        sides["head"] = of_head
    measured = {name: agreement(preds, targets) for name, preds in sides.items()}
    heading = " | ".join(f"F1, {name} | ICC(3,1), {name}" for name in sides)
    lines = [f"| unit | present in | {heading} |", "|---|---|" + "---|---|" * len(sides)]
    for unit in [*dict.fromkeys(unit for preds in sides.values() for unit in preds), "mean"]:
        present = f"{100 * (targets[unit] >= PRESENT).mean():.0f} %" if unit in targets else ""
        cells = [
            shown(values.get(f"{unit} {metric}"))
            for values in measured.values()
            for metric in ("f1", "icc")
        ]
        name = f"{unit} {ACTION_UNIT_TITLES.get(unit, '')}".strip()
        lines.append(f"| {name} | {present} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ferplus_table(pictures: gate_pictures.Pictures, detector: FaceDetector) -> str:
    """The second table."""
    faces = [find_tight_face(image, detector) for image in pictures.images]
    labels = pictures.expression["every top vote"]
    rows = np.array([face is not None for face in faces]) & (labels >= 0)
    values = np.stack(
        [
            intensities(face.blendshapes)
            for face, counted in zip(faces, rows, strict=True)
            if face is not None and counted
        ]
    )
    units, labels = list(WEIGHTS), labels[rows]
    print(f"FER+: a mesh and a label in {rows.sum()} of {len(rows)} faces", flush=True)
    neutral = labels == pictures.space.index("neutral")
    lines = ["| unit | tells from the rest | area under the curve |", "|---|---|---|"]
    for title, (name, parts) in EXPECTED.items():
        score = values[:, [units.index(part) for part in parts]].sum(1)
        present = labels == pictures.space.index(name)
        drawn = bootstrap_intervals(
            lambda weights, present=present, score=score: {
                "auc": binary_metrics(present, score, weights=weights)["auc"]
            },
            len(score),
        )
        lines.append(f"| {title} | {name} | {shown(drawn['auc'])} |")
    at_rest = (values[neutral] >= PRESENT).mean(0)
    rest = ", ".join(
        f"{unit} {100 * share:.0f} %" for unit, share in zip(units, at_rest, strict=True)
    )
    return "\n".join([*lines, "", f"Present in neutral faces: {rest}."])


def main() -> None:
    """Print both tables."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--ferplus", type=Path, help="ferplus-valid.parquet")
    parser.add_argument("--model", help="a model whose head is compared with the map")
    parser.add_argument("--faces", type=int, default=600)
    parser.add_argument("--rows", type=int, help="only so many faces of FER+")
    arguments = parser.parse_args()
    with FaceDetector() as detector:
        if arguments.faces:
            pictures = gate_pictures.rendered(arguments.faces, detector)
            print(f"rendered: a face in {len(pictures)} of {arguments.faces} pictures\n")
            print(f"{rendered_table(pictures, arguments.model)}\n", flush=True)
        if arguments.ferplus is not None:
            print(ferplus_table(gate_pictures.ferplus(arguments.ferplus, arguments.rows), detector))


if __name__ == "__main__":
    main()
