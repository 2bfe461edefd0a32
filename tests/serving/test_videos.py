"""``/v1/videos``: hand in, ask, fetch, cancel; and nothing is left behind."""

from __future__ import annotations

import csv
import io
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from toy_videos import moving_face, write_video

from mien.inference.rows import FACE_COLUMNS, PERSON_COLUMNS

pytest.importorskip("av", reason="videos are read with PyAV")
Refused = Callable[..., None]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "face.mp4"
    return write_video(path, moving_face(12)).read_bytes()


def ended(client: TestClient, answer: Any) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = client.get(f"/v1/videos/{answer['id']}").json()
        if answer["state"] not in ("waiting", "running"):
            return answer
        time.sleep(0.02)
    raise AssertionError(answer)


def folder_of(client: TestClient) -> Path:
    folder = client.app.state.service.jobs._folder  # type: ignore[attr-defined]
    assert folder is not None
    return Path(folder)


def test_a_video_from_hand_in_to_table(start: Any, write_model: Any, video: bytes) -> None:
    client = start(model=write_model(affect=2, units=12))
    response = client.post("/v1/videos?fps=10", files={"video": ("my face.mp4", video)})
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/videos/{response.json()['id']}"
    answer = ended(client, response.json())
    assert (answer["state"], answer["source"]) == ("done", "my face.mp4")
    assert answer["total_seconds"] == pytest.approx(1.2)
    [person] = answer["persons"]
    assert tuple(person["summary"])[: len(PERSON_COLUMNS)] == PERSON_COLUMNS
    assert person["summary"]["source"] == "my face.mp4" and person["summary"]["frames"] == 12
    line = person["timeline"]
    assert len(line["start"]) == len(line["end"]) == len(line["valence"]) == 12
    assert {len(values) for values in line["probabilities"].values()} == {12}
    assert len(line["action_units"]) == 12
    frames = client.get(f"/v1/videos/{answer['id']}/table?rows=frames&format=csv")
    rows = list(csv.DictReader(io.StringIO(frames.text)))
    assert len(rows) == 12 and {row["source"] for row in rows} == {"my face.mp4"}
    assert tuple(rows[0])[: len(FACE_COLUMNS)] == FACE_COLUMNS
    for path in answer["tables"]:
        table = client.get(path)
        assert table.status_code == 200
        assert "attachment" in table.headers["content-disposition"]
        if "parquet" in path:
            assert pq.read_table(io.BytesIO(table.content)).schema.metadata[b"mien"]
    assert len(answer["tables"]) == 6


def test_files_are_private_and_go(start: Any, video: bytes, refused: Refused) -> None:
    client = start()
    answer = ended(client, client.post("/v1/videos", content=video).json())
    folder = folder_of(client)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files and all(path.suffix in (".csv", ".jsonl", ".parquet") for path in files)
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert client.delete(f"/v1/videos/{answer['id']}").status_code == 204
    assert not list(folder.iterdir())
    refused(client.get(f"/v1/videos/{answer['id']}"), 404)
    refused(client.delete(f"/v1/videos/{answer['id']}"), 404)
    refused(client.get(f"/v1/videos/{answer['id']}/table"), 404)
    ended(client, client.post("/v1/videos", content=video).json())
    client.app.state.service.close()
    assert not folder.exists()


@pytest.mark.slow
def test_results_expire(start: Any, video: bytes, refused: Refused) -> None:
    client = start(result_seconds=3)  # time enough to ask for it on a busy machine
    answer = ended(client, client.post("/v1/videos", content=video).json())
    time.sleep(3.05)
    refused(client.get(f"/v1/videos/{answer['id']}"), 404, "expired")
    assert not list(folder_of(client).iterdir())


def test_what_is_no_video_fails_with_a_reason(start: Any, video: bytes, photo: bytes) -> None:
    client = start(video_seconds=1)
    for content, reason in ((b"nothing", "cannot be opened"), (video, "at most 1 seconds")):
        response = client.post("/v1/videos", files={"video": ("a.mp4", content)})
        answer = ended(client, response.json())
        assert answer["state"] == "failed" and reason in answer["reason"]
        assert "mien-serve" not in answer["reason"]
        assert answer["persons"] == [] and answer["tables"] == []


def test_frames_beyond_the_limit_fail_with_a_reason(start: Any, video: bytes) -> None:
    client = start(pixels=1_000)
    answer = ended(client, client.post("/v1/videos", content=video).json())
    assert answer["state"] == "failed"
    assert "frames of at most 1,000 pixels, got" in answer["reason"]


def test_a_video_cut_short_is_read_to_the_damage(client: TestClient, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", moving_face(30))
    content = path.read_bytes()[: path.stat().st_size * 2 // 3]
    answer = ended(client, client.post("/v1/videos", content=content).json())
    assert answer["state"] == "done" and "ends after" in answer["reason"]
    assert len(answer["persons"]) == 1


def test_a_video_without_a_face_has_a_row(start: Any, video: bytes) -> None:
    class Nobody:
        def __call__(self, image: Any) -> list[Any]:
            return []

        def close(self) -> None:
            pass

    answer = ended(c := start(detector=Nobody), c.post("/v1/videos", content=video).json())
    [person] = answer["persons"]
    assert person["summary"]["status"] == "no-face" and person["summary"]["track"] is None


def test_bodies_and_types_are_checked(start: Any, video: bytes, refused: Refused) -> None:
    client = start(video_bytes=len(video) + 500)
    refused(client.post("/v1/videos", content=video + bytes(600)), 413, "at most")
    refused(client.post("/v1/videos", content=iter([video, bytes(600)])), 413, "at most")
    refused(client.post("/v1/videos", content=b""), 422, "empty body")
    headers = {"content-type": "image/png"}
    refused(client.post("/v1/videos", content=video, headers=headers), 415, "video/*")
    two = [("video", ("a", b"1")), ("video", ("b", b"2"))]
    refused(client.post("/v1/videos", files=two), 413, "1 files")
    refused(client.post("/v1/videos?fps=0", content=video), 422, "fps")
    refused(client.post("/v1/videos?fps=nan", content=video), 422, "fps")
    assert client.app.state.service.jobs.unfinished == 0  # type: ignore[attr-defined]
    assert not list(folder_of(client).iterdir())


def test_the_queue_of_videos_and_cancelling(start: Any, video: bytes, refused: Refused) -> None:
    import threading

    release, begun = threading.Event(), threading.Event()
    release.set()  # while the application starts

    class Slow:
        def __call__(self, image: Any) -> list[Any]:
            begun.set()
            release.wait(30)
            return []

        def close(self) -> None:
            pass

    client = start(videos=2, detector=Slow)
    release.clear()
    begun.clear()
    running, waiting = (client.post("/v1/videos", content=video).json() for _ in range(2))
    assert begun.wait(30)
    response = client.post("/v1/videos", content=video)
    refused(response, 429, "at most 2 videos")
    assert response.headers["retry-after"]
    state = client.get(f"/v1/videos/{running['id']}").json()["state"]
    assert state == "running"
    refused(client.get(f"/v1/videos/{running['id']}/table"), 409, "running")
    for each in (waiting, running):
        assert client.delete(f"/v1/videos/{each['id']}").status_code == 204
    release.set()
    end = time.monotonic() + 30
    while list(folder_of(client).iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not list(folder_of(client).iterdir())
    refused(client.get(f"/v1/videos/{running['id']}/table?rows=nothing"), 422, "rows")
