"""The command itself, in a process of its own: hostile clients, and how it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile_uploads import hostile
from PIL import Image
from toy_videos import moving_face, write_video

pytestmark = pytest.mark.slow
data = pytest.importorskip("skimage.data", reason="the face is scikit-image's astronaut")


class Running:
    """A server that was started, and the requests of the tests."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def ask(
        self, path: str, content: bytes | None = None, kind: str = "image/jpeg", **headers: str
    ) -> tuple[int, bytes]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            content,
            {**({"content-type": kind} if content is not None else {}), **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def raw(self, content: bytes, seconds: float = 60) -> bytes:
        """Send bytes as they are, and return what comes back until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(content)
            received = b""
            with contextlib.suppress(OSError):
                while chunk := connection.recv(65536):
                    received += chunk
            return received


@contextlib.contextmanager
def server(folder: Path, *options: str, model: str = "fer") -> Iterator[Running]:
    environment = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "serve", "--port", "0", "--model", model, *options],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if match := re.search(r"http://[\d.]+:(\d+)", line):
                break
        else:
            raise AssertionError(lines)
        yield Running(process, int(match[1]))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(data.astronaut()).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("serve")) as started:
        yield started


def test_the_shipped_model_reads_the_photo(running: Running, photo: bytes) -> None:
    status, content = running.ask("/v1/predict", photo)
    assert status == 200
    assert json.loads(content)["images"][0]["faces"][0]["expression"] == "happiness"


def test_hostile_uploads_get_an_answer_and_never_500(running: Running, photo: bytes) -> None:
    rng, statuses = random.Random(0), []
    for number in range(200):
        content, kind = hostile(photo, rng)
        path = "/v1/predict" if number % 10 else "/v1/videos"
        status, answer = running.ask(path, content, kind)
        statuses.append(status)
        assert status in (200, 202, 400, 413, 415, 422, 429), (number, status, answer, kind)
        assert json.loads(answer)
    assert len(set(statuses)) >= 4, set(statuses)
    assert running.process.poll() is None
    assert running.ask("/v1/predict", photo)[0] == 200


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 100 + b"\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 200_000 + b"\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%00%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_the_connection_only(running: Running, content: bytes) -> None:
    answer = running.raw(content, seconds=15)
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:300]
    assert running.ask("/healthz")[0] == 200


def test_a_large_body_gets_its_answer_while_it_is_sent(running: Running) -> None:
    status, answer = running.ask("/v1/predict", bytes(33_000_000))
    assert status == 413 and b"at most 32 MB" in answer


def test_connections_too_many_are_told_so(tmp_path: Path) -> None:
    with server(tmp_path, "--connections", "3") as running, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", running.port)
        held = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(3)]

        def healthy(connection: socket.socket) -> bool:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(65536)
            while not answer.endswith(b"}"):  # headers and body may come apart
                answer += connection.recv(65536)
            return answer.startswith(b"HTTP/1.1 200")

        assert healthy(held[0])
        for _ in range(20):
            head, _, body = running.raw(b"").partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in head.lower()
            assert json.loads(body)["detail"].startswith("expected at most 3 connections at a time")
        assert healthy(held[0])  # those that are open go on
        held[1].close()
        end = time.monotonic() + 10
        while running.ask("/healthz")[0] != 200 and time.monotonic() < end:
            time.sleep(0.05)
        assert running.ask("/healthz")[0] == 200


def test_slow_bodies_and_headers_time_out(running: Running) -> None:
    """Both at a time, as each takes its twenty seconds."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    answers = {}

    def send(name: str, content: bytes) -> None:
        answers[name] = running.raw(content, seconds=90)

    senders = [
        threading.Thread(target=send, args=("body", head + b"Content-Length: 1000\r\n\r\nabc")),
        threading.Thread(target=send, args=("headers", head)),
        threading.Thread(target=send, args=("nothing", b"")),
    ]
    started = time.monotonic()
    for sender in senders:
        sender.start()
    assert running.ask("/healthz")[0] == 200
    for sender in senders:
        sender.join()
    assert time.monotonic() - started < 60
    assert answers["body"].startswith(b"HTTP/1.1 408")
    assert answers["headers"] == answers["nothing"] == b""


def test_a_signal_lets_requests_and_videos_end(tmp_path: Path, photo: bytes) -> None:
    video = write_video(tmp_path / "a.mp4", moving_face(40)).read_bytes()
    with server(tmp_path) as running:
        _, answer = running.ask("/v1/videos?fps=10", video, "video/mp4")
        job = json.loads(answer)["id"]
        running.process.send_signal(signal.SIGTERM)
        wait_for(lambda: running.ask("/readyz")[0] == 503)
        assert running.ask("/v1/predict", photo)[0] == 503
        wait_for(lambda: json.loads(running.ask(f"/v1/videos/{job}")[1])["state"] == "done")
        assert running.process.wait(30) == 0
    assert not list(tmp_path.glob("mien-serve-*"))


def test_a_second_signal_ends_it_at_once_and_leaves_no_file(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", moving_face(40) * 20).read_bytes()
    with server(tmp_path) as running:
        running.ask("/v1/videos?fps=10", video, "video/mp4")
        wait_for(lambda: list(tmp_path.glob("mien-serve-*")))
        running.process.send_signal(signal.SIGINT)
        wait_for(lambda: running.ask("/readyz")[0] == 503)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 130
    assert not list(tmp_path.glob("mien-serve-*"))


def wait_for(check: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_document_holds_what_it_says(running: Running, tmp_path: Path) -> None:
    """Schemathesis makes requests from the OpenAPI document and checks the answers against it."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run"),
        f"http://127.0.0.1:{running.port}/openapi.json",
        *("--max-examples", "15", "--seed", "1", "--workers", "1", "--request-timeout", "60"),
        *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
        *("--checks", "response_schema_conformance"),
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    assert running.ask("/healthz")[0] == 200
