"""Asking an index: the faces most like another, nearest to a point, or with action units."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.faces.images import load_image
from mien.heads.wording import signed
from mien.inference.predictor import Predictor, unreadable_because
from mien.schema import FloatArray, Prediction
from mien.search.files import digest_of
from mien.search.index import FaceIndex
from mien.search.units import UnitRequest, strengths

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector

SAME_PICTURE = 0.9995
"""From this cosine on, the network sees one picture, whatever its file is called (our choice,
measured in ``benchmarks/search.md``)."""
MOMENT_SECONDS = 2.0
"""Rows of one person in one video that are nearer in time are one moment, of which the best one is
shown (our choice)."""

Measure = Literal["similarity", "distance", "strength"]
"""The cosine of two embeddings, the distance in the plane of valence and arousal, and how clearly
action units fit."""


class Match(NamedTuple):
    """A row of an index, and how well it fits by the measure of the answer."""

    number: int
    value: float


@dataclass(frozen=True)
class Answer:
    """What was asked, in words, and the best matches first.

    ``passed_over`` counts better rows that were left out by reason. ``query`` is the face that was
    asked for, ``units`` the action units.
    """

    question: str
    measure: Measure
    matches: list[Match]
    passed_over: dict[str, int] = field(default_factory=dict)
    query: FaceQuery | None = None
    units: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FaceQuery:
    """A face to look for: its prediction, which holds embedding and crop, and its file."""

    prediction: Prediction
    path: str
    digest: str | None = None

    @property
    def embedding(self) -> FloatArray:
        """The embedding, ``(D,)``."""
        assert self.prediction.embedding is not None
        return self.prediction.embedding


def read_face(
    index: FaceIndex,
    photo: str | os.PathLike[str],
    *,
    face: int = 0,
    model: str | os.PathLike[str] | None = None,
    detector: Detector | None = None,
    tight: bool = False,
) -> FaceQuery:
    """Embed a face of a photo as the faces of the index were; ``face`` counts from the largest, 0.

    Raises :class:`~mien.errors.MienError` for another model than the index's, and for a photo
    without a face that can be read.
    """
    path = os.fsdecode(photo)
    opened = index.open_model(model)
    try:
        pixels = load_image(photo)
    except MienError as error:
        raise MienError(f"{error}: {path!r}") from None
    with Predictor(opened, detector=detector) as predictor:
        predictions = predictor(pixels, tight=tight)
    if predictions[0].face is None:
        raise MienError(
            f"expected a face to search for in {path!r}, got none ({predictions[0].reason}); "
            "choose another photo, or add --thorough or --tight"
        )
    if face >= len(predictions):
        raise MienError(
            f"expected a face from 0 to {len(predictions) - 1} of {path!r}, got {face}; choose one"
        )
    prediction = predictions[face]
    if prediction.face is not None and (reason := unreadable_because(prediction.face)):
        raise MienError(
            f"expected a face that can be read in {path!r}, got one that cannot: {reason}; choose "
            "another"
        )
    return FaceQuery(prediction, path, digest_of(path))


def most_alike(
    index: FaceIndex,
    query: FaceQuery,
    *,
    top: int = 10,
    other_people: bool = False,
    subject: str | None = None,
) -> Answer:
    """The faces whose embeddings are nearest to a face's, by cosine.

    Rows of the same picture are passed over: of the same file, of another with the same content,
    or with an embedding that is the same (:data:`SAME_PICTURE`). With ``other_people`` so are rows
    of the same person: of ``subject``, or of the subject or track that the index has for that
    picture. Raises :class:`~mien.errors.MienError` where these do not tell who it is.
    """
    same = _SamePicture(index, query)
    persons = _persons_of(index, query, same, subject) if other_people else frozenset()
    candidates = _by_cosine(index, query.embedding)
    matches, passed_over = _choose(index, candidates, top, same, persons)
    question = f"Faces like {os.path.basename(query.path)}"
    return Answer(question, "similarity", matches, passed_over, query)


def nearest_rows(index: FaceIndex, embedding: FloatArray, *, top: int) -> list[Match]:
    """The rows nearest to an embedding ``(D,)``, without leaving out any."""
    rows, cosines = index.nearest(embedding[None], top)
    return [Match(int(row), float(cosine)) for row, cosine in zip(rows[0], cosines[0], strict=True)]


def nearest_to_point(index: FaceIndex, valence: float, arousal: float, *, top: int = 10) -> Answer:
    """The rows nearest to a point of valence and arousal, both in [-1, 1].

    Raises :class:`~mien.errors.MienError` for an index without these.
    """
    if not (-1 <= valence <= 1 and -1 <= arousal <= 1):
        raise MienError(f"expected valence and arousal in [-1, 1], got {valence:g} and {arousal:g}")
    if index.info.valence_arousal is None:
        raise MienError(
            f"expected an index with valence and arousal, got none in {str(index.folder)!r}; index "
            "a dataset that has them, or use a model with the head valence_arousal"
        )
    distances = np.hypot(index.numbers("valence") - valence, index.numbers("arousal") - arousal)
    matches, passed_over = _choose(index, _sorted(distances), top)
    question = f"Faces near valence {signed(valence)}, arousal {signed(arousal)}"
    return Answer(question, "distance", matches, passed_over)


def with_units(index: FaceIndex, request: UnitRequest, *, top: int = 10) -> Answer:
    """The rows that show some action units and do not show others, see :func:`strengths`."""
    values = strengths(index, request)
    matches, passed_over = _choose(index, _sorted(values, descending=True), top)
    units = (*request.present, *request.absent)
    return Answer(f"Faces with {request}", "strength", matches, passed_over, units=units)


def _by_cosine(index: FaceIndex, embedding: FloatArray) -> Iterator[Match]:
    """All rows, nearest first, of which more and more are searched for as they are asked for."""
    count, done = 64, 0
    while done < len(index):
        matches = nearest_rows(index, embedding, top=count)
        yield from matches[done:]
        done, count = len(matches), count * 8


def _sorted(values: NDArray[np.float32], *, descending: bool = False) -> Iterator[Match]:
    """The rows with a value, the smallest first or the largest; of equal ones the first row."""
    order = np.argsort(-values if descending else values, kind="stable")
    return (Match(int(row), float(values[row])) for row in order if not np.isnan(values[row]))


Person = tuple[str, ...]


def _person_of(row: dict[str, Any]) -> Person | None:
    """Who a row shows, as far as a corpus or a track says so."""
    if row["subject"] is not None:
        return ("subject", row["subject"])
    if row["track"] is not None:
        return ("track", row["source"], str(row["track"]))
    return None


@dataclass
class _SamePicture:
    """Whether a row shows the picture of a query."""

    index: FaceIndex
    query: FaceQuery
    _source: str = field(init=False)

    def __post_init__(self) -> None:
        self._source = os.path.realpath(self.query.path)

    def __call__(self, row: dict[str, Any], cosine: float) -> bool:
        if cosine >= SAME_PICTURE:
            return True
        if self.query.digest is not None and row["digest"] == self.query.digest:
            return True
        is_file = row["row"] is None and row["video"] is None
        return is_file and os.path.realpath(row["source"]) == self._source


def _persons_of(
    index: FaceIndex, query: FaceQuery, same: _SamePicture, subject: str | None
) -> frozenset[Person]:
    if subject is not None:
        person = ("subject", subject)
        if subject not in set(index.faces["subject"].unique().to_pylist()):
            raise MienError(
                f"expected a subject of {str(index.folder)!r}, got {subject!r}; leave --subject "
                "out if nobody in it is the person of the photo"
            )
        return frozenset([person])
    rows = (
        index.row(match.number) | {"value": match.value}
        for match in nearest_rows(index, query.embedding, top=64)
    )
    persons = {_person_of(row) for row in rows if same(row, row["value"])} - {None}
    if not persons:
        raise MienError(
            f"expected to know who is in {query.path!r} for --other-people, got a picture of "
            f"nobody that {str(index.folder)!r} names; name the person with --subject, or leave "
            "it out"
        )
    return frozenset(person for person in persons if person is not None)


def _choose(
    index: FaceIndex,
    candidates: Iterable[Match],
    top: int,
    same: _SamePicture | None = None,
    persons: frozenset[Person] = frozenset(),
) -> tuple[list[Match], dict[str, int]]:
    """The first ``top`` candidates that are not to be passed over, and why others were."""
    matches: list[Match] = []
    passed_over: Counter[str] = Counter()
    moments: dict[tuple[str, Person | None], list[float]] = {}
    for match in candidates if top else ():
        row = index.row(match.number)
        person = _person_of(row)
        if same is not None and same(row, match.value):
            passed_over["same picture"] += 1
            continue
        if person is not None and person in persons:
            passed_over["same person"] += 1
            continue
        if row["video"] is not None and row["time"] is not None:
            times = moments.setdefault((row["video"], person), [])
            if any(abs(row["time"] - time) < MOMENT_SECONDS for time in times):
                passed_over["same moment"] += 1
                continue
            times.append(row["time"])
        matches.append(match)
        if len(matches) == top:
            break
    return matches, dict(passed_over)
