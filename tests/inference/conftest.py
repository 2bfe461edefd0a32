"""A tiny model that mien could have exported, and a detector that always sees the same face."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mien.faces.detection.mesh import BLENDSHAPES
from mien.inference.predictor import Predictor
from mien.labels import LABEL_SPACES
from mien.schema import Box, Face, Pose, Preprocessing, UInt8Array

SIZE = 32
WIDTH = 16


EXPRESSION = {
    "label_space": LABEL_SPACES["ferplus"].model_dump(mode="json"),
    "calibration": {"temperature": 1.3, "method": "temperature"},
    "abstain_below": None,
}


def description(**changes: Any) -> dict[str, Any]:
    """The metadata of the tiny model, with changes; a change to None removes the key."""
    preprocessing = Preprocessing(size=SIZE)
    fields = {
        "format": 2,
        "name": "tiny",
        "heads": {"expression": EXPRESSION},
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
        "card": "# tiny",
        "license_terms": "for tests",
        "recipe": {},
        "created_with": "mien 0.1.0",
        "parity": {},
    }
    return {key: value for key, value in (fields | changes).items() if value is not None}


def with_heads(**heads: Any) -> dict[str, Any]:
    """The metadata with further heads, or changes to the head of expressions."""
    expression = EXPRESSION | heads.pop("expression", {})
    return description(heads={"expression": expression, **heads})


def build(
    *,
    classes: int = 8,
    size: int = SIZE,
    batch: str | int = "batch",
    embedding: str = "embedding",
    blow_up: bool = False,
    affect: int = 0,
    units: int = 0,
    attention: bool = False,
) -> onnx.ModelProto:
    """Pooled 4 x 4 patches, one linear layer to an embedding, one to the classes.

    ``affect`` and ``units`` are the widths of outputs ``valence_arousal`` and ``action_units``
    (none for 0); ``attention`` adds a map.
    """
    rng = np.random.default_rng(0)
    cells = 3 * (size // 4) ** 2
    weights = {
        "to_embedding": rng.normal(size=(cells, WIDTH)) / 8,
        "to_classes": rng.normal(size=(WIDTH, classes)) * (np.inf if blow_up else 6),
    }
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "to_embedding"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], [embedding], axis=1, p=2),
        helper.make_node("MatMul", [embedding, "to_classes"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["expression"], axis=1),
    ]
    more = []
    if affect:
        weights["to_affect"] = rng.normal(size=(WIDTH, affect)) * 2
        nodes.append(helper.make_node("MatMul", [embedding, "to_affect"], ["affect"]))
        nodes.append(helper.make_node("Tanh", ["affect"], ["valence_arousal"]))
        more.append(("valence_arousal", [batch, affect]))
    if units:
        weights["to_units"] = rng.normal(size=(WIDTH, units)) * 3
        nodes.append(helper.make_node("MatMul", [embedding, "to_units"], ["unit_logits"]))
        nodes.append(helper.make_node("Sigmoid", ["unit_logits"], ["action_units"]))
        more.append(("action_units", [batch, units]))
    if attention:
        nodes.append(helper.make_node("ReduceMean", ["pooled"], ["gray"], axes=[1], keepdims=0))
        nodes.append(helper.make_node("Sigmoid", ["gray"], ["attention"]))
        more.append(("attention", [batch, size // 4, size // 4]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, size, size])],
        [
            helper.make_tensor_value_info("expression", TensorProto.FLOAT, [batch, classes]),
            helper.make_tensor_value_info(embedding, TensorProto.FLOAT, [batch, WIDTH]),
            *(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in more
            ),
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


WriteModel = Callable[..., Path]


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    def write(metadata: dict[str, Any] | str | None = None, **options: Any) -> Path:
        model = build(**options)
        names = {"affect": "valence_arousal", "units": "action_units"}
        heads = {name: {} for option, name in names.items() if options.get(option)}
        more = {"attention": True} if options.get("attention") else {}
        fields = with_heads(**heads) | more if metadata is None else metadata
        text = fields if isinstance(fields, str) else json.dumps(fields)
        if text:
            helper.set_model_props(model, {"mien": text})
        path = tmp_path_factory.mktemp("model") / "tiny.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture(scope="session")
def model_file(write_model: WriteModel) -> Path:
    return write_model()


AT_REST = dict.fromkeys(BLENDSHAPES, 0.0)


class OneFace:
    """Sees one upright face at rest in the middle of every image that is not black."""

    name = "one-face"

    def __init__(
        self,
        *,
        side: float = 0.5,
        yaw: float = 0.0,
        count: int = 1,
        blendshapes: dict[str, float] = AT_REST,
    ) -> None:
        self.side, self.yaw, self.count = side, yaw, count
        self.blendshapes = blendshapes
        self.calls = 0
        self.closed = False

    def __call__(self, image: UInt8Array) -> list[Face]:
        self.calls += 1
        height, width = image.shape[:2]
        side = self.side * min(height, width)
        if image.max() == 0:
            return []
        left, top = (width - side) / 2, (height - side) / 2
        five = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
        landmarks = (five * side + [left, top]).astype(np.float32)
        box = Box(left, top, side, side)
        pose = Pose(self.yaw, 2.0, 3.0)
        return [Face(box, 0.9, landmarks, pose, self.blendshapes) for _ in range(self.count)]

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> OneFace:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@pytest.fixture
def predictor(model_file: Path) -> Iterator[Predictor]:
    with Predictor.load(model_file, detector=OneFace(), threads=1) as made:
        yield made


def picture(seed: int = 0, height: int = 120, width: int = 160) -> UInt8Array:
    """Smooth colors, different for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(1, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five photos, one of them black and so without a face, in two levels."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    for number in range(4):
        name = f"{number}.png" if number % 2 else f"inner/{number}.JPG"
        Image.fromarray(picture(number)).save(folder / name)
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(folder / "black.png")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder
