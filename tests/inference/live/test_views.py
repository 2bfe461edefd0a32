"""Lines in a terminal, a window on a screen that nobody sees, and neither."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from mien.errors import MienError
from mien.inference.live.views import Terminal, Window, window_or_terminal
from mien.inference.rows import Rows
from mien.models import parse_info
from mien.schema import Box, Face, Prediction, Status

from ..conftest import description

NOTICE = "Emotion recognition is running. Nothing is stored."


@pytest.fixture
def rows() -> Rows:
    return Rows("frames", parse_info(json.dumps(description()), "tiny"))


def seen(track: int, share: float) -> Prediction:
    return Prediction(
        Status.OK,
        "camera 0",
        frame=4,
        time=0.5,
        track=track,
        face=Face(Box(1, 1, 50, 50), 0.9),
        expression="anger",
        confidence=share,
        probabilities={"anger": share, "neutral": 1 - share},
    )


def test_a_line_per_face_and_frame_where_nobody_watches(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    view = Terminal(rows, NOTICE)
    view.show(None, [seen(0, 0.8), seen(1, 0.7)], "30 of 30 frames a second")
    assert not view.stopped()
    view.close()
    assert capsys.readouterr().out == (
        "camera 0  person 0  0.50 s  anger 80 %\ncamera 0  person 1  0.50 s  anger 70 %\n"
    )
    view = Terminal(rows, NOTICE, lines=False)
    view.show(None, [seen(0, 0.8)], "")
    view.close()
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_lines_are_drawn_over_and_q_ends() -> None:
    import pty
    import termios

    program = (
        "import sys, time\n"
        "from mien.inference.live.views import Terminal\n"
        "from mien.inference.rows import Rows\n"
        "from mien.models import read_onnx_info\n"
        "from mien.models import find_model\n"
        "from mien.schema import *\n"
        "info = read_onnx_info(find_model('fer'))\n"
        f"view = Terminal(Rows('frames', info), {NOTICE!r})\n"
        "for number in range(1000):\n"
        "    shares = {'anger': 0.25 + number / 2000}\n"
        "    face = Face(Box(1, 1, 50, 50), 0.9)\n"
        "    seen = Prediction(Status.OK, track=0, face=face, probabilities=shares)\n"
        "    view.show(None, [seen], '5 of 30 frames a second')\n"
        "    if view.stopped(): break\n"
        "    time.sleep(0.01)\n"
        "view.close()\n"
        "print('ended', number < 999)\n"
    )
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    running = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    shown = b""
    while b"anger" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, b"q")
    while b"ended True" not in shown and b"ended False" not in shown:  # comes in pieces
        shown += os.read(ours, 4096)
    assert running.wait(20) == 0
    assert b"ended True" in shown and b"Nothing is stored" in shown and b"person 0" in shown
    assert b"\x1b[2K" in shown  # a line is cleared before it is drawn again
    assert b"\x1b[?25l" in shown and b"\x1b[?25h" in shown  # the cursor is hidden, and comes back
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_no_screen_is_a_sentence(monkeypatch: pytest.MonkeyPatch, rows: Rows) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    if sys.platform != "linux":
        pytest.skip("screens are named in DISPLAY on Linux only")
    with pytest.raises(MienError, match=r"expected a (screen|Python with Tk) for a window, got"):
        Window("mien")
    with pytest.raises(MienError, match="for a window"):
        window_or_terminal(True, "mien", lines=True)(rows, NOTICE)


def test_without_a_screen_there_are_lines_and_a_reason(
    monkeypatch: pytest.MonkeyPatch, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform != "linux":
        pytest.skip("screens are named in DISPLAY on Linux only")
    monkeypatch.setenv("DISPLAY", ":987")
    view = window_or_terminal(None, "mien", lines=True)(rows, NOTICE)
    assert isinstance(view, Terminal)
    view.close()
    assert capsys.readouterr().err.startswith("mien: there is no window without ")
    window_or_terminal(False, "mien", lines=True)(rows, NOTICE).close()
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """A screen that nobody sees."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb")
    pytest.importorskip("tkinter", reason="needs a Python with Tk")
    reading, writing = os.pipe()
    running = subprocess.Popen(
        [program, "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as stream:
        number = stream.readline().strip()
    assert number, "Xvfb has not started"
    yield f":{number}"
    running.terminate()
    running.wait(10)


@pytest.mark.slow
def test_a_window_shows_the_picture_and_q_closes_it(
    screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import ImageGrab

    monkeypatch.setenv("DISPLAY", screen)
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[..., 1] = 200
    with Window("mien: camera 0") as window:
        for _ in range(20):
            window.show(picture, [], "")
            assert not window.stopped()
            time.sleep(0.02)
        grabbed = np.asarray(ImageGrab.grab(xdisplay=screen))
        green = (grabbed == (0, 200, 0)).all(axis=2)
        assert green.sum() == 300 * 400
        # A larger picture than the screen is made smaller, in its own shape.
        window.show(np.full((1200, 1600, 3), (0, 0, 250), np.uint8), [], "")
        for _ in range(20):
            window.stopped()
            time.sleep(0.02)
        grabbed = np.asarray(ImageGrab.grab(xdisplay=screen))
        blue = (grabbed == (0, 0, 250)).all(axis=2)
        rows, columns = np.flatnonzero(blue.any(1)), np.flatnonzero(blue.any(0))
        assert len(columns) == 720 and len(rows) == 540
        window._root.event_generate("<KeyPress-q>")
        assert window.stopped()


@pytest.mark.slow
def test_closing_the_window_ends(screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", screen)
    window = Window("mien")
    window._root.tk.call("wm", "protocol", ".", "WM_DELETE_WINDOW")
    window._stop()
    assert window.stopped()
    window._root.destroy()
    window.show(np.zeros((30, 40, 3), np.uint8), [], "")  # in between it is gone
    assert window.stopped()
    window.close()
