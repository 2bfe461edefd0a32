"""``mien corpora``."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.options import Json


def corpora(
    name: Annotated[
        str | None, typer.Argument(help="Show this corpus: its files, where to ask, its terms.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the corpora that `mien prepare` reads, or show one."""
    from mien.cli.printing import print_json
    from mien.corpora import CORPORA, corpus_of
    from mien.corpora.protocols import PROTOCOLS
    from mien.licenses import Ledger

    shown = [corpus_of(name)] if name else list(CORPORA.values())
    if as_json:
        keys = ("description", "layout", "license_terms", "ask")
        print_json(
            {
                corpus.name: {key: getattr(corpus, key) for key in keys}
                | {"license": Ledger(corpus.licenses).document(), "cite": corpus.about.citation}
                for corpus in shown
            }
        )
        return
    if name is None:
        width = max(map(len, CORPORA))
        for corpus in shown:
            print(f"{corpus.name:{width}}  {corpus.description}")
        print("\nmien corpora NAME shows the files that a corpus consists of, and its terms")
        return
    corpus = shown[0]
    layout = corpus.layout if corpus.layout.startswith("  ") else f"  {corpus.layout}"
    print(f"{corpus.name}: {corpus.description}\n\nFiles:\n{layout}\n")
    if corpus.ask:
        print(f"Where to ask for it: {corpus.ask}")
    print(f"Terms: {corpus.license_terms}")
    print(f"Commercial use: {Ledger(corpus.licenses)}")
    if corpus.about.citation:
        print(f"Cite: {corpus.about.citation}")
    for protocol in PROTOCOLS.values():
        if protocol.corpus == corpus.name:
            print(f"Protocol {protocol.name}: {protocol.description}")
