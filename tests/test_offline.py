"""No command looks for anybody: not mien, and not what it depends on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_videos import moving_face, write_video

CHECK = Path(__file__).parents[2] / "shared" / "tools" / "offline_check.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECK.is_file(), reason="needs shared/tools/offline_check.py"),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("unshare") is None,
        reason="needs root on Linux, for a network of its own",
    ),
]

SMALL = ("backbone.name=test_resnet", "schedule.epochs=1", "embedding.size=8")


def watched(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in a network of its own, at home in ``folder``."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    # What a user's shell has not: the variable that mien is to set by itself.
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    return subprocess.run(
        [sys.executable, str(CHECK), "--", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_look_up_would_be_noticed(tmp_path: Path) -> None:
    code = "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass"
    result = watched(tmp_path, sys.executable, "-c", code)
    assert result.returncode == 1 and "example.org" in result.stderr


def test_no_command_asks_for_a_name_or_calls_anybody(toy_folder: Path, tmp_path: Path) -> None:
    from skimage import data
    from skimage.io import imsave

    imsave(tmp_path / "photo.png", data.astronaut())
    write_video(tmp_path / "film.mp4", moving_face(10))
    changes = [part for change in SMALL for part in ("--set", change)]
    for command in (
        ("predict", "photo.png", "--out", "faces.csv", "--annotate", "drawn"),
        ("live", "film.mp4", "--no-window", "--out", "live.csv", "--video", "shown.mp4"),
        ("models", "fer"),
        ("index", "photo.png", "--out", "index"),
        ("search", "index", "photo.png", "--html", "alike.html"),
        ("prepare", "folder", str(toy_folder), "--out", "data", "--size", "32", "--workers", "1"),
        ("train", "softmax", "--data", "data", "--out", "run", "--threads", "1", *changes),
        ("evaluate", "run", "--data", "data", "--split", "test"),
        ("export", "run", "--out", "mine.onnx"),
        ("compare", "run", "mine.onnx", "--data", "data", "--out", "comparison"),
        ("synth", "rendered", "--faces", "25", "--plain", "--size", "32", "--workers", "1"),
    ):
        result = watched(tmp_path, sys.executable, "-m", "mien", *command)
        # No face is seen in one of the drawings that are prepared.
        expected = 1 if command[0] == "prepare" else 0
        assert result.returncode == expected, (command, result.stderr[-2000:])
        assert "names asked for: none; calls: none" in result.stderr, command
    # onnxruntime would have left an identity of this machine there.
    assert not [path for path in (tmp_path / "home").rglob("*") if "onnxruntime" in path.name]


SERVED = """
import json, re, signal, subprocess, sys, urllib.request
command = [sys.executable, "-m", "mien", "serve", "--port", "0"]
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
address = re.search(r"http://\\S+", server.stderr.readline())[0]
body, headers = open("photo.png", "rb").read(), {"content-type": "image/png"}
request = urllib.request.Request(address + "/v1/predict", body, headers)
assert len(json.load(urllib.request.urlopen(request))["images"][0]["faces"]) == 1
for path in ("/", "/docs.html", "/openapi.json", "/metrics", "/v1/model"):
    assert urllib.request.urlopen(address + path).status == 200
server.send_signal(signal.SIGTERM)
assert server.wait(60) == 0
"""


def test_the_server_asks_nobody(tmp_path: Path) -> None:
    from skimage import data
    from skimage.io import imsave

    imsave(tmp_path / "photo.png", data.astronaut())
    result = watched(tmp_path, sys.executable, "-c", SERVED)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "names asked for: none; calls: none" in result.stderr
