"""Start weights from an exported model: what its metadata say, a recipe need not repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.errors import MienError
from mien.licenses import documents, through
from mien.models import METADATA_KEY, ModelInfo, find_model, is_model, parse_info
from mien.networks.exported import has_folded_norms, read_onnx
from mien.schema import Preprocessing

_IN_TRAINING_ONLY = {"drop_rate", "drop_path_rate"}  # they change no prediction


def describe_backbone(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's ``backbone`` with what the model named by ``weights`` says of its own.

    ``name``, ``arguments``, ``license_terms`` and ``licenses`` are the model's;
    ``restore_batch_norm`` is true for one whose norms were folded away, unless the recipe says
    otherwise. Other weights leave ``backbone`` as it is. Raises :class:`MienError` for a recipe
    that contradicts the model.
    """
    weights = backbone.get("weights")
    if not isinstance(weights, str) or not is_model(weights):
        return dict(backbone)
    info, folded = _read(weights)
    known = info.recipe.get("backbone")
    if not isinstance(known, Mapping) or not isinstance(known.get("name"), str):
        raise MienError(
            f"expected the architecture of the backbone in the metadata of {weights}, which names "
            "no backbone; export it again, or start from its run's model.safetensors"
        )
    name, arguments = known["name"], known.get("arguments", {})
    if not isinstance(arguments, Mapping):
        raise MienError(
            f"expected the backbone's arguments by name in the metadata of {weights}, got "
            f"{type(arguments).__name__}; export it again"
        )
    if backbone.get("name", name) != name:
        _refuse(weights, "name", name, backbone["name"])
    changes = backbone.get("arguments") or {}
    if not isinstance(changes, Mapping):
        return dict(backbone)
    merged = {**arguments, **changes}
    if _of_the_function(merged) != _of_the_function(arguments):
        _refuse(weights, "arguments", arguments, changes)
    license_terms = backbone.get("license_terms") or ""
    if info.license_terms:
        license_terms = f"the model {info.name}, with these terms: {info.license_terms}"
    if backbone.get("license_terms") and backbone["license_terms"] != license_terms:
        raise MienError(
            f"expected the terms of {weights} to travel with its weights, got a recipe with others "
            "in backbone.license_terms; set backbone.license_terms to null to take the model's"
        )
    return {
        "restore_batch_norm": folded,
        **backbone,
        "name": name,
        "arguments": merged,
        "license_terms": license_terms,
        "licenses": documents(through(info.name, info.ledger.entries)),
    }


def expected_pixels(weights: str | None, dataset: Preprocessing) -> dict[str, Any]:
    """Of an exported model's preprocessing, what its weights expect of any crops.

    ``mean`` and ``std``, and the order of colors where both have colors; size, margin and
    template are the dataset's.
    """
    if weights is None or not is_model(weights):
        return {}
    preprocessing = _read(weights)[0].preprocessing
    settings = {"mean", "std"}
    if "gray" not in (preprocessing.color, dataset.color):
        settings.add("color")
    return preprocessing.model_dump(include=settings)


def _read(weights: str) -> tuple[ModelInfo, bool]:
    path = find_model(weights)
    model = read_onnx(path)
    text = {entry.key: entry.value for entry in model.metadata_props}.get(METADATA_KEY)
    if text is None:
        raise MienError(
            f"expected start weights of a model that mien export wrote, got {weights}, an ONNX "
            "file without mien's metadata"
        )
    return parse_info(text, path), has_folded_norms(model)


def _of_the_function(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key not in _IN_TRAINING_ONLY}


def _refuse(weights: str, key: str, expected: Any, got: Any) -> None:
    raise MienError(
        f"expected backbone.{key} {expected!r}, which {weights} has, got {got!r}; "
        f"leave it out or set it to the model's"
    )
