"""``mien models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import Json

if TYPE_CHECKING:
    from mien.licenses import Ledger
    from mien.models import ModelInfo


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE|RUN", help="Describe this model.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the models that come with mien, or describe one."""
    from mien.cli.printing import print_json
    from mien.models import read_info, shipped_models

    if name:
        info = read_info(name)
        if as_json:
            print_json(_document(info))
        else:
            _print_model(info)
        return
    shipped = {each: (file, read_info(each)) for each, file in shipped_models().items()}
    if as_json:
        print_json({each: _document(info) for each, (_, info) in shipped.items()})
        return
    for each, (file, info) in shipped.items():
        print(f"{each}  ({_megabytes(file)}; {', '.join(info.heads)})\n  {info.license_terms}")
        print(f"  commercial use: {info.ledger}\n")
    if not shipped:
        print("this installation comes without models; `mien export` makes one from a run")


def _print_model(info: ModelInfo) -> None:
    print(info.name)
    for name, head in info.heads.items():
        print(f"  head {name}")
        for key, value in head.model_dump(mode="json").items():
            print(f"    {key}: {_shown(value)}")
        if answers := getattr(head, "answers", ""):
            print(f"    {answers}")
    print("  preprocessing")
    for key, value in info.preprocessing.model_dump(mode="json").items():
        print(f"    {key}: {_shown(value)}")
    if info.clips is not None:
        print(f"  clips: {_shown(info.clips.model_dump(mode='json'))}")
    print(f"  license terms: {info.license_terms}")
    _print_ledger(info.ledger)
    if info.card:
        print(f"\n{info.card.strip()}")


def _document(info: ModelInfo) -> dict[str, Any]:
    return info.model_dump(mode="json") | {"license": info.ledger.document()}


def _print_ledger(ledger: Ledger) -> None:
    """Whether the model may be used commercially, and every work behind the answer."""
    print(f"  may it be used commercially? {ledger}")
    for entry in ledger.entries:
        version = f" {entry.version}" if entry.version else ""
        print(f"    {entry.commercial_use:7}  {entry.kind}{version}: {entry}")
        stated_by = entry.stated_by or "nobody known"
        print(f"             attribution {entry.attribution}; stated by {stated_by}")


def _shown(value: object) -> str:
    """Nested values on one line, as people write them."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"
