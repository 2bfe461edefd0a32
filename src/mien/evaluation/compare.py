"""``mien compare``: several runs or models on the same faces, and whether one is better."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mien import __version__
from mien.data.dataset import Dataset
from mien.evaluation.evaluate import (
    check_rule,
    evaluation_of,
    name_of,
    open_model,
    severity_evaluation,
)
from mien.evaluation.severity import task_of
from mien.schema import MienError

if TYPE_CHECKING:
    from mien.reports.comparison import Assessed
    from mien.statistics.arrays import Evaluation


class Source(NamedTuple):
    """A run or model as the user named it.

    Runs with the same ``recipe`` (as text, with the dataset it was trained on) differ in their
    seed only; a model file has neither.
    """

    place: str
    name: str
    seed: int | None
    recipe: str | None


def compare_models(
    models: Sequence[str | Path],
    data: str | Path,
    out: str | Path,
    *,
    split: str = "test",
    rule: str = "majority",
) -> tuple[dict[str, Any], Path]:
    """Compare runs and models on a split of a dataset; (content of compare.json, the page).

    All are held against the first. Runs of one recipe on one dataset that differ in their seed
    count as one entry. Only one model is in memory at a time, and of its embeddings only what the
    page shows is kept. Raises :class:`MienError` for fewer than two models, one named twice, and
    where :func:`mien.evaluation.evaluate.evaluate_model` would.
    """
    # Here, so that the command line starts without what metrics and plots need.
    from mien.reports.comparison import Entry, assess, compare, write_comparison

    check_rule(rule)
    places = [str(model) for model in models]
    _check_distinct(places)
    tasks = {place: task_of(place) for place in places}
    if len(set(tasks.values())) > 1:
        listed = ", ".join(f"{place} of {task}" for place, task in tasks.items())
        raise MienError(f"expected models of one task, got {listed}: compare them apart")
    dataset = Dataset.open(data)
    if "severity" in tasks.values():
        return _compare_severity(places, dataset, data, out, split=split)
    dataset.split_indices(split)
    groups, warnings = _entries([_source(place) for place in places])
    entries: list[Entry] = []
    shared: list[Evaluation] = []
    terms: list[str] = []
    warned: list[tuple[str, Sequence[str]]] = []
    for label, sources in groups:
        members: list[Assessed] = []
        for source in sources:
            evaluation, own_terms = _evaluated(source, dataset, split=split, rule=rule)
            members.append(
                assess(evaluation, source.place, run_seed=source.seed, plane=not members)
            )
            warned.append((source.place, evaluation.warnings))
            terms.append(f"{label}: {own_terms}")
            shared = [replace(evaluation, embeddings=None, crops=None)]
        entries.append(Entry(label, members))
    warnings += _said_once(warned)
    if split == "valid":
        warnings.append(
            "Runs keep the epoch that is best on valid, so their numbers on it are too good; "
            "the split test decides"
        )
    command = ["mien", "compare", *places, "--data", str(data), "--split", split, "--rule", rule]
    provenance = {
        "dataset": name_of(dataset),
        "license_terms": "\n".join([*dict.fromkeys(terms), f"Dataset: {dataset.license_terms}"]),
        "folder": str(data),
        "crops": dataset.preprocessing.hash,
        "command": shlex.join(command),
        "version": f"mien {__version__}",
    }
    rows = replace(shared[0], provenance=provenance, warnings=warnings)
    document = compare(entries, rows)
    return document, write_comparison(entries, document, out)


def _said_once(warned: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Warnings of every model once, those of some with the model before them."""
    shared = [warning for warning in warned[0][1] if all(warning in found for _, found in warned)]
    own = [
        f"{place}: {warning}"
        for place, found in warned
        for warning in found
        if warning not in shared
    ]
    return [*shared, *own]


def _compare_severity(
    places: Sequence[str], dataset: Dataset, data: str | Path, out: str | Path, *, split: str
) -> tuple[dict[str, Any], Path]:
    from mien.reports.severity_comparison import (
        Rated,
        Side,
        compare_severity,
        write_severity_comparison,
    )

    groups, warnings = _entries([_source(place) for place in places])
    sides, terms = [], []
    for label, sources in groups:
        members = []
        for source in sources:
            evaluation = severity_evaluation(source.place, dataset, split=split)
            # What is kept of a model has no embedding.
            own = replace(evaluation.recordings, embeddings=None)
            evaluation = replace(evaluation, recordings=own, validation=None)
            members.append(Rated(source.place, source.seed, evaluation))
            warnings += [f"{source.place}: {warning}" for warning in evaluation.warnings]
            terms.append(f"{label}: trained on {evaluation.provenance['trained_on']}")
        sides.append(Side(label, members))
    command = ["mien", "compare", *places, "--data", str(data), "--split", split]
    document = compare_severity(
        sides,
        provenance={
            "dataset": name_of(dataset),
            "license_terms": "\n".join(
                [*dict.fromkeys(terms), f"Dataset: {dataset.license_terms}"]
            ),
            "folder": str(data),
            "crops": dataset.preprocessing.hash,
            "command": shlex.join(command),
            "version": f"mien {__version__}",
        },
        warnings=warnings,
    )
    return document, write_severity_comparison(document, out)


def _evaluated(
    source: Source, dataset: Dataset, *, split: str, rule: str
) -> tuple[Evaluation, str]:
    """What the model says, and its terms; the model itself is let go."""
    try:
        model = open_model(source.place)
        evaluation = evaluation_of(model, dataset, source.place, split=split, rule=rule)
        return evaluation, model.license_terms
    except MienError as error:
        # Of several models the user has to know which one does not fit.
        which = "" if source.place in str(error) else f"{source.place}: "
        raise MienError(f"{which}{error}") from None


def _check_distinct(places: Sequence[str]) -> None:
    if len(places) < 2:
        raise MienError(
            f"expected at least two runs or models to compare, got {', '.join(places) or 'none'}: "
            "name another one, or measure one with mien evaluate"
        )
    seen: set[Path] = set()
    for place in places:
        # The name of a shipped model is no path, and stays itself.
        resolved = Path(place).resolve()
        if resolved in seen:
            raise MienError(f"expected different runs or models, got {place} twice: name it once")
        seen.add(resolved)


def _source(place: str) -> Source:
    path = Path(place)
    name = path.resolve().name.removesuffix(".onnx")
    if not path.is_dir():
        return Source(place, name, None, None)
    try:
        info = json.loads((path / "model.json").read_text("utf-8"))
        recipe = dict(info["recipe"])
        seed = int(recipe.pop("seed"))
    except (OSError, ValueError, KeyError, TypeError):
        # What is wrong with the folder is said when it is opened.
        return Source(place, name, None, None)
    return Source(place, name, seed, json.dumps([recipe, info.get("dataset")], sort_keys=True))


def _entries(sources: Sequence[Source]) -> tuple[list[tuple[str, list[Source]]], list[str]]:
    """The sides of the comparison in the order in which they were first named."""
    groups: list[list[Source]] = []
    for source in sources:
        own = next((group for group in groups if _belongs(source, group)), None)
        if own is None:
            groups.append([source])
        else:
            own.append(source)
    warnings = []
    if len(groups) == 1:
        groups = [[source] for source in sources]
        warnings.append(
            "These runs differ in nothing but their seed: a difference between them is the seed's"
        )
    labels = [_label(group) for group in groups]
    if len(set(labels)) < len(labels):
        labels = [group[0].place for group in groups]
    return list(zip(labels, groups, strict=True)), warnings


def _belongs(source: Source, group: Sequence[Source]) -> bool:
    return (
        source.recipe is not None
        and source.recipe == group[0].recipe
        and source.seed not in [member.seed for member in group]
    )


def _label(group: Sequence[Source]) -> str:
    if len(group) == 1:
        return group[0].name
    recipe = json.loads(group[0].recipe or "[{}]")[0]
    return str(recipe.get("name", group[0].name))
