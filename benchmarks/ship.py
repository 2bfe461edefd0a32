"""Make the shipped model of a run: export, measure the exported file, write its card, export again.

    python benchmarks/ship.py RUN DATASET

Writes ``src/mien/assets/fer.onnx`` and ``fer.md``. Every figure in the card is read from the report
that ``mien evaluate`` makes of the exported file on the split valid; none is typed in.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from mien.evaluate import evaluate_model
from mien.training.export import export
from mien.training.run import load_run

ASSETS = Path(__file__).parents[1] / "src" / "mien" / "assets"
OPTIONS = {"name": "fer", "int8": True, "mirror": True}


def percent(metric: dict[str, float | None]) -> str:
    """``84.1 (82.9 to 85.3)``, in per cent."""
    if metric["value"] is None:
        return "not defined"
    value = f"{100 * metric['value']:.1f}"
    if metric["low"] is None or metric["high"] is None:
        return value
    return f"{value} ({100 * metric['low']:.1f} to {100 * metric['high']:.1f})"


def card(report: dict, document: dict, run: dict, size: int) -> str:
    """The model card in Markdown."""
    other = report["other_rules"]["ferplus"]
    names = {
        "accuracy": "accuracy",
        "mean_class_accuracy": "mean-class accuracy",
        "macro_f1": "macro-F1",
        "precision_at_1": "precision@1 of the embedding",
        "map_at_r": "MAP@R of the embedding",
    }
    metrics = "\n".join(
        f"| {title} | {percent(report['metrics'][name])} | {percent(other['metrics'][name])} |"
        for name, title in names.items()
    )
    classes = "\n".join(
        f"| {name} | {row['n']} | {percent(row['precision'])} | {percent(row['recall'])} "
        f"| {percent(row['f1'])} |"
        for name, row in report["per_class"].items()
    )
    weak = [
        name
        for name, row in report["per_class"].items()
        if row["recall"]["value"] is not None and row["recall"]["value"] < 0.6
    ]
    recipe = run["recipe"]
    return f"""# Model card: fer

Reads one of eight expressions ({", ".join(report["label_space"]["names"])}) from a face. Research use.

| | |
|---|---|
| made | {document["created"]}, {document["created_with"]}, `benchmarks/ship.py` |
| network | {recipe["backbone"]["name"]}, {document["preprocessing"]["size"]} x {document["preprocessing"]["size"]} pixels, grey; the face and its mirror image are averaged |
| file | {size / 1e6:.2f} MB; {document["weights"]}; differs from the network by at most {document["parity"]["largest_difference"]:.3f} in probability on {document["parity"]["images"]} images of noise |
| recipe | `mien train fer`, {recipe["schedule"]["epochs"]} epochs, seed {recipe["seed"]}; epoch {run["epoch"]} was kept, the best of {recipe["schedule"]["epochs"]} on the split valid |
| calibration | one temperature, {run["calibration"]["temperature"]:.3f}, fitted on the split valid |

## Data and terms

- Training: the FER+ faces of the split train whose top vote is an expression; the targets are their
  vote distributions.
- {run["terms"]["data"]}
- Start weights: {run["terms"]["start_weights"]}
- The weights of this model therefore carry research-only terms, whatever mien's own licence says.

## How well it does

On FER+'s split valid, against the majority vote, in per cent with 95 % bootstrap intervals over faces
(FER+ names no subjects). The epoch and the temperature were chosen on this same split, so the figures
are somewhat optimistic; no test split was looked at.

| | every top vote that is an expression, {report["n"]} faces | FER+'s own rule, {other["n"]} faces |
|---|---|---|
{metrics}

The rules: in the first, the expression with most votes counts where it has more votes than "unknown"
and "not a face" together. In the second, single votes are dropped and more than half of the rest must
agree on an expression.

| class | faces | precision | recall | F1 |
|---|---|---|---|---|
{classes}

Expected calibration error {percent(report["metrics"]["ece"])} per cent.

## Limits

- It finds fewer than 60 per cent of {", ".join(weak) or "no class"}: {"these are" if len(weak) > 1 else "this is"} rare in the training data, and so are the intervals wide.
- Faces of the training data were found on the web by searching for words of emotion, in grey, 48 x 48
  pixels. Posed, frontal, adult faces are over-represented. Nobody recorded age, sex or skin tone, so how
  errors differ between groups of people is unknown.
- FER2013 holds duplicates within and across its splits, drawings and wrong labels; the valid split was
  used as published.
- The labels are ten strangers' guesses at a picture, not what the person felt.
- Small faces (under 24 pixels) and turned heads (over 60 degrees) get the status `abstained`.

## Intended use

Research, teaching, and trying mien on one's own photos. Not for decisions about people: not for hiring,
schooling, policing, credit, insurance or health. Inferring emotions at work and in education is
prohibited in the European Union (AI Act, article 5).
"""


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    run_folder, dataset = map(Path, sys.argv[1:])
    model = ASSETS / "fer.onnx"
    ASSETS.mkdir(exist_ok=True)
    run = load_run(run_folder)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "fer.onnx"
        document = export(run, draft, **OPTIONS)
        report, _ = evaluate_model(draft, dataset, Path(folder) / "report", split="valid")
        size = draft.stat().st_size
    made = json.loads((run_folder / "model.json").read_text("utf-8"))
    text = card(report, document, made, size)
    (ASSETS / "fer.md").write_text(text, encoding="utf-8")
    export(run, model, card=text, **OPTIONS)
    print(text)
    print(f"{model}: {model.stat().st_size / 1e6:.2f} MB, {datetime.now(UTC).date()}")


if __name__ == "__main__":
    main()
