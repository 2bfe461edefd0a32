"""The page of a search: pictures of the faces that were asked for, best first."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from mien.errors import MienError
from mien.files import write_text
from mien.heads.wording import percent, signed
from mien.reports.figures.pictures import Picture, picture
from mien.reports.page import render
from mien.schema import UInt8Array
from mien.search.index import FaceIndex
from mien.search.query import Answer
from mien.search.results import answer_rows, pictures_of

_MEASURES = {
    "similarity": "The number is the cosine between the embeddings of two faces: 1 for faces that "
    "the model cannot tell apart, about 0 for unrelated ones.",
    "distance": "The number is the distance in the plane of valence and arousal, both from -1 to "
    "1.",
    "strength": "The number is the intensity of the weakest unit that is wanted less that of the "
    "strongest one that is not.",
}
_ORIGINS = {
    None: "none",
    "labels": "labels of the dataset",
    "network": "what the model reads",
    "blendshapes": "read from the mesh of each face",
}


class Shown(NamedTuple):
    """A face as the page shows it: its picture, or None, and lines of text below."""

    picture: Picture | None
    value: str
    lines: Sequence[str]
    name: str
    source: str


def write_matches(path: str | os.PathLike[str], index: FaceIndex, answer: Answer) -> Path:
    """Write the page of an answer, with everything inlined; only its owner can read it.

    Pictures come from the index, or from the files again. Raises :class:`MienError` where jinja2
    is missing or the page cannot be written.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise MienError(
            'expected the package jinja2 for a page, got none: run pip install "mien[search]"'
        )
    pictures = pictures_of(index, [match.number for match in answer.matches])
    query = answer.query
    page = render(
        "search.html",
        title=answer.question,
        heads=[],
        page={"warnings": _warnings(pictures), "provenance": _provenance(index)},
        measure=answer.measure,
        about=_MEASURES[answer.measure],
        faces=[
            _shown(row, pixels, answer)
            for row, pixels in zip(answer_rows(index, answer), pictures, strict=True)
        ],
        passed_over=answer.passed_over,
        asked=None
        if query is None or query.prediction.crop is None
        else picture(query.prediction.crop),
        asked_lines=[] if query is None else face_lines(query.prediction.to_dict(), answer.units),
    )
    return write_text(path, page, private=True)


def _provenance(index: FaceIndex) -> dict[str, str]:
    info = index.info
    units = None if info.units is None else info.units.origin
    dataset = {} if info.dataset is None else {"dataset": info.dataset.folder}
    return {
        "index": str(index.folder),
        "faces": f"{info.faces:,}",
        **dataset,
        **({} if info.split is None else {"split": info.split}),
        "model": f"{info.model.name} (sha256 {info.model.sha256[:12]})",
        "valence_and_arousal": _ORIGINS[info.valence_arousal],
        "action_units": _ORIGINS[units],
        "version": info.created_with,
        "license_terms": info.license_terms,
    }


def face_lines(row: Mapping[str, Any], units: Sequence[str] = ()) -> list[str]:
    """What is known of a face, a line each: label, reading, valence and arousal, units."""
    lines = []
    if row.get("label") is not None:
        lines.append(f"labeled {row['label']}")
    if row.get("expression") is not None and row.get("confidence") is not None:
        lines.append(f"read as {row['expression']}, {percent(row['confidence'])}")
    if row.get("valence") is not None and row.get("arousal") is not None:
        lines.append(f"valence {signed(row['valence'])}, arousal {signed(row['arousal'])}")
    values = row.get("action_units") or {}
    if known := [f"{name} {values[name]:.2f}" for name in units if values.get(name) is not None]:
        lines.append(", ".join(known))
    if row.get("subject") is not None:
        lines.append(f"subject {row['subject']}")
    if row.get("time") is not None:
        lines.append(f"at {row['time']:.1f} s" + _person(row))
    return lines


def face_name(row: Mapping[str, Any]) -> str:
    """What a face is called: the id of a dataset's row, or the name of its file."""
    if row.get("id"):
        return str(row["id"])
    name = PurePath(str(row.get("source") or "")).name
    face = row.get("face")
    return f"{name}, face {face}" if face and row.get("time") is None else name


def _person(row: Mapping[str, Any]) -> str:
    return "" if row.get("track") is None else f", person {row['track']}"


def _shown(row: Mapping[str, Any], pixels: UInt8Array | None, answer: Answer) -> Shown:
    return Shown(
        None if pixels is None else picture(pixels),
        f"{row[answer.measure]:.3f}",
        face_lines(row, answer.units),
        face_name(row),
        str(row.get("source") or ""),
    )


def _warnings(pictures: Sequence[UInt8Array | None]) -> list[str]:
    gone = sum(each is None for each in pictures)
    if not gone:
        return []
    return [
        f"{gone} of {len(pictures)} pictures are missing: their files have gone or have changed "
        "since they were indexed"
    ]
