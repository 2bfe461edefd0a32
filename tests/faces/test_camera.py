"""A camera through OpenCV: its frames, its end, and none at all. A video stands in for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from toy_videos import write_video

from mien.errors import MienError
from mien.faces.camera import Camera


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every camera is a video of red frames; the captures that were opened."""
    red = np.zeros((120, 160, 3), np.uint8)
    red[..., 0] = 220
    path = write_video(tmp_path / "red.mp4", [red] * 4)
    opened: list[Any] = []
    really = cv2.VideoCapture

    def capture(*which: Any) -> Any:
        opened.append((which, really(str(path))))
        return opened[-1][1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    return opened


def test_frames_in_rgb_until_it_is_unplugged(plugged: list[Any]) -> None:
    with Camera(2) as camera:
        assert camera.name == "camera 2" and camera.size == (160, 120)
        assert camera.damage == ""
        frames = list(camera.frames())
        assert camera.damage == "camera 2 gives no more pictures"
    assert [frame.index for frame in frames] == [0, 1, 2]  # one was read to see whether it can
    times = [frame.time for frame in frames]
    assert times[0] == 0 and times == sorted(times)
    for frame in frames:
        assert frame.pixels.shape == (120, 160, 3) and frame.pixels.dtype == np.uint8
        red, green, blue = frame.pixels.reshape(-1, 3).mean(0)
        assert red > 180 > 60 > max(green, blue)
    [(which, capture)] = plugged
    assert which[0] == 2 and not capture.isOpened()


def test_a_device_is_read_as_one(plugged: list[Any]) -> None:
    with Camera("/dev/video5") as camera:
        assert camera.name == "/dev/video5"
    assert plugged[0][0] == ("/dev/video5", cv2.CAP_V4L2)


@pytest.mark.parametrize("camera", [77, "/dev/video77"])
def test_none(camera: int | str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MienError, match=r"expected a picture from .*77, got none; connect"):
        Camera(camera)
    assert capfd.readouterr().err == ""  # OpenCV's own warnings
