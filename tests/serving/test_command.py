"""``mien serve``: what it refuses before it listens, in one sentence."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from typing import Any

import pytest


def test_a_missing_extra_is_the_line_that_installs_it(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fastapi" else find_spec(name)
    )
    command("serve").refused("fastapi", 'pip install "mien[serve]"')


def test_a_port_that_is_taken(command: Any, model_file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command("serve", "--model", model_file, "--port", port).refused(f"port {port}", "--port")


@pytest.mark.parametrize("content", ["", " \n", "two words", "\u00e9"])
def test_a_file_without_a_token(command: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content, "utf-8")
    command("serve", "--token-file", tmp_path / "token").refused("token")


def test_a_model_that_is_not_there(command: Any) -> None:
    command("serve", "--model", "nothing.onnx").refused("nothing.onnx")
    command("serve", "--host", "999.1.1.1").refused("999.1.1.1")
