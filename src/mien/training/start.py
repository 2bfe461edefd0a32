"""Start weights from an exported model: what its metadata say, a recipe need not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.models import (
    METADATA_KEY,
    ModelInfo,
    SeverityInfo,
    find_model,
    is_model,
    parse_description,
)
from mien.networks.exported import has_folded_norms, read_onnx
from mien.schema import MienError, Preprocessing

_IN_TRAINING_ONLY = {"drop_rate", "drop_path_rate"}  # they change no prediction


def describe_backbone(said: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's ``backbone`` with what the model named by ``weights`` says of its own.

    ``name``, ``arguments`` and ``terms`` are the model's; ``restore_batch_norm`` is true for one
    whose norms were folded away, unless the recipe says so itself. Other weights leave ``said`` as
    it is. Raises :class:`MienError` for a recipe that says something else than the model.
    """
    weights = said.get("weights")
    if not isinstance(weights, str) or not is_model(weights):
        return dict(said)
    info, folded = _read(weights)
    own = info.recipe.get("backbone", {})
    if "name" not in own:
        raise MienError(
            f"expected the architecture of the backbone in the metadata of {weights}, which names "
            "no backbone; export it again, or start from its run's model.safetensors"
        )
    name, arguments = own["name"], own.get("arguments", {})
    if said.get("name", name) != name:
        _refuse(weights, "name", name, said["name"])
    given = said.get("arguments") or {}
    if not isinstance(given, Mapping):
        return dict(said)
    merged = {**arguments, **given}
    if _of_the_function(merged) != _of_the_function(arguments):
        _refuse(weights, "arguments", arguments, given)
    terms = said.get("license_terms") or ""
    if info.license_terms:
        terms = f"the model {info.name}, with these terms: {info.license_terms}"
    if said.get("license_terms") and said["license_terms"] != terms:
        raise MienError(
            f"expected the terms of {weights} to travel with its weights, got a recipe with others "
            "in backbone.license_terms; set backbone.license_terms to null to take the model's"
        )
    return {
        "restore_batch_norm": folded,
        **said,
        "name": name,
        "arguments": merged,
        "license_terms": terms,
    }


def expected_pixels(weights: str | None, dataset: Preprocessing) -> dict[str, Any]:
    """Of an exported model's preprocessing, what its weights expect of any crops.

    ``mean`` and ``std``, and the order of colors where both have colors; size, margin and
    template are the dataset's.
    """
    if weights is None or not is_model(weights):
        return {}
    preprocessing = _read(weights)[0].preprocessing
    kept = {"mean", "std"}
    if "gray" not in (preprocessing.color, dataset.color):
        kept.add("color")
    return preprocessing.model_dump(include=kept)


def _read(weights: str) -> tuple[ModelInfo | SeverityInfo, bool]:
    path = find_model(weights)
    model = read_onnx(path)
    text = {entry.key: entry.value for entry in model.metadata_props}.get(METADATA_KEY)
    if text is None:
        raise MienError(
            f"expected start weights of a model that mien export wrote, got {weights}, an ONNX "
            "file without mien's metadata"
        )
    return parse_description(text, path), has_folded_norms(model)


def _of_the_function(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key not in _IN_TRAINING_ONLY}


def _refuse(weights: str, key: str, expected: Any, got: Any) -> None:
    raise MienError(
        f"expected backbone.{key} {expected!r}, which {weights} has, got {got!r}; "
        f"leave it out or set it to the model's"
    )
