"""Options of a corpus that would change nothing are refused, never silently dropped."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mien.corpora.items import Corpus
from mien.errors import MienError

_DETECTORS = ("detector", "thorough")
OF_IMAGES = frozenset(
    ("tight", "classes", "valid-from-train", "landmarks", "align", "max-pixels", *_DETECTORS)
)
OF_RECORDINGS = frozenset(("fps", "task", "scale", "subject-disjoint"))
"""Options, as on the command line without dashes, that one kind of corpus has."""

_TIGHT = "no face is detected in tight crops, unless --landmarks or --align asks for it"


def refuse_other_kind(reader: Corpus, given: Collection[str]) -> None:
    """Raise :class:`MienError` for options that belong to the other kind of corpus."""
    others = OF_IMAGES if reader.videos else OF_RECORDINGS
    if unused := [name for name in given if name in others]:
        kind = "recordings" if reader.videos else "images"
        raise MienError(
            f"expected options for {reader.name}, which holds {kind}, got "
            f"--{' and --'.join(unused)}: omit what belongs to other corpora"
        )


def refuse_without_effect(
    reader: Corpus, given: Collection[str], unused: Mapping[str, str]
) -> None:
    """Raise :class:`MienError` for options that change nothing in this source.

    ``unused`` are those that its reading says it does not use, and why.
    """
    unused = dict(unused)
    if ("tight" in given or "tight" in unused) and not {"landmarks", "align"} & set(given):
        unused |= dict.fromkeys(_DETECTORS, _TIGHT)
    for name in given:
        if name in unused:
            raise MienError(
                f"expected no --{name} for {reader.name} here, where it changes nothing, got it: "
                f"{unused[name]}; omit the option"
            )
