"""What a user would check on rendered faces: speed, detection, balance, subjects.

    python benchmarks/rendered.py [--faces 600]

The fifth number, what a model that was trained on them alone does on people, is a training: the
commands stand in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from mien.faces.detection.detect import FaceDetector
from mien.labels import EXPRESSIONS
from mien.schema import Preprocessing
from mien.synthetic.actions import draw_expression, face_units
from mien.synthetic.corpus import write_faces
from mien.synthetic.faces import subject_of
from mien.synthetic.rendering.render import render_face
from mien.synthetic.rendering.scene import frontal_scene


def detected(count: int) -> int:
    """How many of ``count`` frontal heads, one a subject, MediaPipe finds at 192 pixels."""
    recipe, found = Preprocessing(size=192, margin=0.5), 0
    with FaceDetector(max_faces=1) as detect:
        for index in range(count):
            generator = np.random.default_rng((5, index))
            expression = draw_expression(EXPRESSIONS[index % 8], generator)
            units, scene = face_units(expression.actions), frontal_scene(generator)
            made = render_face(subject_of(5, index), units, scene, recipe, generator)
            found += bool(detect(made.crop))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        dataset = write_faces(Path(folder) / "faces", faces=given.faces, seed=1)
        seconds = time.perf_counter() - started
        print(
            f"{given.faces} faces of 112 pixels in {seconds:.1f} s, start-up included: "
            f"{given.faces / seconds:.1f} a second"
        )
        labels, splits = dataset.column("label"), dataset.splits
        for split in ("train", "valid", "test"):
            counts = Counter(labels[splits == split].tolist())
            print(f"{split}: {', '.join(f'{name} {counts[name]}' for name in EXPRESSIONS)}")
        if dataset.subjects is not None:
            pairs = set(zip(dataset.subjects.tolist(), splits.tolist(), strict=True))
            people = len(set(dataset.subjects.tolist()))
            print(f"{people} subjects, {len(pairs) - people} of them in two splits")
    print(f"MediaPipe finds {detected(200)} of 200 frontal heads")


if __name__ == "__main__":
    main()
