"""``mien corpora``."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.options import Json


def corpora(
    name: Annotated[str | None, typer.Argument(help="Show only this corpus.")] = None,
    as_json: Json = False,
) -> None:
    """List the corpora that `mien prepare` reads, and their layouts."""
    from mien.cli.printing import print_json
    from mien.corpora import CORPORA, corpus_of

    shown = [corpus_of(name)] if name else list(CORPORA.values())
    if as_json:
        keys = ("description", "layout", "license_terms")
        print_json({corpus.name: {key: getattr(corpus, key) for key in keys} for corpus in shown})
        return
    print(
        "\n\n".join(
            f"{corpus.name}: {corpus.description}\n{corpus.layout}\nTerms: {corpus.license_terms}"
            for corpus in shown
        )
    )
