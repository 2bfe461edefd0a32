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
from mien.data.concat import ConcatDataset
from mien.data.dataset import Dataset
from mien.errors import MienError, did_you_mean
from mien.licenses import License, merged

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


def licenses_of(dataset: Dataset) -> tuple[License, ...]:
    """What is known about the licenses of a dataset.

    One that was written before there were entries has those of its corpus, where it states the
    same license terms; else they are unclear.
    """
    if isinstance(dataset, ConcatDataset):
        return merged(licenses_of(part) for part in dataset.parts)
    corpus = CORPORA.get(str(dataset.info.get("corpus")))
    if (
        corpus is not None
        and not dataset.info.get("licenses")
        and dataset.license_terms == corpus.license_terms
    ):
        return corpus.licenses
    return dataset.licenses
