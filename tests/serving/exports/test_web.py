"""The page that needs no server: what is written, and that it reads a face as mien does."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium
from PIL import Image

from mien.errors import MienError
from mien.serving.exports.web import write_web

NODE_MODULES = Path(os.environ.get("MIEN_NODE_MODULES", Path(__file__).parents[3] / "node_modules"))
READ = """(async () => {
  const model = await (await fetch('model.json')).json();
  const { findFaces } = await import('./faces.js'), { loadNetwork } = await import('./network.js');
  const find = await findFaces(model), network = await loadNetwork(model);
  const picture = await createImageBitmap(await (await fetch('photo.png')).blob());
  const faces = [];
  for (const face of find(picture, { thorough: true })) {
    faces.push({ ...await network(face.crop), box: face.box });
  }
  return faces;
})()"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The files that are copied, next to empty."""
    folder = tmp_path / "node_modules"
    bundle = "const a = 1, log = {url: 'https://odml.pa.googleapis.com/v1/log', method: 'POST'};"
    for name, text in {
        "onnxruntime-web/dist/ort.wasm.min.mjs": "",
        "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs": "",
        "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm": "",
        "@mediapipe/tasks-vision/vision_bundle.mjs": bundle,
        "@mediapipe/tasks-vision/wasm/vision_wasm_internal.js": "",
        "@mediapipe/tasks-vision/wasm/vision_wasm_internal.wasm": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_everything_that_the_page_loads_is_there(
    tmp_path: Path, model_file: Path, packages: Path
) -> None:
    site = tmp_path / "site"
    write_web(model_file, site, packages)
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    named = set(re.findall(r'(?:href|src)="([\w./]+)"', (site / "index.html").read_text()))
    for script in site.glob("*.js"):
        named |= {each for each in re.findall(r'from "\./([\w./]+)"', script.read_text())}
    assert len(named) > 12 and named <= files
    assert (site / "model.onnx").read_bytes() == model_file.read_bytes()
    description = json.loads((site / "model.json").read_text())
    assert description["preprocessing"]["size"] == 32
    assert len(description["faces"]["template"]) == 4
    for path in site.glob("*.*"):
        if path.suffix in (".html", ".js", ".css"):
            addresses = set(re.findall(r"https?://[^\"'\s)`]*", path.read_text("utf-8")))
            assert addresses <= {"http://www.w3.org/2000/svg"}, path
    assert "connect-src 'self' data: blob:;" in (site / "index.html").read_text()


def test_the_address_for_usage_data_is_taken_out(
    tmp_path: Path, model_file: Path, packages: Path
) -> None:
    write_web(model_file, tmp_path / "site", packages)
    bundle = (tmp_path / "site" / "vision" / "vision_bundle.mjs").read_text()
    assert bundle.startswith("/* Changed by mien: 1 address")
    assert "http" not in bundle and "url: 'data:,'" in bundle
    vision = packages / "@mediapipe" / "tasks-vision" / "vision_bundle.mjs"
    vision.write_text("fetch('https://example.org/')")
    with pytest.raises(MienError, match=r"example\.org"):
        write_web(model_file, tmp_path / "other", packages)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_written_is_said(
    tmp_path: Path, model_file: Path, packages: Path, write_model: Any
) -> None:
    (packages / "onnxruntime-web" / "dist" / "ort.wasm.min.mjs").unlink()
    with pytest.raises(MienError, match=r"ort\.wasm\.min\.mjs.*npm install onnxruntime-web"):
        write_web(model_file, tmp_path / "site", packages)
    with pytest.raises(MienError, match="new or empty folder"):
        write_web(model_file, packages, packages)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The page of the shipped model on a plain server of files, beside a photo."""
    data = pytest.importorskip("skimage.data", reason="the face is scikit-image's astronaut")
    if not NODE_MODULES.is_dir():
        pytest.skip("onnxruntime-web and tasks-vision are not installed; set MIEN_NODE_MODULES")
    write_web("fer", tmp_path / "site", NODE_MODULES)
    Image.fromarray(data.astronaut()).save(tmp_path / "site" / "photo.png")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
def test_the_browser_reads_the_face_as_mien_does(site: str, tmp_path: Path) -> None:
    import mien

    [expected] = mien.load(threads=1)(tmp_path / "site" / "photo.png")
    assert expected.face is not None
    with chromium(tmp_path / "profile") as page:
        page.open(site)
        [face] = page.run(READ)
        for side in ("left", "top", "width", "height"):
            assert face["box"][side] == pytest.approx(getattr(expected.face.box, side), abs=4)
        for name, share in expected.probabilities.items():
            assert face["probabilities"][name] == pytest.approx(share, abs=0.02)
        page.choose("#photo-file", tmp_path / "site" / "photo.png")
        page.wait("document.querySelector('.card')")
        assert page.run("document.querySelector('.card h3').textContent") == "happiness>99 %"
        assert not page.errors
        assert {url[: len(site)] for url in page.requests if not url.startswith("blob:")} == {site}
