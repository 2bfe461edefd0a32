"""``mien.predict`` and what it returns, for a terminal, a table and a notebook."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_videos import write_video

import mien
from mien.errors import MienError
from mien.inference.pipeline import Summary
from mien.inference.predict import Predictions
from mien.inference.rows import FACE_COLUMNS
from mien.schema import Prediction, Status

from .conftest import OneFace, WriteModel, picture


@pytest.fixture
def predictions(write_model: WriteModel, photos: Path) -> Predictions:
    model = write_model(affect=2, units=12)
    return mien.predict([photos, "missing.jpg"], model=model, detector=OneFace())


def test_paths_in_predictions_out(predictions: Predictions, photos: Path) -> None:
    assert isinstance(predictions, list)
    assert [one.status.value for one in predictions] == [
        *("ok", "ok", "no-face", "ok", "ok", "unreadable"),
    ]
    assert predictions[0].source == str(photos / "1.png")
    assert repr(predictions) == "Predictions(4 ok, 1 no-face, 1 unreadable)"


def test_one_path_and_a_table(model_file: Path, photos: Path, tmp_path: Path) -> None:
    [one] = mien.predict(photos / "1.png", model=model_file, detector=OneFace())
    out = tmp_path / "faces.jsonl"
    summary = mien.predict(str(photos), model=model_file, out=out, detector=OneFace())
    assert isinstance(summary, Summary) and summary.rows == {"ok": 4, "no-face": 1}
    first = json.loads(out.read_text("utf-8").splitlines()[0])
    assert first["expression"] == one.expression
    with pytest.raises(MienError, match=r"got ndarray; .*mien.load"):
        mien.predict(picture(), model=model_file)  # type: ignore[arg-type]


def test_rows_have_the_columns_of_every_head(predictions: Predictions) -> None:
    rows = predictions.to_dicts()
    heads = ["expression", "confidence", "probabilities", "valence", "arousal", "action_units"]
    assert list(rows[0]) == [*FACE_COLUMNS, *heads]
    assert len(rows[0]["action_units"]) == 12 and rows[0]["action_units"].keys() == (
        predictions[0].action_units.keys()
    )
    assert rows[2]["action_units"] is None
    json.dumps(rows, allow_nan=False)


def test_action_units_need_nothing_of_their_own(
    write_model: WriteModel, photos: Path, tmp_path: Path
) -> None:
    from mien.inference.pipeline import write_predictions

    lines, out = io.StringIO(), tmp_path / "t.parquet"
    model, one = write_model(units=12), str(photos / "1.png")
    write_predictions([one], models=[model], detector=OneFace(), lines=lines)
    write_predictions(
        [one], models=[model], detector=OneFace(), out=out, annotate=tmp_path / "drawn"
    )
    assert re.search(r"  face 0  \w+ \d+ %, AU\d+ >?\d+ %", lines.getvalue())
    assert (tmp_path / "drawn" / "1.png").is_file()
    video = write_video(tmp_path / "v.mp4", [picture(0)] * 4)
    [person] = mien.predict(video, model=model, detector=OneFace())
    faces = mien.predict(video, model=model, rows="frames", detector=OneFace())
    mean = np.mean([face.action_units["AU12"] for face in faces])
    assert person.action_units["AU12"] == pytest.approx(mean, abs=1e-6)
    assert person.track == 0 and person.crop is None


def test_a_frame_of_pandas(predictions: Predictions, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("pandas"):
        frame = predictions.to_pandas()
        assert len(frame) == 6 and frame["probabilities.happiness"].notna().sum() == 4
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MienError, match="pip install pandas"):
        predictions.to_pandas()


def test_a_prediction_is_short_in_a_terminal(predictions: Predictions) -> None:
    one, nobody, missing = (predictions[index] for index in (0, 2, 5))
    text = repr(one)
    assert text.startswith(f"Prediction(ok, {one.expression} {one.confidence:.2f}, valence=")
    assert "array" not in text and len(text) < 300 and "face 0" in text
    assert "no-face" in repr(nobody) and "no face found" in repr(nobody)
    assert "unreadable" in repr(missing) and "missing.jpg" in repr(missing)
    assert repr(Prediction(Status.OK)) == "Prediction(ok)"
    assert "time=1.5, track=2" in repr(replace(one, time=1.5, track=2))


def test_a_prediction_as_plain_values(predictions: Predictions) -> None:
    values = predictions[0].to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["status"] == "ok" and values["alignment"] == "similarity"
    assert set(values["face"]["box"]) == {"left", "top", "width", "height"}
    assert not {"embedding", "crop", "attention", "landmarks", "patches"} & set(values)
    arrays = predictions[0].to_dict(arrays=True)
    assert np.shape(arrays["embedding"]) == (16,) and np.shape(arrays["landmarks"]) == (5, 2)
    json.dumps(arrays)
    nothing = predictions[2].to_dict(arrays=True)
    assert nothing["face"] is None and nothing["crop"] is None


def test_a_notebook_shows_the_crop_and_what_the_heads_say(predictions: Predictions) -> None:
    one = replace(predictions[0], source=os.fsdecode(b"<b>\xff.png"))
    html = one._repr_html_()
    encoded = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert encoded is not None and one.crop is not None
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))))
    assert np.array_equal(shown, one.crop)
    assert "&lt;b&gt;" in html and "<b>\udcff" not in html
    html.encode("utf-8")
    top = max(one.action_units, key=lambda unit: one.action_units[unit])
    assert one.expression in html and f"valence: {one.valence:.2f}" in html and top in html
    assert "no face found" in predictions[2]._repr_html_()
    assert predictions._repr_html_().count("<img") == 4
