"""The people in view are told, below the picture, in full."""

from __future__ import annotations

import numpy as np
import pytest

from mien.inference.live.notice import TELL_FIRST, notice, with_strip


def test_what_is_stored_is_said() -> None:
    assert notice([]) == "Emotion recognition is running. Nothing is stored."
    assert notice(["readings"]) == "Emotion recognition is running. Stored: readings."
    assert notice(["readings", "this video"]).endswith("Stored: readings and this video.")
    assert "50(3)" in TELL_FIRST


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (240, 320), (640, 480), (64, 48)])
def test_the_strip_hides_nothing_and_is_never_cut(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    lines = [notice(["readings", "this video"]), "30 of 30 frames a second, 40 ms late; q ends"]
    made = with_strip(picture, lines)
    assert made.shape[1] == size[1] and 20 < made.shape[0] - size[0] < 0.5 * size[0] + 40
    assert (made[: size[0]] == picture).all()
    strip = made[size[0] :].max(axis=2)
    columns = np.flatnonzero((strip > 90).any(axis=0))
    assert columns[0] > 0 and columns[-1] < size[1] - 4  # room beside the text
    rows = np.flatnonzero((strip > 90).any(axis=1))
    assert rows[0] > 0 and rows[-1] < strip.shape[0] - 1
