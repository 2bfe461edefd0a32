"""A server without sockets: the application of a tiny model, asked in the same process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tiny_model import tiny_inference

from mien.inference.model import open_onnx
from mien.serving.app import create_app
from mien.serving.limits import Limits
from mien.serving.service import Service

tiny = tiny_inference()
write_model = tiny.write_model
model_file = tiny.model_file

Start = Callable[..., TestClient]


@pytest.fixture
def start(model_file: Path) -> Iterator[Start]:
    """Starts an application with limits and options; its client is closed at the end."""
    clients: list[TestClient] = []

    def started(
        *, model: Path | None = None, detector: Any = tiny.OneFace, threads: int = 1, **options: Any
    ) -> TestClient:
        limits = Limits(**{key: options.pop(key) for key in list(options) if hasattr(Limits, key)})
        faces = open_onnx(model or model_file, threads=1)
        service = Service(faces, None, limits=limits, detector=detector, threads=threads)
        app = create_app(service, **options)
        app.state.service = service
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield started
    for client in clients:
        client.__exit__()


@pytest.fixture
def client(start: Start) -> TestClient:
    return start()


def encoded(pixels: Any = None, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(tiny.picture() if pixels is None else pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture
def photo() -> bytes:
    return encoded()


@pytest.fixture
def black() -> bytes:
    """A picture in which the detector of the tests sees nobody."""
    return encoded(np.zeros((120, 160, 3), np.uint8))


def problem(response: Any, status: int, *texts: str) -> None:
    """Assert that a response is a problem with one sentence that has these texts."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert set(document) == {"type", "title", "status", "detail"}
    assert document["status"] == status and document["title"]
    for text in ("expected ", *texts):
        assert text in document["detail"]


@pytest.fixture
def refused() -> Callable[..., None]:
    return problem
