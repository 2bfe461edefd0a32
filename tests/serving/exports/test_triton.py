"""The Triton repository names what the ONNX file has, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from mien.errors import MienError
from mien.models import find_model
from mien.serving.exports.triton import write_triton


def parsed(text: str) -> dict[str, Any]:
    """The small part of protobuf's text format that a config is written in."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[\w.+-]+|[{}\[\]:,]', text)

    def message(end: str | None) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while tokens and tokens[0] != end:
            name = tokens.pop(0)
            if tokens[0] == ":":
                tokens.pop(0)
            fields[name] = value()
        if end:
            tokens.pop(0)
        return fields

    def value() -> Any:
        token = tokens.pop(0)
        if token == "{":
            return message("}")
        if token == "[":
            items = []
            while tokens[0] != "]":
                items.append(value())
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
            return items
        return json.loads(token) if token[0] in '"-0123456789' else token

    return message(None)


def shapes(values: Any) -> dict[str, list[int]]:
    return {
        value.name: [axis.dim_value or -1 for axis in list(value.type.tensor_type.shape.dim)[1:]]
        for value in values
    }


@pytest.mark.parametrize("options", [None, {"affect": 2, "units": 12, "attention": True}])
def test_inputs_and_outputs_are_those_of_the_file(
    tmp_path: Path, write_model: Any, options: dict[str, Any] | None
) -> None:
    source = find_model("fer") if options is None else write_model(**options)
    place = write_triton(source, tmp_path / "repository")
    copy = place / "1" / "model.onnx"
    assert copy.read_bytes() == Path(source).read_bytes()
    config = parsed((place / "config.pbtxt").read_text())
    graph = onnx.load(copy).graph
    assert config["name"] == place.name and config["backend"] == "onnxruntime"
    for key, values in (("input", graph.input), ("output", graph.output)):
        described = {each["name"]: each["dims"] for each in config[key]}
        assert described == shapes(values)
        assert {each["data_type"] for each in config[key]} == {"TYPE_FP32"}
    [labels] = [each["label_filename"] for each in config["output"] if "label_filename" in each]
    names = (place / labels).read_text().split()
    [classes] = [each["dims"] for each in config["output"] if each["name"] == "expression"]
    assert classes == [len(names)] and names[1] == "happiness"
    assert json.loads((place / "model.json").read_text())["preprocessing"]["size"] in (32, 112)


def test_a_folder_with_files_is_left_alone(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(MienError, match="new or empty folder"):
        write_triton(model_file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_mien_export_writes_it(tmp_path: Path, model_file: Path, command: Any) -> None:
    done = command("export", model_file, "--triton", tmp_path / "r")
    assert done.code == 0 and "config.pbtxt" in done.out
    assert (tmp_path / "r" / "tiny" / "config.pbtxt").is_file()
    command("export", model_file).refused("--out", "--triton")
