"""Requests for action units, and which faces fit them."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import MienError
from mien.search.index import FaceIndex
from mien.search.query import with_units
from mien.search.units import UnitRequest, parse_units, strengths


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("AU12", ("AU12",), ()),
        ("AU12 without AU6", ("AU12",), ("AU6",)),
        ("au01 + au2, without au4 or au12", ("AU1", "AU2"), ("AU4", "AU12")),
        ("without AU4 with AU12", ("AU12",), ("AU4",)),
        ("AU12 AU12 and not AU4", ("AU12",), ("AU4",)),
        ("AU12-AU6", ("AU12",), ("AU6",)),
    ],
)
def test_requests_are_read(text: str, present: tuple[str, ...], absent: tuple[str, ...]) -> None:
    assert parse_units(text) == UnitRequest(present, absent)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "name one at least"),
        ("without", "name one at least"),
        ("smile", "got 'smile'"),
        ("AU12 without AU12", "got both"),
        ("AU12; AU6", "got ';'"),
        ("AU3", "expected an action unit"),
        ("AU123", "got 'AU123'"),
        ("12", "got '12'"),
        ("AU12\0", "got"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(text: str, phrase: str) -> None:
    with pytest.raises(MienError, match=phrase) as error:
        parse_units(text)
    assert "\n" not in str(error.value)


def test_faces_that_fit_come_strongest_first(index: FaceIndex) -> None:
    answer = with_units(index, parse_units("AU12"), top=10)
    smiles = [index.row(match.number)["action_units"]["AU12"] for match in answer.matches]
    assert [round(value, 1) for value in smiles] == [0.9, 0.7, 0.5, 0.3]
    assert [match.value for match in answer.matches] == pytest.approx(smiles)


def test_a_unit_that_is_not_wanted_rules_faces_out(index: FaceIndex) -> None:
    # Mouths that smile more are opened wider, and AU26 is present from 0.2.
    answer = with_units(index, parse_units("AU12 without AU26"), top=10)
    values = [index.row(match.number)["action_units"] for match in answer.matches]
    assert len(values) == 1
    assert values[0]["AU12"] >= 0.2 > values[0]["AU26"]
    assert answer.matches[0].value == pytest.approx(values[0]["AU12"] - values[0]["AU26"], abs=1e-6)
    absent_only = with_units(index, parse_units("without AU12"), top=10)
    assert [round(match.value, 1) for match in absent_only.matches] == [1.0, 0.9]


def test_a_face_without_a_mesh_never_fits(index: FaceIndex, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    unknown = np.full((len(index), 1), np.nan, np.float32)
    monkeypatch.setattr(index, "unit_numbers", lambda names: unknown)
    for text in ("AU12", "without AU12"):
        assert np.isnan(strengths(index, parse_units(text))).all()
        assert with_units(index, parse_units(text)).matches == []
