"""Make the shipped model of a run: export, measure the exported file, write its card, export again.

    python benchmarks/ship.py RUN DATASET

Writes ``src/mien/assets/fer.onnx`` and ``fer.md``. Every figure in the card is read from the report
that ``mien evaluate`` makes of the exported file on the split valid; none is typed in.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from string import Template
from typing import Any

from mien.evaluation.evaluate import evaluate as evaluate_model
from mien.licenses import Ledger, License
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


def card(entry: dict[str, Any], document: dict[str, Any], run: dict[str, Any], size: int) -> str:
    """The model card in Markdown.

    ``entry`` is that of expression in the report, ``document`` the metadata of the exported file,
    ``run`` the description of the run.
    """
    other, recipe = entry["other_rules"]["ferplus"], run["recipe"]
    calibration = run["heads"]["expression"]["calibration"]
    recalls = {name: row["recall"]["value"] for name, row in entry["per_class"].items()}
    return Template(CARD.read_text("utf-8")).substitute(
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


def main() -> None:
    """Export, measure, write the card and export with it."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    run_folder, dataset = map(Path, sys.argv[1:])
    ASSETS.mkdir(exist_ok=True)
    run = load_run(run_folder)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "fer.onnx"
        document = export(run, draft, name="fer", int8=True, mirror=True)
        report, _ = evaluate_model(draft, dataset, Path(folder) / "report", split="valid")
        text = card(report["heads"]["expression"], document, run.document, draft.stat().st_size)
    (ASSETS / "fer.md").write_text(text, encoding="utf-8")
    export(run, ASSETS / "fer.onnx", name="fer", int8=True, mirror=True, card=text)
    print(text)


if __name__ == "__main__":
    main()
