from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from severity_models import LENGTH, write_severity_model

from mien import models
from mien.errors import MienError
from mien.inference.model import open_models, open_onnx
from mien.inference.predictor import Predictor
from mien.labels import LABEL_SPACES
from mien.models import find_model, read_info, shipped_models

from .conftest import SIZE, WriteModel, description, with_heads


def test_reads_what_export_wrote(model_file: Path) -> None:
    model = open_onnx(model_file, threads=1)
    info = model.info
    assert info.name == "tiny"
    assert list(info.heads) == ["expression"]
    assert info.heads["expression"].label_space == LABEL_SPACES["ferplus"]
    assert info.preprocessing.size == SIZE
    assert info.heads["expression"].calibration.temperature == 1.3
    assert info.license_terms == "for tests"
    assert model._session.get_session_options().intra_op_num_threads == 1
    assert read_info(model_file) == info


def test_description_cannot_be_changed(model_file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_info(model_file).name = "other"  # type: ignore[misc]


def test_keys_of_a_later_writer_are_passed_over(write_model: WriteModel) -> None:
    assert read_info(write_model(description(weights="int8"))).name == "tiny"


@pytest.mark.parametrize(
    "content", [b"", b"this is text, not a network\n" * 9, b"\x08\x07", bytes(range(256)) * 8]
)
def test_file_that_is_no_onnx(tmp_path: Path, content: bytes, capfd: Any) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(MienError, match=r"expected an ONNX model, got .*broken\.onnx") as caught:
        open_onnx(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_cut_model(tmp_path: Path, model_file: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model_file.read_bytes()[:-400])
    with pytest.raises(MienError, match="expected an ONNX model"):
        open_onnx(path)


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
        (json.dumps(description(format=1)), r"expected model format 2, got 1 .*mien 0\.1\.0"),
        (json.dumps(description(heads=None)), "fault at 'heads'"),
        (json.dumps(description(heads={"smell": {}})), "fault at 'heads.smell'"),
        (json.dumps(with_heads(expression={"label_space": None})), "label_space"),
        (json.dumps(with_heads(expression={"abstain_below": 7})), "abstain_below"),
        (json.dumps(_with("preprocessing", "warp", 3)), "fault at 'preprocessing.warp'"),
        (json.dumps(_with("preprocessing", "margin", 0.5)), "expected preprocessing hash"),
    ],
)
def test_metadata_that_does_not_fit(write_model: WriteModel, metadata: str, message: str) -> None:
    with pytest.raises(MienError, match=message) as caught:
        open_onnx(write_model(metadata))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 7}, r"expected expression float32 \(B, 8\).*got .*7"),
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
        open_onnx(write_model(**options))


def test_threads_below_one(model_file: Path) -> None:
    with pytest.raises(MienError, match="at least one thread, got 0"):
        open_onnx(model_file, threads=0)


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
        info = read_info(path)
        assert info.name == name
        assert info.license_terms
        assert info.card
        assert path.with_suffix(".md").is_file()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"expected a run folder, an ONNX file .*none\.onnx"):
        open_onnx(tmp_path / "none.onnx")


def test_runs_on_the_cpu(model_file: Path) -> None:
    assert open_onnx(model_file)._session.get_providers() == ["CPUExecutionProvider"]


def test_a_run_folder_names_the_command_that_exports_it(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "my run"
    run.mkdir(parents=True)
    (run / "model.json").write_text("{}")
    with pytest.raises(MienError) as caught:
        open_onnx(run)
    assert f"mien export '{run}' --out 'my run.onnx'" in str(caught.value)


def test_an_announced_attention_map_must_be_there(write_model: WriteModel) -> None:
    with pytest.raises(MienError, match=r"expected attention float32 \(B, h, w\)"):
        open_onnx(write_model(description(attention=True)))


def test_a_model_of_clips_is_opened_alike(tmp_path: Path) -> None:
    model = open_onnx(write_severity_model(tmp_path / "s.onnx"))
    assert model.info.clips is not None and list(model.info.heads) == ["severity"]
    clips = np.full((3, LENGTH, 16, 16, 3), 51, np.uint8)
    output = model.predict(clips, 2)
    assert output.heads["severity"] == pytest.approx([2, 2, 2])
    assert list(output.heads) == ["severity"]  # the distribution is optional
    with pytest.raises(ValueError, match=r"expected uint8 clips \(B, 4, 16, 16, 3\)"):
        model.predict(clips[:, :2])
    with pytest.raises(MienError, match=r"reads clips of 4 frames"):
        Predictor(model)


def test_one_model_of_each_kind_and_one_of_each_head(
    tmp_path: Path, write_model: WriteModel
) -> None:
    face, clip = write_model(), write_severity_model(tmp_path / "s.onnx")
    for order in ((face, clip), (clip, face)):
        faces, clips = open_models(order)
        assert faces is not None and clips is not None
        assert (faces.info.clips, clips.info.name) == (None, "brightness")
    with pytest.raises(MienError, match=r"one --model of faces, got two \(tiny and tiny\)"):
        open_models([face, face])
    with pytest.raises(MienError, match=r"one --model of clips, got two"):
        open_models([clip, clip])
    assert open_models([]) == (None, None)
