"""Who may ask, and what every answer says to a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mien.serving.template import PAGE, index_page

Refused = Callable[..., None]
EVERYTHING = ("/", "/docs.html", "/openapi.json", "/v1/model", "/healthz", "/metrics", "/nowhere")


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_answer_keeps_browsers_at_home(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert not re.search(r"http|\*|unsafe", policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_no_page_names_another_address() -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        addresses = set(re.findall(r"https?://[^\"'\s)`]*", path.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:80", "192.168.1.7:7860"])
def test_the_server_answers_to_its_names_and_addresses(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "", "a" * 5000])
def test_other_names_are_refused(client: TestClient, refused: Refused, host: str) -> None:
    refused(client.get("/healthz", headers={"host": host}), 421, "--allow-host")


def test_pages_of_others_cannot_ask(start: Any, refused: Refused, photo: bytes) -> None:
    client = start()
    for origin in ("https://example.org", "null", "http://localhost:1"):
        response = client.post("/v1/predict", content=photo, headers={"origin": origin})
        refused(response, 403, origin)
    same = client.post("/v1/predict", content=photo, headers={"origin": "http://localhost"})
    assert same.status_code == 200
    opened = start(origins=["https://example.org"])
    response = opened.post("/v1/predict", content=photo, headers={"origin": "https://example.org"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://example.org"


def test_a_token_guards_what_reads_pictures(start: Any, refused: Refused, photo: bytes) -> None:
    client = start(token="secret")
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic secret"}):
        response = client.post("/v1/predict", content=photo, headers=headers)
        refused(response, 401, "Bearer TOKEN")
        assert response.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics", headers=headers).status_code == 401
    given = {"authorization": "bearer secret"}
    assert client.post("/v1/predict", content=photo, headers=given).status_code == 200
    for path in ("/", "/healthz", "/readyz", "/openapi.json"):
        assert client.get(path).status_code == 200
    operation = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
    assert operation["security"] == [{"token": []}]
    odd = {"authorization": "Bearer \u00e9".encode("latin-1")}
    refused(client.get("/v1/model", headers=odd), 401)


def test_a_wrong_path_or_method_is_a_sentence(client: TestClient, refused: Refused) -> None:
    refused(client.get("/v1/nothing"), 404, "/v1/nothing")
    response = client.get("/v1/predict")
    refused(response, 405, "GET")
    assert response.headers["allow"] == "POST"
    assert client.put("/v1/videos/abc").headers["allow"] == "DELETE, GET"
    assert client.put("/").headers["allow"] == "GET"
    assert client.get("/../pyproject.toml").status_code == 404
    assert client.get("/%2e%2e/app.py").status_code == 404


def test_a_fault_of_the_server_is_a_problem_without_details(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, photo: bytes
) -> None:
    from mien.serving.service import Service

    def fail(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Service, "predict", fail)
    response = client.post("/v1/predict", content=photo)
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text


def test_a_page_has_the_parts_of_its_kind() -> None:
    server, browser = index_page("server"), index_page("browser")
    assert 'id="tab-video"' in server and 'id="token"' in server and "app.js" in server
    assert "video-file" not in browser and "app.js" not in browser and "browser.js" in browser
    for page in (server, browser):
        assert "<!--" not in page and page.startswith("<!doctype html>")
        assert page.count("<section ") == page.count("</section>") == page.count("<h2") + 2
        assert "article 50(3)" in page and "Emotion recognition is running" in page


def test_the_page_is_there(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.status_code == 200 and "article 50(3)" in page.text
    for name in re.findall(r'(?:href|src)="([\w.]+)"', page.text):
        if not (Path(PAGE) / name).is_file():
            raise AssertionError(name)
