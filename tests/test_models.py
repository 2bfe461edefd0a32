"""What runs, ONNX files and shipped models say of themselves, and forged descriptions."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from mien.errors import MienError
from mien.labels import LABEL_SPACES
from mien.models import find_model, is_model, read_info, shipped_models


@pytest.fixture
def run(toy_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(toy_run / "model.json", folder)
    return folder


def test_a_run_and_its_exported_model_say_the_same(toy_run: Path, toy_model: Path) -> None:
    run, model = read_info(toy_run), read_info(toy_model)
    assert (run.name, model.name) == ("softmax", "toy")
    expected = run.heads["expression"].model_copy(update={"abstain_below": 0.01})
    assert model.heads == {"expression": expected}
    for key in ("preprocessing", "preprocessing_hash", "clips", "attention", "license_terms"):
        assert getattr(run, key) == getattr(model, key), key
    assert run.trained_on == model.trained_on and run.trained_on["checksum"]
    assert run.outputs == model.outputs == {"expression": (6,), "embedding": ("D",)}
    assert run.input_shape == model.input_shape == (3, 32, 32)
    assert "largest_difference" in model.parity and not run.parity


def test_every_shipped_model_describes_its_heads() -> None:
    assert "fer" in shipped_models() and is_model("fer") and is_model("missing.onnx")
    assert not is_model("missing")
    for name, path in shipped_models().items():
        info = read_info(name)
        assert info.name == name and info.heads and info.license_terms
        assert info == read_info(path) == read_info(find_model(name))
        outputs = [output.name for output in onnx.load(path).graph.output]
        assert outputs == list(info.outputs)
    assert read_info("fer").heads["expression"].label_space == LABEL_SPACES["ferplus"]


def forged(run: Path, **changes: Any) -> Path:
    document = json.loads((run / "model.json").read_text()) | changes
    kept = {key: value for key, value in document.items() if value is not ...}
    (run / "model.json").write_text(json.dumps(kept))
    return run


EXPRESSION = {"label_space": {"name": "two", "names": ["a", "b"]}}

FORGERIES: list[tuple[dict[str, Any], str]] = [
    ({"format": 1}, "expected model format 2, got 1"),
    ({"format": ...}, "expected JSON with a format number"),
    ({"heads": ...}, "a fault at 'heads'"),
    ({"heads": {}}, "expected heads (expression,"),
    ({"heads": {"mood": {}}}, "a fault at 'heads.mood'"),
    ({"heads": {"expression": {}}}, "a fault at 'heads.expression.label_space'"),
    ({"heads": {"expression": EXPRESSION | {"tempo": 1}}}, "at 'heads.expression.tempo'"),
    (
        {"heads": {"expression": EXPRESSION | {"calibration": {"temperature": 0}}}},
        "a fault at 'heads.expression.calibration.temperature'",
    ),
    (
        {"heads": {"expression": EXPRESSION | {"abstain_below": 3}}},
        "a fault at 'heads.expression.abstain_below'",
    ),
    ({"heads": {"severity": {"scale": {"name": "x", "top": 0}}}}, "'heads.severity.scale.top'"),
    ({"clips": {"length": 0, "stride": 1}}, "a fault at 'clips.length'"),
    ({"clips": {"length": 4, "stride": 1, "rate": 10}}, "a fault at 'clips.rate'"),
    ({"preprocessing": {"size": -1}}, "a fault at 'preprocessing.size'"),
    ({"preprocessing_hash": "0" * 16}, "the metadata was edited"),
    ({"name": ["toy"]}, "a fault at 'name'"),
]


@pytest.mark.parametrize(("changes", "message"), FORGERIES, ids=lambda value: str(value)[:60])
def test_a_forged_description_is_one_sentence_for_runs_and_onnx_files(
    changes: dict[str, Any], message: str, run: Path, toy_model: Path, tmp_path: Path
) -> None:
    forged(run, **changes)
    model = onnx.load(toy_model)
    document = json.loads(model.metadata_props[0].value) | changes
    kept = {key: value for key, value in document.items() if value is not ...}
    helper.set_model_props(model, {"mien": json.dumps(kept)})
    onnx.save(model, tmp_path / "forged.onnx")
    advice = {run: "train the run again", tmp_path / "forged.onnx": "export the model again"}
    for place, cure in advice.items():
        with pytest.raises(MienError) as caught:
            read_info(place)
        text = str(caught.value)
        assert message in text and "\n" not in text
        assert str(place) in text
        assert cure in text or "use the mien version that wrote it" in text


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_description_of_a_run_is_one_sentence(text: bytes, run: Path) -> None:
    (run / "model.json").write_bytes(text)
    with pytest.raises(MienError) as caught:
        read_info(run)
    assert "model.json" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_neither_run_nor_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("this is no model")
    for place, message in (
        (tmp_path, "expected a run folder with model.json"),
        (
            tmp_path / "missing",
            "expected a run folder, an ONNX file or the name of a shipped model (fer)",
        ),
        (tmp_path / "text.onnx", "expected an ONNX model"),
    ):
        with pytest.raises(MienError) as caught:
            read_info(place)
        assert message in str(caught.value) and "\n" not in str(caught.value)
