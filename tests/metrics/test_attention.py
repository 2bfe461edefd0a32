import base64
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from evaluations import Page, make
from PIL import Image

from mien.metrics.attention import ClassMaps, MapSums, attention_section
from mien.reports.report import evaluate, write_report

NAMES = ("calm", "glad & loud", "sad")


def drawn(seed: int = 0, n: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = rng.uniform(size=(n, 4, 4)).astype(np.float32)
    return maps, rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8), rng.integers(-1, 2, n)


def test_means_by_class_whatever_the_batches() -> None:
    maps, crops, targets = drawn()
    sums = MapSums(3)
    for rows in (slice(0, 7), slice(7, 8), slice(8, 50), slice(50, 50)):
        sums.add(maps[rows], crops[rows], targets[rows])
    means = sums.means()
    assert means is not None
    assert means.counts.tolist() == [(targets == 0).sum(), (targets == 1).sum(), 0]
    for index in (0, 1):
        np.testing.assert_allclose(means.maps[index], maps[targets == index].mean(0), rtol=1e-5)
        np.testing.assert_allclose(means.crops[index], crops[targets == index].mean(0))
    assert not means.maps[2].any() and np.isfinite(means.crops).all()


def test_without_maps_or_classes_there_are_no_means() -> None:
    assert MapSums(3).means() is None
    maps, crops, targets = drawn()
    sums = MapSums(3)
    sums.add(maps, crops, np.full_like(targets, -1))
    assert sums.means() is None
    assert attention_section(None, NAMES) == ""
    with pytest.raises(ValueError, match="got 50, 49 and 50"):
        sums.add(maps, crops[1:], targets)


def test_gray_crops_are_shown_gray() -> None:
    maps, crops, targets = drawn()
    sums = MapSums(3)
    sums.add(maps, crops[..., :1], targets)
    means = sums.means()
    assert means is not None and means.crops.shape == (3, 8, 8, 3)
    assert (means.crops == means.crops[..., :1]).all()


def pictures(html: str) -> list[np.ndarray]:
    return [
        np.asarray(
            Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))).convert("RGB")
        ).astype(int)
        for image in Page(html).images
    ]


def test_all_pictures_share_one_scale_of_colors() -> None:
    maps = np.full((3, 4, 4), 0.2)
    maps[0, 0, 0], maps[1] = 0.5, 0.8
    means = ClassMaps(np.array([2, 1, 0]), maps, np.full((3, 8, 8, 3), 128.0))
    html = attention_section(means, NAMES)
    text = " ".join(Page(html).text.split())
    assert "0.200 (dark blue) to 0.800 (yellow)" in text
    assert "glad & loud" in text and "1 row0.800 to 0.800" in text and "sad" not in text
    bar, calm, glad = pictures(html)
    assert bar[0, 0].tolist() == [68, 1, 84] and bar[0, -1, 0] > 240
    # 0.5 is halfway to 0.8: green in the corner, not yellow; all of the other class is yellow.
    assert calm[5, 5, 1] > calm[5, 5, 0] + 25 and calm[-5, -5, 1] < calm[-5, -5, 2]
    assert (glad[..., 0] > glad[..., 2] + 60).all()


def test_equal_weights_show_nothing() -> None:
    means = ClassMaps(np.ones(3, int), np.full((3, 4, 4), 0.5), np.zeros((3, 8, 8, 3)))
    html = attention_section(means, NAMES)
    assert "same mean weight, 0.500" in Page(html).text and "<img" not in html


def test_the_section_is_on_the_page_where_there_are_maps(tmp_path: Path) -> None:
    evaluation = make(embeddings=None)
    page = write_report(evaluation, evaluate(evaluation, draws=20), tmp_path / "without")
    assert "Where the network looks" not in page.read_text()
    rng = np.random.default_rng(0)
    sums = MapSums(8)
    sums.add(rng.uniform(size=(80, 3, 3)), evaluation.crops, evaluation.targets)
    with_maps = dataclasses.replace(evaluation, attention=sums.means())
    html = write_report(with_maps, evaluate(with_maps, draws=20), tmp_path / "with").read_text()
    page_of = Page(html)
    assert "Where the network looks" in page_of.text
    assert sum("Mean attention" in image["alt"] for image in page_of.images) == 8
    with pytest.raises(ValueError, match="expected attention of 8 classes, got 3"):
        make(attention=ClassMaps(np.ones(3, int), np.zeros((3, 2, 2)), np.zeros((3, 8, 8, 3))))
