"""What a server says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from mien import __version__
from mien.inference.drawing.colors import COLORS


def test_the_model_and_the_limits(start: Any, write_model: Any) -> None:
    client = start(model=write_model(affect=2, units=12), queue=7)
    answer = client.get("/v1/model").json()
    [model] = answer["models"]
    assert answer["version"] == __version__ and answer["limits"]["queue"] == 7
    assert model["reads"] == "faces" and model["license_terms"] == "for tests"
    assert set(model["heads"]) == {"expression", "valence_arousal", "action_units"}
    assert model["colors"]["anger"] == "#{:02x}{:02x}{:02x}".format(*COLORS["anger"])
    assert len(model["colors"]) == 8 + 12


def test_all_heads_are_in_a_row(start: Any, write_model: Any, photo: bytes) -> None:
    client = start(model=write_model(affect=2, units=12))
    [face] = client.post("/v1/predict", content=photo).json()["images"][0]["faces"]
    assert -1 <= face["valence"] <= 1 and -1 <= face["arousal"] <= 1
    assert len(face["action_units"]) == 12


def test_health_and_readiness(client: TestClient, refused: Callable[..., None]) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.app.state.service.draining = True  # type: ignore[attr-defined]
    refused(client.get("/readyz"), 503, "about to end")
    assert client.get("/healthz").status_code == 200
    response = client.post("/v1/predict", content=b"x")
    refused(response, 503, "about to end")
    assert response.headers["retry-after"]
    refused(client.post("/v1/videos", content=b"x"), 503, "about to end")


def test_metrics_count(client: TestClient, photo: bytes, black: bytes) -> None:
    client.post("/v1/predict", content=photo)
    client.post("/v1/predict", content=black)
    client.post("/v1/predict", content=b"x", headers={"content-type": "text/plain"})
    client.get("/invented/by/the/client")
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert values["mien_requests_total", "/v1/predict", "200", "POST"] == 2
    assert values["mien_requests_total", "/v1/predict", "415", "POST"] == 1
    assert values["mien_predictions_total", "ok"] == 1
    assert values["mien_predictions_total", "no-face"] == 1
    assert values["mien_request_seconds_count", "/v1/predict"] == 3
    assert values["mien_requests_admitted",] == 0
    assert not [key for key in values if "/invented" in " ".join(map(str, key))]


def test_the_document_describes_every_route(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        *("/v1/predict", "/v1/videos", "/v1/videos/{identity}", "/v1/videos/{identity}/table"),
        *("/v1/model", "/healthz", "/readyz", "/metrics"),
    }
    predict = document["paths"]["/v1/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {
        *("multipart/form-data", "image/*", "application/octet-stream"),
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], path
    assert not re.search(r"https?://", client.get("/docs.html").text)
