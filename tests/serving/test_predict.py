"""``POST /v1/predict``: what comes back, and what is refused how."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mien.inference.rows import FACE_COLUMNS
from mien.inference.tables import write_table

Refused = Callable[..., None]


def form(**files: bytes) -> dict[str, Any]:
    return {"files": [("image", (name, content)) for name, content in files.items()]}


def test_a_photo_in_a_form(client: TestClient, photo: bytes) -> None:
    response = client.post("/v1/predict", **form(portrait=photo))
    assert response.status_code == 200
    answer = response.json()
    [image] = answer["images"]
    assert (image["source"], image["status"], image["reason"]) == ("portrait", "ok", None)
    assert (image["width"], image["height"]) == (160, 120)
    [face] = image["faces"]
    assert tuple(face)[: len(FACE_COLUMNS)] == FACE_COLUMNS
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["confidence"] == max(face["probabilities"].values())


def test_the_row_is_that_of_mien_predict(
    start: Any, model_file: Path, photo: bytes, tmp_path: Path
) -> None:
    client = start()
    predictor = client.app.state.service._predictor()
    (tmp_path / "p.png").write_bytes(photo)
    write_table(predictor(tmp_path / "p.png"), tmp_path / "t.jsonl", predictor.info)
    expected = json.loads((tmp_path / "t.jsonl").read_text())
    [image] = client.post("/v1/predict", **form(**{"p.png": photo})).json()["images"]
    assert image["faces"] == [expected | {"source": "p.png"}]


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "IMAGE/PNG; a=b", ""])
def test_a_photo_as_the_body(client: TestClient, photo: bytes, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    response = client.post("/v1/predict", content=photo, headers=headers)
    assert response.status_code == 200
    assert len(response.json()["images"][0]["faces"]) == 1


def test_several_photos_keep_their_order(client: TestClient, photo: bytes, black: bytes) -> None:
    response = client.post("/v1/predict", **form(a=photo, b=black, c=b"nothing", d=photo))
    images = response.json()["images"]
    assert [image["source"] for image in images] == ["a", "b", "c", "d"]
    assert [image["status"] for image in images] == ["ok", "no-face", "unreadable", "ok"]
    assert "text file" in images[2]["reason"] and images[2]["width"] is None
    assert images[1]["faces"] == [] and "no face" in images[1]["reason"]


def test_tight_crops_need_no_detector(start: Any, black: bytes) -> None:
    response = start().post("/v1/predict?tight=true", **form(a=black))
    assert response.json()["images"][0]["faces"][0]["alignment"] == "fixed"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\a\\passwd", "a/passwd", "pass\nwd", "\u202epasswd"]
)
def test_names_of_files_are_names_only(client: TestClient, photo: bytes, name: str) -> None:
    response = client.post("/v1/predict", files=[("image", (name, photo))])
    source = response.json()["images"][0]["source"]
    assert source.replace("?", "").endswith("wd") and "/" not in source and source.isprintable()


def test_what_nobody_can_read_is_refused(
    client: TestClient, refused: Refused, photo: bytes
) -> None:
    refused(client.post("/v1/predict", **form(a=b"hello")), 422, "text file")
    refused(client.post("/v1/predict", **form(a=photo[:200])), 422, "damaged")
    refused(client.post("/v1/predict", content=b""), 422, "empty body")
    refused(client.post("/v1/predict", **form(a=b"")), 422, "empty file")
    refused(client.post("/v1/predict?tight=perhaps", **form(a=photo)), 422, "tight", "perhaps")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "video/mp4", "x" * 300])
def test_other_types_are_refused(client: TestClient, refused: Refused, kind: str) -> None:
    response = client.post("/v1/predict", content=b"{}", headers={"content-type": kind})
    refused(response, 415, "multipart/form-data", kind[:100])


@pytest.mark.parametrize(
    "content", [b"", b"--b", b"--b\r\nno header\r\n\r\n\r\n--b--", b"--c\r\n", b"\xff" * 100]
)
def test_damaged_forms_are_refused(client: TestClient, refused: Refused, content: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    response = client.post("/v1/predict", content=content, headers=headers)
    assert response.status_code in (400, 422)
    refused(response, response.status_code)


def test_a_form_without_boundary_or_files_is_refused(client: TestClient, refused: Refused) -> None:
    headers = {"content-type": "multipart/form-data"}
    refused(client.post("/v1/predict", content=b"--b", headers=headers), 400, "boundary")
    response = client.post("/v1/predict", files={"image": (None, "no file")})
    refused(response, 422, "at least one file")


def test_bodies_have_a_limit(start: Any, refused: Refused, photo: bytes) -> None:
    client = start(body_bytes=len(photo) + 500)
    assert client.post("/v1/predict", **form(a=photo)).status_code == 200
    refused(client.post("/v1/predict", **form(a=photo + bytes(600))), 413, "at most")
    chunked = client.post("/v1/predict", content=iter([photo, bytes(600)]))
    refused(chunked, 413, "at most")
    refused(start(images=2).post("/v1/predict", **form(a=photo, b=photo, c=photo)), 413, "2 files")


def test_pixels_have_a_limit(start: Any, refused: Refused, photo: bytes) -> None:
    client = start(pixels=160 * 120 - 1)
    refused(client.post("/v1/predict", **form(a=photo)), 422, "19,199 pixels", "160 x 120")


def test_a_bomb_is_refused_by_its_header(client: TestClient, refused: Refused) -> None:
    rows = zlib.compress(bytes(60_000 * 10))
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    chunks = [header, b"IDAT" + rows, b"IEND"]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        for chunk in chunks
    )
    refused(client.post("/v1/predict", **form(a=bomb)), 422, "60,000 x 60,000")


def test_photos_are_not_written_to_a_disk(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form of two megabytes does not spill into a temporary file."""
    import tempfile

    def fail(*arguments: Any, **options: Any) -> io.BytesIO:
        raise AssertionError("a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    response = client.post("/v1/predict", **form(a=photo + bytes(2_000_000)))
    assert response.status_code == 200


def test_a_model_of_clips_wants_videos(model_file: Path, refused: Refused, photo: bytes) -> None:
    from mien.serving.app import create_app
    from mien.serving.service import Service

    with TestClient(create_app(Service(None, None)), base_url="http://localhost") as client:
        refused(client.post("/v1/predict", **form(a=photo)), 422, "/v1/videos")
