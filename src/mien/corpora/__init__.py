"""The corpora that can be prepared, by name, with one reader for each."""

from __future__ import annotations

from mien.corpora import avec, daic, diffusionfer, ferplus, folder, recordings
from mien.corpora.items import Corpus
from mien.errors import MienError, did_you_mean

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
    """Return the corpus called ``name``; :class:`MienError` lists the names for an unknown one."""
    if name not in CORPORA:
        raise MienError(
            f"expected a corpus ({', '.join(CORPORA)}), got {name!r}: name one of them, or "
            f"'folder' for images of your own{did_you_mean(name, CORPORA)}"
        )
    return CORPORA[name]
