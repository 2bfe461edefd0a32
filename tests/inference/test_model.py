from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from mien import models
from mien.inference.model import read_metadata, read_model
from mien.labels import LABEL_SPACES
from mien.models import find_model, shipped_models
from mien.schema import MienError

from .conftest import SIZE, WriteModel, description


def test_reads_what_export_wrote(model_file: Path) -> None:
    info, session = read_model(model_file, threads=1)
    assert info.name == "tiny"
    assert info.label_space == LABEL_SPACES["ferplus"]
    assert info.preprocessing.size == SIZE
    assert info.calibration.temperature == 1.3
    assert info.license_terms == "for tests"
    assert session.get_session_options().intra_op_num_threads == 1
    assert read_metadata(model_file) == info


def test_description_cannot_be_changed(model_file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_metadata(model_file).name = "other"  # type: ignore[misc]


def test_keys_of_a_later_writer_are_passed_over(write_model: WriteModel) -> None:
    assert read_metadata(write_model(description(weights="int8"))).name == "tiny"


@pytest.mark.parametrize(
    "content", [b"", b"this is text, not a network\n" * 9, b"\x08\x07", bytes(range(256)) * 8]
)
def test_file_that_is_no_onnx(tmp_path: Path, content: bytes, capfd: Any) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(MienError, match=r"expected an ONNX model, got .*broken\.onnx") as caught:
        read_model(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_cut_model(tmp_path: Path, model_file: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model_file.read_bytes()[:-400])
    with pytest.raises(MienError, match="expected an ONNX model"):
        read_model(path)


def _with(field: str, key: str, value: object) -> dict[str, Any]:
    fields = description()
    return fields | {field: fields[field] | {key: value}}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("", "written by `mien export`"),
        ("{", "expected JSON with a format number"),
        ("[1]", "expected JSON with a format number"),
        (json.dumps(description(format=None)), "expected JSON with a format number"),
        (json.dumps(description(format=2)), r"expected model format 1, got 2 .*mien 0\.1\.0"),
        (json.dumps(description(label_space=None)), "fault at 'label_space'"),
        (json.dumps(description(abstain_below=7)), "fault at 'abstain_below'"),
        (json.dumps(_with("preprocessing", "warp", 3)), "fault at 'preprocessing.warp'"),
        (json.dumps(_with("preprocessing", "margin", 0.5)), "expected preprocessing hash"),
    ],
)
def test_metadata_that_does_not_fit(write_model: WriteModel, metadata: str, message: str) -> None:
    with pytest.raises(MienError, match=message) as caught:
        read_model(write_model(metadata))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 7}, r"expected probabilities float32 \(B, 8\).*got .*7"),
        ({"size": 64}, r"expected input float32 \(B, 3, 32, 32\).*got .*64"),
        ({"batch": 1}, r"expected input float32 \(B, 3, 32, 32\).*got .*\[1, 3"),
        ({"embedding": "features"}, r"expected embedding float32 \(B, D\) .*got only input"),
        ({"affect": 3}, r"expected valence_arousal float32 \(B, 2\) .*got .*3\]"),
    ],
)
def test_inputs_and_outputs_that_do_not_fit(
    write_model: WriteModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MienError, match=message):
        read_model(write_model(**options))


def test_threads_below_one(model_file: Path) -> None:
    with pytest.raises(MienError, match="at least one thread, got 0"):
        read_model(model_file, threads=0)


def test_names_and_files(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "shipped_models", lambda: {"fer": model_file})
    assert find_model("fer") == model_file
    assert find_model(model_file) == model_file
    assert find_model(str(model_file)) == model_file
    with pytest.raises(MienError, match=r"name of a shipped model \(fer\), got 'fre'"):
        find_model("fre")
    with pytest.raises(MienError, match="got the folder"):
        find_model(tmp_path)


def test_shipped_models_can_all_be_read() -> None:
    for name, path in shipped_models().items():
        info = read_metadata(path)
        assert info.name == name
        assert info.license_terms
        assert info.card
        assert path.with_suffix(".md").is_file()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="does not exist"):
        read_model(tmp_path / "none.onnx")


def test_runs_on_the_cpu(model_file: Path) -> None:
    session: onnxruntime.InferenceSession = read_model(model_file)[1]
    assert session.get_providers() == ["CPUExecutionProvider"]
