"""The license ledger of a run: its training data, and what its start weights rest on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.corpora import CORPORA, licenses_of
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.licenses import License, merged, through, unclear
from mien.models import RUN_FILE, read_info
from mien.recipes import list_recipes
from mien.training.recipe import Recipe, load_recipe
from mien.training.recorder import WEIGHTS

_CHECKSUM = 12
"""How many letters of a checksum stand for a version."""


def licenses_of_run(recipe: Recipe, dataset: Dataset) -> tuple[License, ...]:
    """What a model that ``recipe`` makes of ``dataset`` rests on, each work once.

    Raises :class:`~mien.errors.MienError` for more than 200 works.
    """
    checksum = str(dataset.info.get("checksum", ""))[:_CHECKSUM]
    data = (
        entry if entry.version else entry.model_copy(update={"version": checksum})
        for entry in licenses_of(dataset)
    )
    return merged([data, _start_weights(recipe)])


def licenses_of_older_run(document: Mapping[str, Any]) -> tuple[License, ...]:
    """The ledger of a run without one, by its ``model.json``; unclear where nothing fits.

    Its data are known where it states the license terms of a corpus, word for word, and its start
    weights where it states those of the recipe that it was trained by.
    """
    sources = document.get("license_sources")
    sources = sources if isinstance(sources, Mapping) else {}
    data, weights = (str(sources.get(key) or "") for key in ("data", "start_weights"))
    name = str((document.get("trained_on") or {}).get("corpus") or "training data")
    corpus = CORPORA.get(name)
    known = corpus is not None and data == corpus.license_terms
    entries = [corpus.licenses if corpus and known else (_stated("data", name, data),)]
    if weights:
        entries.append(_of_recipe(str(document.get("name")), weights))
    return merged(entries)


def _start_weights(recipe: Recipe) -> tuple[License, ...]:
    backbone = recipe.backbone
    if backbone.weights is None:
        return ()
    path = Path(backbone.weights)
    if behind := _of_a_run(path):
        return merged([behind, backbone.licenses])
    if backbone.licenses:
        return backbone.licenses
    name = f"{backbone.name} of timm's hub" if backbone.weights == "hub" else path.name
    entry = _stated("weights", name, backbone.license_terms)
    if path.is_file():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:_CHECKSUM]
        entry = entry.model_copy(update={"version": digest})
    return (entry,)


def _of_a_run(weights: Path) -> tuple[License, ...]:
    """What the weights of a run rest on, whatever a recipe states of them."""
    if weights.name != WEIGHTS or not weights.with_name(RUN_FILE).is_file():
        return ()
    try:
        info = read_info(weights.parent)
    except MienError:
        return ()
    return through(info.name, info.ledger.entries)


def _of_recipe(name: str, license_terms: str) -> tuple[License, ...]:
    if name in list_recipes():
        try:
            backbone = load_recipe(name).backbone
        except MienError:
            return (_stated("weights", "start weights", license_terms),)
        if backbone.licenses and backbone.license_terms == license_terms:
            return backbone.licenses
    return (_stated("weights", "start weights", license_terms),)


def _stated(kind: Any, name: str, license_terms: str) -> License:
    return unclear(kind, name, license_terms, stated_by="the license terms of the recipe or run")
