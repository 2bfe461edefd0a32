"""The page as a user sees it, in a headless browser: pictures in, names and bars out."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import pytest
import uvicorn
from chromium import Page, chromium
from PIL import Image
from toy_videos import moving_face, write_video

from mien.inference.model import open_onnx
from mien.serving.app import create_app
from mien.serving.service import Service

pytestmark = pytest.mark.slow
data = pytest.importorskip("skimage.data", reason="the face is scikit-image's astronaut")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the shipped model in a thread of this process."""
    service = Service(open_onnx("fer", threads=1), None, threads=1)
    config = uvicorn.Config(create_app(service, token="secret"), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def page(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of the server, with its token given, beside a camera that shows a face."""
    folder = tmp_path_factory.mktemp("chromium")
    camera = folder / "camera.mjpeg"
    frames = moving_face(10, (320, 240))
    camera.write_bytes(
        b"".join(cv2.imencode(".jpg", frame[:, :, ::-1])[1].tobytes() for frame in frames)
    )
    with chromium(folder / "profile", f"--use-file-for-fake-video-capture={camera}") as opened:
        opened.resize(1280, 900)
        opened.open(f"{address}/")
        opened.wait("document.getElementById('token').open")
        opened.run("document.getElementById('token-value').value = 'secret'")
        opened.run("document.querySelector('#token button').click()")
        opened.wait("document.querySelector('#model b')")
        opened.errors.clear()  # the answer 401 that made the page ask
        yield opened


@pytest.fixture(autouse=True)
def stays_at_home(page: Page, address: str) -> Iterator[None]:
    """No test makes the page ask anybody else, break its policy or raise an error."""
    yield
    hosts = {urlsplit(url).netloc for url in page.requests if not url.startswith(("blob:", "data"))}
    assert hosts == {urlsplit(address).netloc}
    assert not page.errors
    page.errors.clear()


def test_a_photo_gets_a_name_bars_and_a_table(page: Page, tmp_path: Path) -> None:
    Image.fromarray(data.astronaut()).save(tmp_path / "<b>face.jpg")
    page.choose("#photo-file", tmp_path / "<b>face.jpg")
    page.wait("document.querySelector('#photo .card')")
    assert page.run("document.querySelector('#photo .card h3').textContent") == "happiness>99 %"
    assert page.run("document.querySelector('#photo .bars').children.length") == 8
    # Probabilities are percents, intensities of action units are numbers from 0 to 1.
    assert page.run("document.querySelector('#photo h4').textContent").endswith("0 to 1")
    shares = "[...document.querySelectorAll('#photo .share')].map((each) => each.textContent)"
    texts = page.run(shares)
    assert all(text.endswith(" %") for text in texts[:8]) and len(texts) == 16
    assert all(re.fullmatch(r"[01]\.\d\d", text) for text in texts[8:])
    width = "document.querySelector('#photo .bars rect').width.baseVal.value"
    assert page.run(width) > 95
    assert page.run("document.querySelector('#photo .caption b').textContent") == "<b>face.jpg"
    assert page.run("document.querySelector('#photo canvas').width") == 512
    # The frame is drawn over the picture, in the color of the expression.
    row = "document.querySelector('#photo canvas').getContext('2d').getImageData(175, 120, 12, 1)"
    pixels = page.run(f"[...{row}.data]")
    yellow = [
        p for p in zip(*(pixels[c::4] for c in range(3)), strict=True) if p[0] > 200 > 2 * p[2]
    ]
    assert yellow
    table = "import('/table.js').then(({csvOf}) => csvOf([{source: '=1', box: {a: 1, b: 2}, x: "
    assert page.run(f"{table}'a,\"b', p: {{n: 0.5}}, n: null}}]).text())") == (
        'source,box,x,p,n\r\n./=1,1.0 2.0,"a,""b","{""n"":0.5}",\r\n'
    )
    page.run("document.getElementById('photo-clear').click()")
    assert not page.run("document.querySelectorAll('#photo .card').length")


def test_a_file_that_is_no_photo_is_a_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    page.choose("#photo-file", tmp_path / "notes.txt")
    page.wait("document.querySelector('#photo-status.bad')")
    text = page.run("document.getElementById('photo-status').textContent")
    assert text.startswith("notes.txt: Expected an image, got a text file")
    page.errors.clear()  # the browser lists the answer 422


def test_tabs_follow_the_keyboard(page: Page) -> None:
    page.run("document.getElementById('tab-photo').focus()")
    page.press("ArrowRight")
    assert page.run("document.activeElement.id") == "tab-camera"
    assert not page.run("document.getElementById('camera').hidden")
    page.press("End")
    assert page.run("document.activeElement.id") == "tab-video"
    page.press("Home")
    assert page.run("document.activeElement.id") == "tab-photo"
    assert page.run("document.querySelectorAll('[role=tabpanel]:not([hidden])').length") == 1


def test_the_camera_is_read_with_the_notice_in_view(page: Page) -> None:
    page.run("document.getElementById('tab-camera').click()")
    page.run("document.getElementById('camera-start').click()")
    page.wait("document.querySelector('#camera-faces .card')")
    notices = "document.getElementById('camera').innerText"
    assert "article 50(3)" in page.run(notices)
    assert "Emotion recognition is running" in page.run(notices)
    page.run("document.getElementById('camera-start').click()")
    page.wait("!document.getElementById('camera-table').hidden")
    assert page.run("document.getElementById('camera-stream').srcObject") is None


def test_a_video_gets_persons_and_a_timeline(page: Page, tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.webm", moving_face(20, (320, 240)), codec="libvpx")
    page.run("document.getElementById('tab-video').click()")
    page.choose("#video-file", video)
    page.wait("document.querySelector('#video .person .card')")
    assert "happiness" in page.run("document.querySelector('#video .card h3').textContent")
    assert page.run("document.querySelectorAll('#video .area').length") == 8
    assert page.run("document.querySelectorAll('#video-tables button').length") == 4


@pytest.mark.parametrize("name", ["", "docs.html"])
def test_nothing_is_out_of_reach_on_a_phone(page: Page, address: str, name: str) -> None:
    page.resize(390, 844)
    page.open(f"{address}/{name}")
    page.wait("document.querySelector('h1')")
    assert page.run("document.documentElement.scrollWidth") == 390
    page.resize(1280, 900)
