"""The Python of the page on prediction runs from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut
from toy_videos import moving_face, write_video

from mien import models
from mien.heads import HEADS
from mien.inference.rows import CLIP_COLUMNS, FACE_COLUMNS, PERSON_COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "predict.md"


def test_page(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 11
    monkeypatch.setattr(models, "shipped_models", lambda: {"fer": model_file})
    monkeypatch.chdir(tmp_path)
    Path("holiday").mkdir()
    Image.fromarray(astronaut()).save("photo.jpg")
    Image.fromarray(astronaut()[:256, 90:346]).save("holiday/one.png")
    Image.fromarray(astronaut()[60:180, 160:280]).resize((48, 48)).save("crop.png")
    write_video(Path("interview.mp4"), moving_face(10))
    exec("\n".join(blocks), {})
    printed = capsys.readouterr().out
    assert "Predictions(2 ok)" in printed
    assert "2 ok; written to faces.parquet" in printed
    assert "fixed" in printed
    assert re.search(
        r"^0 1\.0 \w+ Prediction\(ok, ", printed, re.MULTILINE
    )  # the person of the video
    assert np.asarray(Image.open("drawn.png")).shape == (1024, 1024, 3)


def test_page_names_every_column_in_order() -> None:
    page = PAGE.read_text("utf-8").replace("\n", " ")
    for columns in (FACE_COLUMNS, PERSON_COLUMNS, CLIP_COLUMNS):
        assert ", ".join(f"`{name}`" for name in columns) in page
    assert all(f"| `{name}` |" in page for name in HEADS)
