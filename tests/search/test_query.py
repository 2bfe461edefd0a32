"""What a search gives: the most alike faces, without the same picture, person or moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError
from mien.faces.detection.detect import Detector
from mien.search.build import build_index
from mien.search.index import FaceIndex
from mien.search.query import (
    Answer,
    FaceQuery,
    most_alike,
    nearest_rows,
    nearest_to_point,
    read_face,
)


def names_of(index: FaceIndex, answer: Answer) -> list[str]:
    return [Path(index.row(match.number)["source"]).name for match in answer.matches]


@pytest.fixture
def ask(index: FaceIndex, smiles: Detector):  # type: ignore[no-untyped-def]
    return lambda photo, **options: read_face(index, photo, detector=smiles, **options)


def test_the_same_picture_is_left_out_and_the_rest_is_in_order(  # type: ignore[no-untyped-def]
    index: FaceIndex, photos: Path, ask
) -> None:
    query = ask(photos / "2.png")
    answer = most_alike(index, query)
    assert sorted(names_of(index, answer)) == [f"{n}.png" for n in (0, 1, 3, 4, 5)]
    assert answer.passed_over == {"same picture": 1}
    cosines = [match.value for match in answer.matches]
    assert cosines == sorted(cosines, reverse=True)
    everything = nearest_rows(index, query.embedding, top=6)
    assert everything[0].value == pytest.approx(1, abs=1e-3)
    assert [match.number for match in everything[1:]] == [m.number for m in answer.matches]


@pytest.mark.parametrize("how", ["copied", "in another format", "linked"])
def test_a_copy_under_another_name_is_the_same_picture(  # type: ignore[no-untyped-def]
    index: FaceIndex, photos: Path, tmp_path: Path, ask, how: str
) -> None:
    copy = tmp_path / ("copy.bmp" if how == "in another format" else "copy.png")
    if how == "copied":
        shutil.copy(photos / "2.png", copy)
    elif how == "linked":
        copy.symlink_to(photos / "2.png")
    else:
        Image.open(photos / "2.png").save(copy)
    assert "2.png" not in names_of(index, most_alike(index, ask(copy)))


def test_top_is_how_many(index: FaceIndex, photos: Path, ask) -> None:  # type: ignore[no-untyped-def]
    assert len(most_alike(index, ask(photos / "2.png"), top=2).matches) == 2


def with_columns(index: FaceIndex, **columns: list[object]) -> FaceIndex:
    """The same index, whose rows have other values in some columns."""
    import pyarrow as pa

    faces = index.faces
    for name, values in columns.items():
        place = faces.schema.get_field_index(name)
        field = faces.schema.field(name)
        faces = faces.set_column(place, field, pa.array(values, field.type))
    changed = FaceIndex(index.folder, index.info, faces)
    return changed


def test_the_same_person_is_left_out_on_request(  # type: ignore[no-untyped-def]
    index: FaceIndex, photos: Path, ask
) -> None:
    order = [Path(index.row(n)["source"]).stem for n in range(6)]
    people = with_columns(index, subject=["ann" if n in "024" else "bob" for n in order])
    query = ask(photos / "2.png")
    assert len(most_alike(people, query).matches) == 5
    others = most_alike(people, query, other_people=True)
    assert sorted(names_of(index, others)) == ["1.png", "3.png", "5.png"]
    assert others.passed_over["same person"] == 2
    named = most_alike(people, query, other_people=True, subject="bob")
    assert sorted(names_of(index, named)) == ["0.png", "4.png"]


def test_a_person_whom_nobody_names_is_asked_for(  # type: ignore[no-untyped-def]
    index: FaceIndex, photos: Path, ask
) -> None:
    query = ask(photos / "2.png")
    with pytest.raises(MienError, match="--subject"):
        most_alike(index, query, other_people=True)
    with pytest.raises(MienError, match="got 'carl'"):
        most_alike(index, query, other_people=True, subject="carl")


def test_a_moment_of_a_video_is_shown_once(  # type: ignore[no-untyped-def]
    index: FaceIndex, photos: Path, ask
) -> None:
    rows = range(6)
    video = with_columns(
        index,
        source=["a.mp4"] * 6,
        video=["a.mp4"] * 6,
        digest=[None] * 6,
        track=[1, 1, 1, 2, 2, 2],
        time=[0.0, 0.2, 30.0, 0.0, 1.9, 2.1],
    )
    query = FaceQuery(ask(photos / "0.png").prediction, "elsewhere.png")
    answer = most_alike(video, query)
    chosen = {match.number for match in answer.matches}
    assert 2 in chosen and len({0, 1} & chosen) <= 1 and {3, 4, 5} & chosen
    for one in chosen:
        for other in chosen - {one}:
            a, b = video.row(one), video.row(other)
            assert a["track"] != b["track"] or abs(a["time"] - b["time"]) >= 2
    assert len(chosen) + sum(answer.passed_over.values()) == len(rows)


def test_points_of_valence_and_arousal(
    photos: Path,
    write_model,
    tmp_path: Path,
    smiles: Detector,  # type: ignore[no-untyped-def]
) -> None:
    model = write_model(affect=2)
    index = build_index([photos], tmp_path / "affect", model=model, detector=smiles)
    assert index.info.valence_arousal == "network"
    answer = nearest_to_point(index, 0.3, -0.2, top=3)
    rows = [index.row(number) for number in range(6)]
    distances = sorted(np.hypot(r["valence"] - 0.3, r["arousal"] + 0.2) for r in rows)
    assert [match.value for match in answer.matches] == pytest.approx(distances[:3], abs=1e-5)


def test_what_cannot_be_asked_is_said(index: FaceIndex, photos: Path, ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MienError, match="expected an index with valence and arousal"):
        nearest_to_point(index, 0, 0)
    with pytest.raises(MienError, match=r"in \[-1, 1\]"):
        nearest_to_point(index, float("nan"), 0)
    with pytest.raises(MienError, match="expected a face to search for"):
        ask(photos / "black.png")
    with pytest.raises(MienError, match="expected a face from 0 to 0"):
        ask(photos / "1.png", face=3)
    with pytest.raises(MienError, match=r"none\.png"):
        ask(photos / "none.png")


def test_much_of_the_index_can_be_passed_over(index: FaceIndex, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """More rows are searched for until enough are left."""
    from mien.search import query as module

    asked: list[int] = []
    real = module.nearest_rows

    def counted(index, embedding, *, top):  # type: ignore[no-untyped-def]
        asked.append(top)
        return real(index, embedding, top=min(top, len(asked) * 2))

    monkeypatch.setattr(module, "nearest_rows", counted)
    rows = list(module._by_cosine(index, np.ones(16, np.float32)))
    assert sorted(match.number for match in rows) == list(range(6))
    assert asked == [64, 512, 4096]
