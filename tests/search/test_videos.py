"""Moments of videos: every person in time, and the frames that they came from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from toy_videos import moving_face, write_video

from mien.faces.detection.detect import Detector
from mien.search.build import build_index
from mien.search.query import with_units
from mien.search.results import pictures_of
from mien.search.units import parse_units


def test_moments_of_a_video_and_their_pictures(
    tmp_path: Path, model_file: Path, smiles: Detector
) -> None:
    frames = moving_face(50)
    for frame in frames:
        frame[:40, :40] = 160  # by which the detector of the tests gives it a smile
    path = write_video(tmp_path / "a.mp4", frames)
    index = build_index([path], tmp_path / "index", model=model_file, detector=smiles, fps=2)
    assert len(index) == 10 and index.info.fps == 2
    assert [index.row(n)["time"] for n in range(4)] == [0, 0.5, 1, 1.5]
    assert {index.row(n)["track"] for n in range(10)} == {index.row(0)["track"]}
    answer = with_units(index, parse_units("AU12"))
    times = sorted(index.row(match.number)["time"] for match in answer.matches)
    assert len(times) == 2 or len(times) == 3
    assert min(np.diff(times)) >= 2
    assert answer.passed_over["same moment"] + len(times) == 10
    pictures = pictures_of(index, [match.number for match in answer.matches])
    assert all(picture is not None and picture.shape == (90, 90, 3) for picture in pictures)
    path.unlink()
    assert pictures_of(index, [0]) == [None]


def test_an_extra_that_is_missing_is_named(command, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    from skimage import data
    from skimage.io import imsave

    imsave(tmp_path / "photo.png", data.astronaut())
    command("index", "photo.png", "--out", "made").refused('pip install "mien[search]"')
    assert not (tmp_path / "made").exists()
