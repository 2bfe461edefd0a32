"""Make the shipped model of a run: export, measure the exported file, write its card, export again.

    python benchmarks/ship.py RUN DATASET
    python benchmarks/ship.py --abstention NAME DATASET    # of a shipped model, without its run

Writes ``src/mien/assets/fer.onnx`` and ``fer.md``. Every figure in the card is read from the report
that ``mien evaluate`` makes of the exported file on the split valid; none is typed in. The second
form chooses the confidence below which the shipped model abstains, and changes nothing but that and
the parts of the card that are about it and about the law.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.abstention import (
    Labeled,
    choose_abstention,
    predict_labeled,
    store_abstention,
)
from mien.evaluation.evaluate import evaluate as evaluate_model
from mien.heads.expression import ExpressionInfo
from mien.licenses import Ledger, License
from mien.metrics.classification import weighted_means
from mien.statistics.bootstrap import bootstrap_intervals
from mien.training.export import export
from mien.training.run import load_run

ASSETS = Path(__file__).parents[1] / "src" / "mien" / "assets"
CARD = Path(__file__).with_name("card.md")
METRICS = {
    "accuracy": "accuracy",
    "mean_class_accuracy": "mean-class accuracy",
    "macro_f1": "macro-F1",
    "precision_at_1": "precision@1 of the embedding",
    "map_at_r": "MAP@R of the embedding",
}


def percent(metric: dict[str, Any]) -> str:
    """``84.1 (82.9 to 85.3)``, in percent."""
    if metric["value"] is None:
        return "not defined"
    value = f"{100 * metric['value']:.1f}"
    if metric["low"] is None:
        return value
    return f"{value} ({100 * metric['low']:.1f} to {100 * metric['high']:.1f})"


class Answers(NamedTuple):
    """What a model says of N labeled faces: classes ``(N,)``, whether it answers, names."""

    targets: NDArray[Any]
    preds: NDArray[Any]
    answered: NDArray[np.bool_]
    names: tuple[str, ...]


def answers_of(labeled: Labeled, info: ExpressionInfo) -> Answers:
    """What a model answers on labeled faces, with the threshold of ``info``."""
    answered = labeled.shares.max(1) >= (info.abstain_below or 0.0)
    names = info.label_space.names
    return Answers(labeled.targets, labeled.shares.argmax(1), answered, names)


def abstention_table(answers: Answers) -> str:
    """By class: how many of its faces are answered, and how often an answer that says so is right.

    Intervals of 95 % are bootstrapped over faces.
    """
    right = answers.preds == answers.targets

    def cells(rows: NDArray[np.bool_], saying: NDArray[np.bool_]) -> str:
        shares = []
        for picked, values in ((rows, answers.answered), (saying & answers.answered, right)):
            if not picked.any():
                shares.append("none")
                continue
            part = values[picked].astype(float)
            drawn = bootstrap_intervals(
                lambda weights, part=part: {"share": weighted_means(weights, part)}, part.size
            )
            shares.append(percent(drawn["share"].as_dict()))
        return f"{int(rows.sum())} | {' | '.join(shares)}"

    every = np.ones(len(right), bool)
    lines = [f"| all | {cells(every, every)} |"]
    lines += [
        f"| {name} | {cells(answers.targets == index, answers.preds == index)} |"
        for index, name in enumerate(answers.names)
    ]
    return "\n".join(lines)


def section(name: str, **figures: Any) -> str:
    """A section of the template of the card, such as ``Intended use``, filled."""
    text = CARD.read_text("utf-8")
    found = re.search(rf"^## {re.escape(name)}\n.*?(?=^## |\Z)", text, re.M | re.S)
    if found is None:
        raise SystemExit(f"expected a section {name!r} in {CARD.name}, got none")
    return Template(found[0]).substitute(figures)


def with_section(text: str, new: str, *, before: str | None = None) -> str:
    """A card with a section replaced, in front of the section ``before`` or at the end."""
    title = new.splitlines()[0]
    text = re.sub(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", "", text, flags=re.M | re.S)
    if before is None:
        return f"{text.rstrip()}\n\n{new}"
    return text.replace(f"{before}\n", f"{new}{before}\n", 1)


def abstention_figures(answers: Answers, info: ExpressionInfo) -> dict[str, str]:
    """What the section on abstention is filled with."""
    return {"answers": info.answers, "answered": abstention_table(answers)}


def card(
    entry: dict[str, Any],
    document: dict[str, Any],
    run: dict[str, Any],
    size: int,
    abstention: dict[str, str],
) -> str:
    """The model card in Markdown.

    ``entry`` is that of expression in the report, ``document`` the metadata of the exported file,
    ``run`` the description of the run, ``abstention`` what :func:`abstention_figures` gave.
    """
    other, recipe = entry["other_rules"]["ferplus"], run["recipe"]
    calibration = run["heads"]["expression"]["calibration"]
    recalls = {name: row["recall"]["value"] for name, row in entry["per_class"].items()}
    return Template(CARD.read_text("utf-8")).substitute(
        abstention,
        classes=", ".join(entry["label_space"]["names"]),
        created=document["created"],
        created_with=document["created_with"],
        backbone=recipe["backbone"]["name"],
        size=document["preprocessing"]["size"],
        megabytes=f"{size / 1e6:.2f}",
        weights=document["weights"],
        difference=f"{document['parity']['largest_difference']:.3f}",
        parity_inputs=document["parity"]["inputs"],
        epochs=recipe["schedule"]["epochs"],
        seed=recipe["seed"],
        epoch=run["epoch"],
        temperature=f"{calibration['temperature']:.3f}",
        data_license_terms=run["license_sources"]["data"],
        weights_license_terms=run["license_sources"]["start_weights"],
        commercial_use=Ledger(tuple(map(License.model_validate, document["licenses"]))),
        n=f"{entry['n']:,}",
        n_other=f"{other['n']:,}",
        metrics="\n".join(
            f"| {title} | {percent(entry['metrics'][name])} | {percent(other['metrics'][name])} |"
            for name, title in METRICS.items()
        ),
        per_class="\n".join(
            f"| {name} | {row['n']} | {percent(row['precision'])} | {percent(row['recall'])} "
            f"| {percent(row['f1'])} |"
            for name, row in entry["per_class"].items()
        ),
        ece=percent(entry["metrics"]["ece"]),
        weak=", ".join(name for name, recall in recalls.items() if (recall or 0) < 0.6) or "none",
    )


def ship(run_folder: Path, dataset: Path) -> str:
    """Export, measure, write the card and export with it; the card."""
    ASSETS.mkdir(exist_ok=True)
    run = load_run(run_folder)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "fer.onnx"
        document = export(run, draft, name="fer", packed=True, mirror=True)
        labeled = predict_labeled(draft, dataset)
        info = choose_abstention(labeled)
        figures = abstention_figures(answers_of(labeled, info), info)
        report, _ = evaluate_model(draft, dataset, Path(folder) / "report", split="valid")
        entry = report["heads"]["expression"]
        text = card(entry, document, run.document, draft.stat().st_size, figures)
    (ASSETS / "fer.md").write_text(text, encoding="utf-8")
    export(run, ASSETS / "fer.onnx", name="fer", packed=True, mirror=True, card=text)
    store_abstention(ASSETS / "fer.onnx", info)
    return text


def add_abstention(name: str, dataset: Path) -> str:
    """Choose and store the threshold of a shipped file; the card, brought up to date."""
    file, page = ASSETS / f"{name}.onnx", ASSETS / f"{name}.md"
    labeled = predict_labeled(file, dataset)
    info = choose_abstention(labeled)
    figures = abstention_figures(answers_of(labeled, info), info)
    text = page.read_text("utf-8")
    text = with_section(text, section("When it is not sure", **figures), before="## Limits")
    text = with_section(text, section("Intended use"))
    page.write_text(text, encoding="utf-8")
    store_abstention(file, info, card=text)
    return text


def main() -> None:
    """Ship a run, or choose when the shipped model abstains."""
    match sys.argv[1:]:
        case ["--abstention", name, dataset]:
            print(add_abstention(name, Path(dataset)))
        case [run, dataset] if run != "--abstention":
            print(ship(Path(run), Path(dataset)))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
