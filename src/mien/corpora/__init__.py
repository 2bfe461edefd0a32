"""The corpora that can be prepared, by name, with one reader for each."""

from __future__ import annotations

from mien.corpora import folder
from mien.corpora.depression import avec, daic, recordings
from mien.corpora.dimensional import afewva, affectnet, affwild2
from mien.corpora.dynamic import ckplus, clips, mmi, oulu
from mien.corpora.expressions import (
    diffusionfer,
    expw,
    fer2013,
    ferplus,
    jaffe,
    kdef,
    rafdb,
    sfew,
)
from mien.corpora.items import Corpus
from mien.corpora.units import bp4d, disfa
from mien.errors import MienError, did_you_mean

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        ferplus.CORPUS,
        fer2013.CORPUS,
        rafdb.CORPUS,
        rafdb.COMPOUND_CORPUS,
        affectnet.CORPUS,
        sfew.CORPUS,
        expw.CORPUS,
        jaffe.CORPUS,
        kdef.CORPUS,
        ckplus.CORPUS,
        oulu.CORPUS,
        mmi.CORPUS,
        diffusionfer.CORPUS,
        affwild2.CORPUS,
        afewva.CORPUS,
        disfa.CORPUS,
        bp4d.CORPUS,
        clips.DFEW,
        clips.FERV39K,
        clips.MAFW,
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
