"""The corpora that can be prepared, by name; one reader a corpus."""

from __future__ import annotations

from mien.corpora import avec, daic, diffusionfer, ferplus, folder, recordings
from mien.corpora.items import Corpus
from mien.schema import MienError

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        ferplus.CORPUS,
        diffusionfer.CORPUS,
        folder.CORPUS,
        avec.AVEC2013,
        avec.AVEC2014,
        daic.CORPUS,
        recordings.CORPUS,
    )
}


def corpus_of(name: str) -> Corpus:
    """The corpus of a name; raises :class:`MienError` that lists the names."""
    if name not in CORPORA:
        raise MienError(
            f"expected a corpus ({', '.join(CORPORA)}), got {name!r}: name one of them, or "
            f"'folder' for images of your own"
        )
    return CORPORA[name]


def describe() -> str:
    """Every corpus with the layout that its reader expects, as text."""
    return "\n\n".join(
        f"{corpus.name}: {corpus.description}\n{corpus.layout}\nTerms: {corpus.license_terms}"
        for corpus in CORPORA.values()
    )
