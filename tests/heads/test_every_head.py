"""What holds for every head; a new one is tested by being registered."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import yaml
from head_cases import CASES, HeadCase
from pydantic import TypeAdapter

from mien.data.dataset import (
    ACTION_UNIT_FIELDS,
    FACES_SCHEMA,
    SEVERITY_FIELD,
    VALENCE_AROUSAL_FIELDS,
)
from mien.errors import MienError
from mien.heads import HEADS, ByHead, HeadInfo, Validation
from mien.models import ModelInfo, parse_info
from mien.networks.heads import LAYERS, head_predictions
from mien.schema import Prediction, Preprocessing
from mien.training.losses import LOSSES
from mien.training.recipe.recipe import Recipe

ROWS, WIDTH = 6, 5
EACH = pytest.mark.parametrize("name", HEADS)


def raw_outputs(case: HeadCase) -> dict[str, torch.Tensor]:
    """What the head's layers give for random embeddings."""
    generator = torch.Generator().manual_seed(0)
    layers = LAYERS[case.head.name].create(WIDTH, **case.architecture)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        raw: dict[str, torch.Tensor] = layers(torch.randn(ROWS, WIDTH, generator=generator))
    return raw


def validation(case: HeadCase) -> Validation:
    raw = {name: rows.double() for name, rows in raw_outputs(case).items()}
    predictions = head_predictions(raw, {case.head.name: case.info})
    return Validation(
        case.targets(ROWS),
        {name: rows.numpy() for name, rows in raw.items()},
        {name: rows.numpy() for name, rows in predictions.items()},
        np.array([f"person {row // 2}" for row in range(ROWS)]),
    )


def description(heads: dict[str, Any]) -> dict[str, Any]:
    preprocessing = Preprocessing(size=16)
    return {
        "format": 2,
        "name": "made by a test",
        "heads": heads,
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
    }


def test_every_head_has_a_case_and_layers_under_its_own_name() -> None:
    assert list(CASES) == list(HEADS) == list(LAYERS)
    assert all(head.name == name for name, head in HEADS.items())


def test_names_of_metrics_outputs_and_columns_are_those_of_one_head() -> None:
    metrics = [metric.name for head in HEADS.values() for metric in head.metrics]
    outputs = [name for case in CASES.values() for name in case.head.outputs(case.info)]
    columns = [name for case in CASES.values() for name in case.head.fields(case.info)]
    labels = [name for head in HEADS.values() for name in head.columns]
    for names in (metrics, outputs, columns, labels):
        assert len(set(names)) == len(names), names
    assert not {"embedding", "attention"} & set(outputs)


@EACH
def test_its_words_are_there_and_its_columns_are_a_dataset_s(name: str) -> None:
    head = HEADS[name]
    assert head.title and head.labels and head.parity_unit > 0
    known = [*FACES_SCHEMA.names, SEVERITY_FIELD.name]
    known += [field.name for field in (*VALENCE_AROUSAL_FIELDS, *ACTION_UNIT_FIELDS)]
    assert head.columns and set(head.columns) <= set(known)
    assert all(metric.title and metric.description for metric in head.metrics)
    assert all(metric.unit in ("%", "nats", "points", "") for metric in head.metrics)


@EACH
def test_some_loss_trains_it_and_reads_its_labels(name: str) -> None:
    trained_by = [loss for loss in LOSSES.values() if name in loss.trains]
    assert trained_by and all(loss.head == name for loss in trained_by)


@EACH
def test_it_describes_itself_from_a_dataset_s_labels(name: str) -> None:
    case = CASES[name]
    assert case.head.describe(case.settings, case.labels) == case.info
    assert case.head.architecture(case.settings, case.info) == case.architecture


@EACH
def test_its_layers_give_the_outputs_that_it_promises(name: str) -> None:
    case = CASES[name]
    promised = case.head.outputs(case.info)
    assert next(iter(promised)) == name
    predictions = head_predictions(raw_outputs(case), {name: case.info})
    shapes = {key: tuple(rows.shape[1:]) for key, rows in predictions.items()}
    assert shapes == promised
    assert all(len(rows) == ROWS and rows.isfinite().all() for rows in predictions.values())


@EACH
def test_its_metrics_are_numbers_and_best_where_predictions_are_the_targets(name: str) -> None:
    case = CASES[name]
    arrays = validation(case)
    targets, predictions = case.head.measured(arrays)
    assert len(targets) == len(predictions) == ROWS
    _, best = case.head.measured(arrays._replace(predictions=case.perfect(arrays.targets)))
    for metric in case.head.metrics:
        value = metric.function(targets, predictions)
        assert isinstance(value, float) and np.isfinite(value), metric.name
        ideal = metric.function(targets, best)
        assert ideal == pytest.approx(1 if metric.greater_is_better else 0, abs=1e-6), metric.name
        assert metric.better(ideal, value)


@EACH
def test_what_it_calibrates_is_part_of_its_info_and_touches_no_input(name: str) -> None:
    case = CASES[name]
    arrays = validation(case)
    kept = [array.copy() for group in arrays[:3] for array in group.values()]
    calibrated = case.head.calibrate(case.info, arrays)
    assert type(calibrated) is type(case.info)
    assert case.head.outputs(calibrated) == case.head.outputs(case.info)
    after = [array for group in arrays[:3] for array in group.values()]
    assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(kept, after, strict=True))
    json.dumps(calibrated.model_dump(mode="json"), allow_nan=False)


@EACH
def test_a_row_is_read_into_fields_of_a_prediction_and_columns_of_a_table(name: str) -> None:
    case = CASES[name]
    predictions = head_predictions(raw_outputs(case), {name: case.info})
    outputs = {key: rows.numpy() for key, rows in predictions.items()}
    fields = case.head.fields(case.info)
    known = set(Prediction.__dataclass_fields__)
    for row in range(ROWS):
        found = case.head.read(case.info, outputs, row)
        assert set(found) == set(fields) <= known
        # Every value is of its column's type, and none is lost on the way.
        table = pa.Table.from_pylist([found], schema=pa.schema(list(fields.items())))
        for key, value in table.to_pylist()[0].items():
            if isinstance(found[key], float | dict):
                assert value == pytest.approx(found[key], rel=1e-6)
            else:
                assert value == found[key]


@EACH
def test_its_settings_go_through_the_yaml_of_a_recipe(name: str) -> None:
    case = CASES[name]
    assert type(case.settings) is case.head.Settings
    loss = next(key for key, kind in LOSSES.items() if name in kind.trains)
    tree: dict[str, Any] = {
        "name": "mine",
        "heads": {name: case.settings.model_dump(mode="json")},
        "losses": [{"loss": loss}],
    }
    if name == "severity":
        tree["clips"] = {}
    recipe = Recipe.model_validate(tree)
    again = Recipe.model_validate(yaml.safe_load(recipe.to_yaml()))
    assert again == recipe and again.heads == {name: case.settings}
    assert type(again.heads[name]) is case.head.Settings
    # A head without settings of its own is a key without a value.
    bare = Recipe.model_validate(tree | {"heads": {name: None}})
    assert bare.heads == {name: case.head.Settings()}


@EACH
def test_its_info_goes_through_the_json_of_a_model(name: str) -> None:
    case = CASES[name]
    info = case.head.calibrate(case.info, validation(case))
    text = json.dumps(description({name: info.model_dump(mode="json")}))
    read = parse_info(text, "model.onnx")
    assert read.heads == {name: info} and type(read.heads[name]) is case.head.Info
    assert list(read.outputs)[:-1] == list(case.head.outputs(info))
    assert parse_info(json.dumps(read.model_dump(mode="json")), "again.onnx") == read


@EACH
def test_a_key_that_it_does_not_know_is_refused(name: str) -> None:
    case = CASES[name]
    fields = case.info.model_dump(mode="json") | {"surplus": 1}
    with pytest.raises(MienError, match=rf"got a fault at 'heads\.{name}\.surplus'") as caught:
        parse_info(json.dumps(description({name: fields})), "model.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("heads", [{"mood": {}}, [], None, {"expression": None}, {}])
def test_heads_that_are_none_are_refused(heads: Any) -> None:
    with pytest.raises(MienError, match=r"expected complete mien metadata in .model\.onnx."):
        parse_info(json.dumps(description(heads)), "model.onnx")


def test_heads_are_read_in_the_order_of_the_registry() -> None:
    infos = {name: CASES[name].info.model_dump(mode="json") for name in reversed(HEADS)}
    read = ModelInfo.model_validate(description(infos))
    assert list(read.heads) == list(HEADS)


def test_a_dict_by_head_is_also_one_without_json() -> None:
    from typing import Annotated

    adapter = TypeAdapter(Annotated[dict[str, HeadInfo], ByHead("Info")])
    given = {name: case.info for name, case in CASES.items()}
    assert adapter.validate_python(given) == given
