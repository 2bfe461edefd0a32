"""Make the shipped reader of a run: export, measure the file, write its card, export again.

    python benchmarks/ship_reader.py RUN DATA [NAME]

DATA is that of ``benchmarks/reader.py``. Writes ``NAME.onnx`` and ``NAME.md`` (``reader``) into
``src/mien/assets``. Every figure of the card is measured on the exported file; none is typed in.
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
from mien.training.run import Run, load_run
from reader import affect_lines, expression_table, unit_table
from ship import percent

ASSETS = Path(__file__).parents[1] / "src" / "mien" / "assets"
CARD = Path(__file__).with_name("reader_card.md")


def card(run: Run, file: Path, document: dict[str, Any], data: Path, name: str) -> str:
    """The model card in Markdown of an exported ``file``, measured on the sets in ``data``."""
    size = document["preprocessing"]["size"]
    report, _ = evaluate_model(
        file, data / f"ferplus-aligned{size}", file.parent / "report", split="valid"
    )
    entry = report["heads"]["expression"]
    recipe, models = run.document["recipe"], [str(file)]
    recalls = {label: row["recall"]["value"] for label, row in entry["per_class"].items()}
    return Template(CARD.read_text("utf-8")).substitute(
        name=name,
        classes=", ".join(entry["label_space"]["names"]),
        created=document["created"],
        created_with=document["created_with"],
        backbone=recipe["backbone"]["name"],
        size=size,
        mirror="; a face and its mirror image are averaged" if document["mirror"] else "",
        megabytes=f"{file.stat().st_size / 1e6:.2f}",
        weights=document["weights"],
        difference=f"{document['parity']['largest_difference']:.3f}",
        parity_inputs=document["parity"]["inputs"],
        epochs=recipe["schedule"]["epochs"],
        seed=recipe["seed"],
        temperature=f"{run.document['heads']['expression']['calibration']['temperature']:.3f}",
        data_license_terms=run.document["license_sources"]["data"],
        weights_license_terms=run.document["license_sources"]["start_weights"],
        commercial_use=Ledger(tuple(map(License.model_validate, document["licenses"]))),
        expressions="\n".join(expression_table(data, models)),
        affect="\n".join(affect_lines(data, models)),
        units="\n".join(unit_table(data, models)),
        per_class="\n".join(
            f"| {label} | {row['n']} | {percent(row['precision'])} | {percent(row['recall'])} "
            f"| {percent(row['f1'])} |"
            for label, row in entry["per_class"].items()
        ),
        weak=", ".join(label for label, recall in recalls.items() if (recall or 0) < 0.6) or "none",
    )


def main() -> None:
    """Export, measure, write the card and export with it."""
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    run_folder, data, name = *map(Path, sys.argv[1:3]), (*sys.argv[3:], "reader")[0]
    run = load_run(run_folder)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{name}.onnx"
        document = export(run, draft, name=name, packed=True)
        text = card(run, draft, document, data, name)
    (ASSETS / f"{name}.md").write_text(text, encoding="utf-8")
    export(run, ASSETS / f"{name}.onnx", name=name, packed=True, card=text)
    print(text)


if __name__ == "__main__":
    main()
