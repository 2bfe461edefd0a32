"""Action units by blendshapes, blendshapes as columns, and models that are not sure."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import mien
from mien.errors import MienError
from mien.faces.action_units import WEIGHTS
from mien.faces.detection.mesh import BLENDSHAPES
from mien.inference.drawing.cards import card_of
from mien.inference.drawing.html import html_card
from mien.inference.model import open_onnx
from mien.inference.persons import Person
from mien.inference.pipeline import write_predictions
from mien.inference.predictor import Predictor
from mien.inference.units import NO_UNITS, reading_of
from mien.labels import ACTION_UNITS
from mien.schema import Status

from .conftest import AT_REST, OneFace, WriteModel, picture, with_heads

SMILE = AT_REST | {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.6}


def test_a_model_without_a_head_for_them_has_those_of_the_mesh(model_file: Path) -> None:
    with Predictor.load(model_file, detector=OneFace(blendshapes=SMILE)) as predictor:
        [face] = predictor(picture())
        assert list(face.action_units) == list(WEIGHTS)
        assert face.action_units["AU12"] == pytest.approx(0.8)
        assert face.to_dict()["action_units"] == face.action_units
        assert "action_units" not in predictor.info.heads
        assert predictor.reading.heads["action_units"].source == "blendshapes"


def test_a_model_s_own_head_comes_first(write_model: WriteModel) -> None:
    model = write_model(units=len(ACTION_UNITS))
    with Predictor.load(model, detector=OneFace(blendshapes=SMILE)) as predictor:
        [face] = predictor(picture())
    assert list(face.action_units) == list(ACTION_UNITS)
    assert predictor.reading.heads["action_units"].source == "network"


def test_a_face_without_a_mesh_has_none_and_says_why(model_file: Path) -> None:
    with Predictor.load(model_file, detector=OneFace(blendshapes={})) as predictor:
        [detected], [tight] = predictor(picture()), predictor(picture(), tight=True)
    for face in (detected, tight):
        assert (face.status, face.action_units, face.reason) == (Status.OK, {}, NO_UNITS)
        assert face.confidence is not None


def table(model: Path, photos: list[Path], out: Path, **options: object) -> list[dict[str, object]]:
    detector = OneFace(blendshapes=SMILE)
    write_predictions(photos, models=[model], out=out, detector=detector, **options)
    return pq.read_table(out).to_pylist()


def test_blendshapes_are_columns_on_request(model_file: Path, photos: Path, tmp_path: Path) -> None:
    inputs = [photos / "1.png", photos / "black.png"]
    face, none = table(model_file, inputs, tmp_path / "all.parquet", blendshapes=True)
    assert list(face["blendshapes"]) == list(BLENDSHAPES)
    assert face["blendshapes"]["mouthSmileLeft"] == pytest.approx(0.8)
    assert none["blendshapes"] is None and none["action_units"] is None
    [without] = table(model_file, inputs[:1], tmp_path / "none.parquet")
    assert "blendshapes" not in without
    about = json.loads(pq.read_schema(tmp_path / "none.parquet").metadata[b"mien"])
    units = about["heads"]["action_units"]
    assert (units["source"], units["measure"]) == ("blendshapes", "intensity")
    assert units["units"] == list(WEIGHTS)
    rows = io.StringIO()
    write_predictions(inputs, models=[model_file], json=rows, detector=OneFace(), blendshapes=True)
    assert json.loads(rows.getvalue())[0]["blendshapes"]["jawOpen"] == 0


def test_blendshapes_are_those_of_one_face(model_file: Path, photos: Path) -> None:
    with pytest.raises(MienError, match=r"rows of frames for blendshapes, got rows summary"):
        write_predictions([photos], models=[model_file], rows="summary", blendshapes=True)


def test_a_threshold_can_be_asked_for_and_switched_off(
    write_model: WriteModel, photos: Path
) -> None:
    careful = write_model(with_heads(expression={"abstain_below": 0.999}))
    for model, below, status in (
        (careful, None, Status.ABSTAINED),
        (careful, 0.0, Status.OK),
        (write_model(), None, Status.OK),
        (write_model(), 0.999, Status.ABSTAINED),
    ):
        [face] = mien.predict(
            photos / "1.png", model=model, detector=OneFace(), abstain_below=below
        )
        assert face.status is status, (model, below)
        assert face.expression and face.probabilities
        assert face.reason.startswith("not sure: ") == (status is Status.ABSTAINED)
        with mien.load(model, detector=OneFace(), abstain_below=below) as predictor:
            assert predictor(photos / "1.png")[0].status is status


def test_a_threshold_is_a_confidence_in_an_expression(model_file: Path) -> None:
    model = open_onnx(model_file)
    with pytest.raises(MienError, match=r"a confidence in \[0, 1\]"):
        model.answering_from(1.5)
    affect = {"valence_arousal": {}}
    model.info = model.info.model_copy(update={"heads": affect})
    with pytest.raises(MienError, match=r"got 'tiny' with valence_arousal"):
        model.answering_from(0.5)
    assert open_onnx(model_file).answering_from(0.5).info.heads["expression"].abstain_below == 0.5


def test_a_near_tie_is_drawn_with_both_names(predictor: Predictor) -> None:
    [face] = predictor(picture())
    shares = dict.fromkeys(face.probabilities, 0.0) | {"surprise": 0.52, "fear": 0.48}
    tie = replace(face, expression="surprise", confidence=0.52, probabilities=shares)
    assert card_of(tie, 8).title == "surprise or fear"
    assert "surprise 52 % or fear 48 %" in html_card(tie)
    doubt = "not sure: 52 % surprise, 48 % fear; answers from 61 %"
    card = card_of(replace(tie, status=Status.ABSTAINED, reason=doubt), 8)
    assert (card.title, card.note) == ("not sure", "52 % surprise, 48 % fear")
    small = "face is 20 pixels wide; at least 24 are needed"
    card = card_of(replace(tie, status=Status.ABSTAINED, reason=small), 8)
    assert (card.title, card.note) == ("abstained", "face is 20 pixels wide")
    clear = replace(tie, probabilities=shares | {"surprise": 0.6, "fear": 0.4})
    assert card_of(clear, 8).title == "surprise"


def test_a_card_shows_the_strongest_units_only(model_file: Path) -> None:
    with Predictor.load(model_file, detector=OneFace(blendshapes=SMILE)) as predictor:
        [face] = predictor(picture())
    names = [bar.name for bar in card_of(face, 8).bars if bar.name.startswith("AU")]
    assert names == ["AU12", "AU6"]


def test_a_mean_over_time_leaves_out_frames_without_a_mesh(model_file: Path) -> None:
    reading = reading_of(open_onnx(model_file).info)
    person, units = Person(0, 0.0, None, 1.0), np.zeros((1, len(WEIGHTS)), np.float32)
    shares = np.eye(8, dtype=np.float32)[:1]
    for time, values in enumerate((units + 1, units * np.nan, units)):
        person.see(float(time), "")
        person.add(float(time), 1.0, {"expression": shares, "action_units": values})
    summary = person.summary("v.mp4", 3.0, reading, "").prediction
    assert set(summary.action_units.values()) == {0.5}
    assert summary.confidence == 1.0
    nobody = Person(1, 0.0, None, 1.0)
    nobody.see(0.0, "")
    nobody.add(0.0, 1.0, {"expression": shares, "action_units": units * np.nan})
    assert nobody.summary("v.mp4", 1.0, reading, "").prediction.action_units == {}
