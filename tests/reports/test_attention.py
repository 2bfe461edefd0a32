import base64
import io
from pathlib import Path

import numpy as np
import pytest
from evaluations import Page, expression, make
from PIL import Image

from mien.metrics.attention import ClassMaps, MapSums
from mien.reports.figures.attention import attention_pictures
from mien.reports.figures.pictures import Picture, picture
from mien.reports.report import evaluate, write_report

NAMES = ("calm", "glad & loud", "sad")


def pixels(shown: Picture) -> np.ndarray:
    data = base64.b64decode(shown.url.removeprefix("data:image/png;base64,"))
    image = Image.open(io.BytesIO(data)).convert("RGB")
    assert image.size == (shown.width, shown.height)
    return np.asarray(image).astype(int)


def test_all_pictures_share_one_scale_of_colors() -> None:
    maps = np.full((3, 4, 4), 0.2)
    maps[0, 0, 0], maps[1] = 0.5, 0.8
    means = ClassMaps(np.array([2, 1, 0]), maps, np.full((3, 8, 8, 3), 128.0))
    shown = attention_pictures(means, NAMES)
    assert (shown.low, shown.high) == (0.2, 0.8)
    assert [(c["name"], c["n"], c["low"], c["high"]) for c in shown.classes] == [
        ("calm", 2, 0.2, 0.5),
        ("glad & loud", 1, 0.8, 0.8),
    ]
    assert shown.scale is not None
    bar = pixels(shown.scale)
    calm, glad = (pixels(of_class["picture"]) for of_class in shown.classes)
    assert bar[0, 0].tolist() == [68, 1, 84] and bar[0, -1, 0] > 240
    # 0.5 is halfway to 0.8: green in the corner, not yellow; all of the other class is yellow.
    assert calm[5, 5, 1] > calm[5, 5, 0] + 25 and calm[-5, -5, 1] < calm[-5, -5, 2]
    assert (glad[..., 0] > glad[..., 2] + 60).all()


def test_equal_weights_show_nothing() -> None:
    means = ClassMaps(np.ones(3, int), np.full((3, 4, 4), 0.5), np.zeros((3, 8, 8, 3)))
    shown = attention_pictures(means, NAMES)
    assert shown.scale is None and shown.classes == [] and shown.low == 0.5


def test_pictures_keep_their_pixels_and_large_ones_shrink() -> None:
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels(picture(small)), small)
    large = picture(np.zeros((400, 200, 3), np.uint8))
    assert (large.width, large.height) == (96, 192)


def test_the_page_shows_maps_where_there_are_some(tmp_path: Path) -> None:
    plain = make(embeddings=None)
    rng = np.random.default_rng(0)
    sums = MapSums(8)
    sums.add(rng.uniform(size=(80, 3, 3)), plain.crops, expression(plain).targets)
    flat = ClassMaps(np.ones(8, int), np.full((8, 2, 2), 0.5), np.zeros((8, 8, 8, 3)))
    counts = {}
    for name, attention in {"without": None, "with": sums.means(), "flat": flat}.items():
        evaluation = make(embeddings=None, attention=attention)
        page = write_report(evaluation, evaluate(evaluation, draws=20), tmp_path / name)
        images = Page(page.read_text("utf-8")).images
        counts[name] = sum("Mean attention" in image["alt"] for image in images)
    assert counts == {"without": 0, "with": 8, "flat": 0}
    with pytest.raises(ValueError, match="expected attention of 8 classes, got 3"):
        make(attention=ClassMaps(np.ones(3, int), np.zeros((3, 2, 2)), np.zeros((3, 8, 8, 3))))
