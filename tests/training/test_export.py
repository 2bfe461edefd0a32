import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from PIL import Image
from skimage import data as skimage_data

import mien
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.heads.expression import ExpressionInfo
from mien.inference.predictor import Predictor
from mien.models import read_info
from mien.preparation.prepare import prepare
from mien.schema import FloatArray
from mien.training import export as exporting
from mien.training.batches.faces import images_for_network
from mien.training.export import export
from mien.training.run import Run, load_run

OUTPUTS = ["expression", "embedding"]


@pytest.fixture(scope="module")
def run(toy_run: Path) -> Run:
    return load_run(toy_run)


@pytest.fixture(scope="module")
def packed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("packed") / "new" / "packed.onnx"
    # As if the start weights had lain somewhere on this machine.
    backbone = run.document["recipe"]["backbone"]
    backbone = backbone | {"weights": "/home/somebody/start.safetensors"}
    recipe = run.document["recipe"] | {"backbone": backbone}
    lent = run._replace(document=run.document | {"recipe": recipe})
    return path, export(lent, path, name="small", packed=True, mirror=True)


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def network(run: Run, images: FloatArray, *, mirror: bool = False) -> list[FloatArray]:
    run.model.mirror = mirror
    with torch.inference_mode():
        return [output.numpy() for output in run.model(torch.from_numpy(images))]


@pytest.mark.parametrize("count", [1, 5, 32])
def test_any_batch_gives_what_the_network_gives(run: Run, toy_model: Path, count: int) -> None:
    images = np.random.default_rng(count).normal(size=(count, 3, 32, 32)).astype(np.float32)
    got = session(toy_model).run(OUTPUTS, {"input": images})
    for mine, theirs in zip(got, network(run, images), strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_packed_weights_are_small_and_close(
    run: Run, toy_model: Path, packed: tuple[Path, dict[str, Any]]
) -> None:
    path, document = packed
    images = np.random.default_rng(1).normal(size=(8, 3, 32, 32)).astype(np.float32)
    got = session(path).run(OUTPUTS, {"input": images})
    for mine, theirs in zip(got, network(run, images, mirror=True), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=0.05)
    assert document["weights"] == "int8 per output channel" and document["mirror"]

    def weight_bytes(model: Path) -> int:
        tensors = onnx.load(model).graph.initializer
        return sum(numpy_helper.to_array(tensor).nbytes for tensor in tensors)

    assert weight_bytes(path) < 0.4 * weight_bytes(toy_model)
    large = [
        numpy_helper.to_array(tensor).dtype
        for tensor in onnx.load(path).graph.initializer
        if np.prod(tensor.dims) >= 1024
    ]
    assert large and set(large) == {np.dtype(np.int8)}


def test_metadata_comes_back_as_it_was_written(
    run: Run, toy_model: Path, packed: tuple[Path, dict[str, Any]]
) -> None:
    info = read_info(toy_model)
    assert info.name == "toy"
    head, kept = info.heads["expression"], run.info.heads["expression"]
    assert head.label_space == kept.label_space
    assert head.calibration == kept.calibration and kept.calibration.temperature != 1
    assert head.model_dump() == kept.model_dump() | {"abstain_below": 0.01}
    assert info.preprocessing == run.info.preprocessing
    assert info.card == "# Toy"
    assert info.recipe == run.document["recipe"]
    assert info.trained_on == run.info.trained_on
    assert info.created_with == f"mien {mien.__version__}"
    assert run.document["license_sources"]["data"] in info.license_terms
    assert 0 <= info.parity["largest_difference"] <= info.parity["limit"]
    path, document = packed
    small = read_info(path)
    assert small.name == "small"
    assert small.heads["expression"].abstain_below is None
    assert document["preprocessing_hash"] == small.preprocessing.hash
    assert document == json.loads(json.dumps(document))


def test_nothing_of_this_machine_is_in_the_file(
    toy_model: Path, packed: tuple[Path, dict[str, Any]]
) -> None:
    for path in (toy_model, packed[0]):
        content = path.read_bytes()
        for word in (b"site-packages", b"/home/", b"/tmp/", b"/usr/", b"Users", b"stack_trace"):
            assert word not in content, word
        for folder in (Path(mien.__file__).parents[2], Path.home(), Path.cwd(), path.parent):
            assert str(folder).encode() not in content
        assert not re.search(rb"\w\.py\b", content)
    assert read_info(packed[0]).recipe["backbone"]["weights"] == "start.safetensors"


def test_a_file_that_differs_from_the_network_is_refused(
    run: Run, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = onnx.load(toy_model)
    tensor = max(wrong.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    changed = numpy_helper.from_array(2 * numpy_helper.to_array(tensor), tensor.name)
    tensor.CopyFrom(changed)
    monkeypatch.setattr(exporting, "_to_onnx", lambda *_: wrong)
    out = tmp_path / "m.onnx"
    out.write_text("older")
    with pytest.raises(MienError, match="differs from the network"):
        export(run, out)
    assert out.read_text() == "older"
    assert list(tmp_path.iterdir()) == [out]


def test_a_network_that_gives_nan_is_refused(
    run: Run, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = onnx.load(toy_model)
    for tensor in wrong.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = np.full_like(numpy_helper.to_array(tensor), np.nan)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    monkeypatch.setattr(exporting, "_to_onnx", lambda *_: wrong)
    with pytest.raises(MienError, match="differs from the network"):
        export(run, tmp_path / "m.onnx")


def test_wrong_use_is_a_sentence_before_any_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_to_onnx", lambda *_: pytest.fail("it began to work"))
    (tmp_path / "folder.onnx").mkdir()
    for name in ("model", "model.pt", "folder.onnx"):
        with pytest.raises(MienError, match=r"ending in \.onnx"):
            export(run, tmp_path / name)
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(MienError, match=r"in \[0, 1\]"):
            export(run, tmp_path / "m.onnx", abstain_below=share)


def test_a_photo_gives_training_and_inference_the_same_tensor(
    run: Run, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, photo in (
        ("happy", skimage_data.astronaut()),
        ("sad", skimage_data.astronaut()[40:]),
    ):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(photo).save(tmp_path / "photos" / name / "photo.png")
    prepare(
        "folder",
        tmp_path / "photos",
        tmp_path / "dataset",
        preprocessing=run.info.preprocessing,
        workers=1,
    )
    dataset = Dataset.open(tmp_path / "dataset")
    assert set(dataset.column("alignment")) == {"similarity"}
    tensors: list[FloatArray] = []
    original = onnxruntime.InferenceSession.run

    def keep(
        self: onnxruntime.InferenceSession, names: list[str], inputs: dict[str, FloatArray]
    ) -> list[FloatArray]:
        tensors.append(inputs["input"])
        return original(self, names, inputs)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", keep)
    with Predictor.load(toy_model) as predictor:
        for name in dataset.column("id"):
            predictor(tmp_path / "photos" / name)
    training = images_for_network(dataset.crops[np.arange(2)], run.info.preprocessing).numpy()
    assert np.array_equal(np.concatenate(tensors), training)


@pytest.mark.slow
def test_balanced_probabilities_are_those_divided_by_the_shares(
    run: Run, tmp_path: Path, toy_dataset: Path
) -> None:
    info = run.info.heads["expression"]
    assert isinstance(info, ExpressionInfo)
    targets = make_targets(Dataset.open(toy_dataset), "majority")["expression"]
    rows = Dataset.open(toy_dataset).split_indices("train")
    counts = np.bincount(targets[rows], minlength=len(info.label_space))
    assert info.shares == pytest.approx(counts / counts.sum(), abs=1e-5)
    images = np.random.default_rng(0).normal(size=(9, 3, 32, 32)).astype(np.float32)
    plain = network(run, images)[0]
    document = export(run, tmp_path / "balanced.onnx", balance=0.5)
    got = session(tmp_path / "balanced.onnx").run(["expression"], {"input": images})[0]
    expected = plain / np.sqrt(info.shares)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert document["heads"]["expression"]["calibration"]["balance"] == 0.5
    assert read_info(tmp_path / "balanced.onnx").heads["expression"].calibration.balance == 0.5
    export(run, tmp_path / "plain.onnx")  # the run is as it was
    got = session(tmp_path / "plain.onnx").run(["expression"], {"input": images})[0]
    np.testing.assert_allclose(got, plain, atol=1e-4)


def test_a_run_that_does_not_know_its_shares_is_not_balanced(run: Run, tmp_path: Path) -> None:
    older = run.info.heads["expression"].model_copy(update={"shares": ()})
    lent = run._replace(info=run.info.model_copy(update={"heads": {"expression": older}}))
    with pytest.raises(MienError, match=r"shares of its classes for --balance.*train it again"):
        export(lent, tmp_path / "model.onnx", balance=0.25)
    assert not list(tmp_path.iterdir())
