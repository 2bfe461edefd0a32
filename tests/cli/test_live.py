"""``mien live`` as its user starts and ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from toy_videos import cut_short, moving_face, write_video

from mien.inference.live import live as module
from mien.inference.live.live import Session
from mien.inference.live.timing import Timing

if TYPE_CHECKING:
    from conftest import Command


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What the command asks for; nothing is read."""
    asked: dict[str, object] = {"ended": "stopped", "broken": False}

    def run(source: object, make_view: object, **options: object) -> Session:
        asked.update(options, source=source)
        if asked["ended"] == "interrupted":
            raise KeyboardInterrupt("interrupted; read 3 frames")
        return Session(str(asked["ended"]), Timing(), {}, broken=bool(asked["broken"]))

    monkeypatch.setattr(module, "run_live", run)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    yield asked
    for each, handler in before.items():
        signal.signal(each, handler)


def test_what_is_asked_for_and_how_it_ends(command: Command, session: dict[str, object]) -> None:
    ended = command("live")
    assert ended == (0, "", "mien: stopped; read 0 frames\n")
    assert (session["source"], session["smooth"], session["baseline"]) == ("0", 0.5, None)
    assert session["out"] is None and session["video"] is None
    given = ("--smooth", 0, "--baseline", 5, "--out", "o.csv", "--video", "o.mp4", "--seconds", 9)
    command("live", "film.mp4", *given)
    assert (session["source"], session["smooth"], session["baseline"]) == ("film.mp4", 0, 5)
    assert (session["out"], session["video"]) == (Path("o.csv"), Path("o.mp4"))
    session |= {"ended": "camera 0 gives no more pictures", "broken": True}
    ended = command("live")
    assert ended.code == 1 and ended.err.startswith("mien: camera 0 gives no more pictures; read")
    session["ended"] = "interrupted"
    assert command("live") == (130, "", "mien: interrupted; read 3 frames\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("88",), "expected a picture from camera 88, got none"),
        (("none.mp4",), "got no file at 'none.mp4'"),
        (("https://example.org/a.mp4",), "got an address"),
        (("88", "--model", "nobody"), "nobody"),
        (("88", "--out", "o.txt"), "expected a picture from camera 88"),
    ],
)
def test_wrong_use_is_a_sentence(command: Command, arguments: tuple[str, ...], text: str) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    try:
        command("live", *arguments, "--no-window").refused(text)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])


def started(*arguments: object, **options: object) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    return subprocess.Popen(
        [sys.executable, "-m", "mien", "live", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are sent")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_complete_the_table(tmp_path: Path, number: signal.Signals) -> None:
    film, out = write_video(tmp_path / "film.mp4", moving_face(600), rate=10), tmp_path / "o.csv"
    running = started(film, "--out", out)
    rows = tmp_path / "o.csv.partial" / "rows.jsonl"
    end = time.monotonic() + 60
    while not (rows.exists() and rows.stat().st_size) and time.monotonic() < end:
        time.sleep(0.1)
    running.send_signal(number)
    printed, told = running.communicate(timeout=60)
    assert running.returncode == 130 and printed == ""
    lines = told.splitlines()
    assert "Emotion recognition is running. Stored: readings." in lines[0]
    assert "article 50(3)" in lines[0]
    assert lines[-1].startswith("mien: interrupted; read ") and str(out) in lines[-1]
    assert len(out.read_text().splitlines()) > 1 and not rows.exists()
    assert "Traceback" not in told


@pytest.mark.slow
def test_a_video_to_its_end_and_one_that_is_damaged(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", moving_face(12), rate=20)
    running = started(film)
    printed, told = running.communicate(timeout=120)
    assert running.returncode == 0
    lines = printed.splitlines()
    assert lines and all(line.startswith(f"{film}  person 0  0.") for line in lines)
    assert told.splitlines()[-1].startswith(f"mien: {film} is over; read {len(lines)} of 12 frames")
    half = cut_short(write_video(tmp_path / "half.avi", moving_face(60), rate=60))
    running = started(half)
    _, told = running.communicate(timeout=120)
    assert running.returncode == 1 and "ends after" in told.splitlines()[-1], told


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the output is closed as a shell does it")
def test_a_reader_that_goes_away_ends_it(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", moving_face(600), rate=20)
    running = started(film)
    assert running.stdout is not None and running.stderr is not None
    assert running.stdout.readline().startswith(str(film))
    running.stdout.close()
    told = running.stderr.read()
    running.stderr.close()
    assert running.wait(60) == 1 and "Traceback" not in told
