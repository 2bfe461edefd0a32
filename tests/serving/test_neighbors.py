"""A server with an index: each face comes with its nearest faces where somebody asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image

from mien.inference.model import open_onnx
from mien.search.build import build_index
from mien.search.neighbors import Neighbors
from mien.serving.app import create_app
from mien.serving.service import Service


def test_neighbors_are_given_on_request(model_file: Path, photo: bytes, tmp_path: Path) -> None:
    from tiny_inference import OneFace, picture

    for number in range(6):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    index = build_index([tmp_path], tmp_path / "index", model=model_file, detector=OneFace())
    service = Service(
        open_onnx(model_file, threads=1),
        None,
        detector=OneFace,
        threads=1,
        neighbors=Neighbors(index),
    )
    with TestClient(create_app(service), base_url="http://localhost") as client:

        def ask(query: str) -> dict[str, Any]:
            headers = {"content-type": "image/png"}
            answer = client.post(f"/v1/predict{query}", content=photo, headers=headers)
            assert answer.status_code == 200
            return dict(answer.json()["images"][0]["faces"][0])

        assert "neighbors" not in ask("")
        neighbors = ask("?neighbors=true")["neighbors"]
        assert len(neighbors) == 5
        assert neighbors[0]["similarity"] > 0.999  # the photo itself is in the index
        assert all(each["picture"].startswith("data:image/jpeg") for each in neighbors)
        assert str(tmp_path) not in str(neighbors)


def test_a_server_without_an_index_has_none_to_give(client: TestClient, photo: bytes) -> None:
    answer = client.post(
        "/v1/predict?neighbors=true", content=photo, headers={"content-type": "image/png"}
    )
    assert answer.status_code == 200
    assert "neighbors" not in answer.json()["images"][0]["faces"][0]
