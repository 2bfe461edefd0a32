"""``mien compare``: several runs or models on the same rows, and whether one is better."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mien import __version__
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.evaluation.evaluate import check_rule, check_rule_counts
from mien.evaluation.models import check_distinct, open_model
from mien.models import ModelInfo, read_info

if TYPE_CHECKING:
    from mien.reports.evaluation import Evaluation


class Source(NamedTuple):
    """A run or model as the user named it.

    Runs with the same ``recipe`` (as text, with the dataset it was trained on) differ in their
    seed only; a model file has neither.
    """

    path: str
    name: str
    info: ModelInfo
    seed: int | None
    recipe: str | None


def compare(
    models: Sequence[str | Path],
    data: str | Path,
    out: str | Path,
    *,
    split: str = "test",
    rule: str = "majority",
) -> tuple[dict[str, Any], Path]:
    """Compare runs and models on a split of a dataset; (content of compare.json, the page).

    All are held against the first, in the heads that all of them have. Runs of one recipe on one
    dataset that differ in their seed count as one entry. Only one model is in memory at a time,
    and of its embeddings only what the page shows is kept. Raises :class:`MienError` for fewer
    than two models, one named twice, models without a head in common, and where
    :func:`mien.evaluation.evaluate.evaluate` would.
    """
    # Here, so that the command line starts without what metrics and plots need.
    from mien.evaluation.predictions import name_of
    from mien.reports.comparison import Context, Entry, Member, measure, write_comparison
    from mien.reports.comparison import compare as compare_entries

    check_rule(rule)
    paths = [str(model) for model in models]
    _check_distinct(paths)
    sources = [_source(path) for path in paths]
    heads, warnings = _shared_heads(sources)
    dataset = Dataset.open(data)
    dataset.split_indices(split)
    # Of heads that only some have nothing is compared.
    shared = [source.info for source in sources if "expression" in heads]
    check_rule_counts(rule, shared, [dataset])
    groups, notes = _entries(sources)
    warnings = [*notes, *warnings]
    entries: list[Entry] = []
    license_terms: list[str] = []
    warned: list[tuple[str, Sequence[str]]] = []
    left_out: dict[str, int] = {}
    for label, members in groups:
        measured: list[Member] = []
        for source in members:
            evaluation = _evaluated(source, dataset, heads, split=split, rule=rule)
            plane = not measured
            measured.append(measure(evaluation, source.path, run_seed=source.seed, plane=plane))
            warned.append((source.path, evaluation.warnings))
            license_terms.append(
                f"{label}: {source.info.license_terms} Commercial use: {source.info.ledger}."
            )
            left_out = dict(evaluation.left_out)
        entries.append(Entry(label, measured))
    warnings += _once(warned)
    if split == "valid":
        warnings += _on_valid(sources)
    command = ["mien", "compare", *paths, "--data", str(data), "--split", split]
    command += ["--rule", rule] if "expression" in heads else []
    provenance = {
        "dataset": name_of(dataset),
        "license_terms": "\n".join(
            [*dict.fromkeys(license_terms), f"Dataset: {dataset.license_terms}"]
        ),
        "folder": str(data),
        "crops": dataset.preprocessing.hash,
        "command": shlex.join(command),
        "version": f"mien {__version__}",
    }
    context = Context(provenance=provenance, left_out=left_out, warnings=warnings)
    document = compare_entries(entries, context)
    return document, write_comparison(entries, document, out)


def _shared_heads(sources: Sequence[Source]) -> tuple[list[str], list[str]]:
    """The heads that all models have, and a sentence for each of the others."""
    infos = {source.path: source.info for source in sources}
    offered = list(dict.fromkeys(name for info in infos.values() for name in info.heads))
    shared = [name for name in offered if all(name in info.heads for info in infos.values())]
    listed = "; ".join(f"{path} has {', '.join(info.heads)}" for path, info in infos.items())
    if not shared:
        raise MienError(f"expected models with a head in common, got {listed}: compare them apart")
    if len({info.clips is None for info in infos.values()}) > 1:
        inputs = ("single faces", "clips")
        listed = "; ".join(
            f"{path} reads {inputs[info.clips is not None]}" for path, info in infos.items()
        )
        raise MienError(
            f"expected models that all read faces or all read clips, got {listed}: compare them "
            "apart"
        )
    sentences = []
    for name in offered:
        without = [path for path, info in infos.items() if name not in info.heads]
        if without:
            lack = "lack" if len(without) > 1 else "lacks"
            sentences.append(f"The head {name} is not compared: {', '.join(without)} {lack} it")
    return shared, sentences


def _on_valid(sources: Sequence[Source]) -> list[str]:
    """What to know of numbers on the split valid: whose epoch was chosen there, and calibration."""
    best = [source.path for source in sources if source.info.keeps_best]
    if not best:
        return [
            "Models are calibrated on valid, so what depends on temperatures and thresholds is too "
            "good on it; the split test decides"
        ]
    whose = "Runs" if len(best) == len(sources) else ", ".join(best)
    keep = "keeps" if len(best) == 1 and whose != "Runs" else "keep"
    return [
        f"{whose} {keep} the epoch that is best on valid, so numbers on it are too good; the split "
        "test decides"
    ]


def _once(warned: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Warnings of every model once, those of some with the model before them."""
    shared = [text for text in warned[0][1] if all(text in texts for _, texts in warned)]
    of_some = [f"{path}: {text}" for path, texts in warned for text in texts if text not in shared]
    return [*shared, *of_some]


def _evaluated(
    source: Source, dataset: Dataset, heads: Sequence[str], *, split: str, rule: str
) -> Evaluation:
    """The predictions of a model; the model itself is let go."""
    from mien.evaluation.predictions import evaluation_of

    try:
        model = open_model(source.path)
        return evaluation_of(model, dataset, source.path, split=split, rule=rule, heads=heads)
    except MienError as error:
        # Of several models the user has to know which one does not fit.
        which = "" if source.path in str(error) else f"{source.path}: "
        raise MienError(f"{which}{error}") from None


def _check_distinct(paths: Sequence[str]) -> None:
    if len(paths) < 2:
        raise MienError(
            f"expected at least two runs or models to compare, got {', '.join(paths) or 'none'}: "
            "name another one, or measure one with mien evaluate"
        )
    check_distinct(paths, "runs or models")


def _source(path: str) -> Source:
    info = read_info(path)
    name = Path(path).resolve().name.removesuffix(".onnx")
    recipe = dict(info.recipe)
    if not Path(path).is_dir() or "seed" not in recipe:
        return Source(path, name, info, None, None)
    seed = int(recipe.pop("seed"))
    return Source(path, name, info, seed, json.dumps([recipe, info.trained_on], sort_keys=True))


def _entries(sources: Sequence[Source]) -> tuple[list[tuple[str, list[Source]]], list[str]]:
    """The sides of the comparison in the order in which they were first named."""
    groups: list[list[Source]] = []
    for source in sources:
        group = next((group for group in groups if _belongs(source, group)), None)
        if group is None:
            groups.append([source])
        else:
            group.append(source)
    warnings = []
    if len(groups) == 1:
        groups = [[source] for source in sources]
        warnings.append(
            "These runs differ in nothing but their seed: a difference between them is the seed's"
        )
    labels = [_label(group) for group in groups]
    if len(set(labels)) < len(labels):
        labels = [group[0].path for group in groups]
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
