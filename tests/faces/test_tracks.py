from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_videos import faceless, moving_face, write_video

from mien.errors import MienError
from mien.faces.detection.follow import VideoFaceDetector
from mien.faces.tracks import (
    GAP_SECONDS,
    NO_FACE,
    Tracked,
    Tracker,
    track_faces,
)
from mien.faces.video import Frame, Video
from mien.schema import Box, Face, UInt8Array

FIVE = np.array([(30, 40), (70, 40), (50, 60), (35, 80), (65, 80)], np.float32)
GRAY = np.full((240, 320, 3), 90, np.uint8)


def face_at(left: float, top: float = 60.0, side: float = 60.0) -> Face:
    points = FIVE * side / 100 + np.array([left, top], np.float32)
    return Face(Box(left, top, side, side), 1.0, points)


def person(seed: int, shade: int = 90) -> UInt8Array:
    """A picture of rough blocks, so that what lies in a face's box looks like nobody else's."""
    blocks = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    mixed = blocks.astype(float) * 0.3 + shade * 0.7
    picture = cv2.resize(mixed.astype(np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST)
    return np.asarray(picture, np.uint8)


def numbers(
    steps: Sequence[tuple[float, Sequence[float]]], picture: UInt8Array = GRAY
) -> list[list[int]]:
    """The tracks of faces whose left edges are given for each time."""
    tracker = Tracker()
    return [tracker.assign(picture, [face_at(x) for x in lefts], time) for time, lefts in steps]


def test_each_person_keeps_a_number() -> None:
    steps = [(0.2 * i, [20 + 8 * i, 200 - 6 * i]) for i in range(8)]
    assert numbers(steps) == [[0, 1]] * 8
    swapped = [(time, lefts[:: -1 if i % 2 else 1]) for i, (time, lefts) in enumerate(steps)]
    assert numbers(swapped) == [[0, 1], [1, 0]] * 4


def test_the_nearest_pair_is_taken_first() -> None:
    # The face at 50 is near to both tracks, and the one at 82 to the second alone.
    assert numbers([(0.0, [20, 60]), (0.2, [50, 82])]) == [[0, 1], [1, 2]]


def test_a_gap_is_bridged_up_to_a_second_and_not_beyond() -> None:
    def seen_again(after: float) -> list[list[int]]:
        gaps = [(0.1 * i, []) for i in range(1, int(10 * after))]
        return numbers([(0.0, [50]), *gaps, (after, [55])])

    assert seen_again(GAP_SECONDS - 0.05)[-1] == [0]
    assert seen_again(GAP_SECONDS + 0.05)[-1] == [1]


def test_few_frames_a_second_make_no_new_persons() -> None:
    assert numbers([(3.0 * i, [50 + i]) for i in range(5)]) == [[0]] * 5
    assert numbers([(0.0, [50]), (3.0, []), (6.0, [50])]) == [[0], [], [1]]


def test_a_jump_or_another_size_is_another_person() -> None:
    assert numbers([(0.0, [20]), (0.2, [200])]) == [[0], [1]]
    tracker = Tracker()
    assert tracker.assign(GRAY, [face_at(50, side=60)], 0.0) == [0]
    assert tracker.assign(GRAY, [face_at(50, side=90)], 0.2) == [0]
    assert tracker.assign(GRAY, [face_at(50, side=180)], 0.4) == [1]


def test_without_landmarks_the_boxes_decide() -> None:
    tracker = Tracker()
    boxes = [[Box(20, 20, 60, 60)], [Box(40, 20, 60, 60)], [Box(95, 20, 60, 60)]]
    tracked = [
        tracker.assign(GRAY, [Face(box, 1.0) for box in row], 0.2 * i)
        for i, row in enumerate(boxes)
    ]
    assert tracked == [[0], [0], [1]]


def test_a_cut_to_another_person_at_the_same_place() -> None:
    tracker = Tracker()
    one, two = person(1, shade=60), person(2, shade=200)
    tracked = [
        tracker.assign(picture, [face_at(100)], i / 5) for i, picture in enumerate((one,) * 3)
    ]
    tracked += [tracker.assign(two, [face_at(100)], 0.6 + i / 5) for i in range(3)]
    assert tracked == [[0]] * 3 + [[1]] * 3


def test_another_face_in_the_same_scene_is_another_person() -> None:
    tracker = Tracker()
    scene, guest = person(1), person(1)
    guest[60:120, 100:160] = person(5)[60:120, 100:160]
    assert np.abs(scene.astype(float) - guest).mean() < 5
    assert tracker.assign(scene, [face_at(100)], 0.0) == [0]
    assert tracker.assign(guest, [face_at(100)], 0.2) == [1]


def test_a_dark_frame_ends_nobody() -> None:
    tracker, scene = Tracker(), person(1, shade=200)
    assert tracker.assign(scene, [face_at(100)], 0.0) == [0]
    assert tracker.assign(np.zeros_like(scene), [], 0.2) == []
    assert tracker.assign(scene, [face_at(102)], 0.4) == [0]
    brighter = np.clip(scene.astype(int) + 50, 0, 255).astype(np.uint8)
    assert tracker.assign(brighter, [face_at(102)], 0.6) == [0]


def test_who_comes_back_after_a_cut_keeps_the_number() -> None:
    tracker = Tracker()
    one, two = person(1, shade=60), person(2, shade=200)
    shots = [(one, 100.0)] * 10 + [(two, 100.0)] * 10 + [(one, 160.0)] * 3 + [(two, 90.0)] * 3
    found = [
        tracker.assign(np.roll(picture, int(left) - 100, axis=1), [face_at(left)], 0.2 * i)
        for i, (picture, left) in enumerate(shots)
    ]
    assert found == [[0]] * 10 + [[1]] * 10 + [[0]] * 3 + [[1]] * 3


def test_a_cut_between_similar_pictures_is_one_too() -> None:
    tracker = Tracker()
    one, two = person(1, shade=110), person(2, shade=130)
    assert 10 < np.abs(one.astype(float) - two).mean() < 40
    assert tracker.assign(one, [face_at(100)], 0.0) == [0]
    assert tracker.assign(two, [face_at(100)], 0.2) == [1]


def likeness_of(share: float) -> UInt8Array:
    """The scene of person 1, in which the face looks by a share like that of person 5."""
    scene, other = person(1), person(5)
    part = scene[40:140, 80:180] * (1 - share) + other[40:140, 80:180] * share
    scene[40:140, 80:180] = part.astype(np.uint8)
    return scene


def test_a_cut_before_one_wall_to_a_person_who_looks_a_little_alike() -> None:
    def tracked(share: float, *, cut: bool) -> list[int]:
        tracker = Tracker()
        assert tracker.assign(person(1), [face_at(100)], 0.0) == [0]
        return tracker.assign(likeness_of(share), [face_at(101)], 0.2, cut=cut)

    assert tracked(0.5, cut=False) == [0]
    assert tracked(0.5, cut=True) == [1]
    assert tracked(0.1, cut=True) == [0]


def test_who_has_other_colors_after_a_cut_is_another_person() -> None:
    tracker, scene = Tracker(), person(1, shade=120)
    assert tracker.assign(scene, [face_at(100)], 0.0) == [0]
    darker = (scene * 0.6).astype(np.uint8)
    assert tracker.assign(darker, [face_at(100)], 0.2, cut=True) == [1]
    assert tracker.assign(scene, [face_at(100)], 0.4, cut=True) == [0]


def test_frames_that_are_skipped_are_looked_at_for_cuts(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="videos are read with PyAV")
    pictures = [person(1)] * 11 + [likeness_of(1.0)] * 14
    path = write_video(tmp_path / "cut.mp4", pictures)
    with Video(path) as video:
        assert [frame.index for frame in video.frames() if frame.cut] == [11]
    for fps in (1.0, 5.0, 12.5):
        with Video(path) as video:
            frames = list(video.frames(fps=fps))
        [first] = [frame.index for frame in frames if frame.cut] or [None]
        later = [frame.index for frame in frames if frame.index >= 11]
        assert first == next(iter(later), None)


def test_a_zoom_splits_nobody() -> None:
    tracker, scene = Tracker(), person(1)
    assert tracker.assign(scene, [face_at(100)], 0.0) == [0]
    near = cv2.warpAffine(scene, np.float32([[2.5, 0, -195], [0, 2.5, -135]]), (320, 240))
    assert tracker.assign(np.asarray(near, np.uint8), [face_at(55, 15, 150)], 0.2) == [0]
    assert tracker.assign(scene, [face_at(100)], 0.4) == [0]


def test_a_dissolve_splits_nobody() -> None:
    tracker, one, two = Tracker(), person(1, shade=60), person(1, shade=180)
    for step in range(11):
        mixed = (one * (1 - step / 10) + two * (step / 10)).astype(np.uint8)
        assert tracker.assign(mixed, [face_at(100 + step)], step / 10) == [0]


class Script:
    """A detector that says what it is told, frame by frame."""

    def __init__(self, *tracked: list[Face]) -> None:
        self.tracked = list(tracked)

    def at(self, image: UInt8Array, time: float) -> list[Face]:
        return self.tracked.pop(0)


def test_every_frame_is_told_of_one_by_one() -> None:
    taken: list[int] = []

    def frames() -> Iterator[Frame]:
        for index in range(3):
            taken.append(index)
            yield Frame(index, index / 5, GRAY)

    script = Script([face_at(200), face_at(20)], [], [face_at(24), face_at(204)])
    stream = track_faces(frames(), script)
    first = next(stream)
    assert taken == [0] and isinstance(first, Tracked) and first.reason == ""
    assert [(number, face.box.left) for number, face in first.faces] == [(0, 200), (1, 20)]
    second, third = stream
    assert second.faces == [] and second.reason == NO_FACE and second.frame.index == 1
    assert [(number, face.box.left) for number, face in third.faces] == [(0, 204), (1, 24)]


@pytest.fixture(scope="module")
def frames_detector() -> Iterator[VideoFaceDetector]:
    with VideoFaceDetector() as detector:
        yield detector


def test_a_face_in_a_video(frames_detector: VideoFaceDetector, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="videos are read with PyAV")
    pictures = moving_face(6, (320, 240))
    pictures = [*pictures[:4], *faceless(2, (320, 240)), *pictures[4:]]
    path = write_video(tmp_path / "a.mp4", pictures)
    with Video(path) as video:
        tracked = list(track_faces(video.frames(), frames_detector))
    assert [[number for number, _ in one.faces] for one in tracked] == [[0]] * 4 + [[]] * 2 + [
        [0]
    ] * 2
    assert [one.reason for one in tracked[3:6]] == ["", NO_FACE, NO_FACE]
    [(_, face)] = tracked[0].faces
    assert face.landmarks is not None and face.landmarks.shape == (478, 2)
    assert 40 < face.box.width < 160 and face.pose is not None and face.blendshapes


def test_two_people_side_by_side(frames_detector: VideoFaceDetector) -> None:
    both = [
        np.concatenate([left, right], axis=1)
        for left, right in zip(
            moving_face(5, (240, 240)), moving_face(5, (240, 240), mirrored=True), strict=True
        )
    ]
    frames_detector.restart()
    tracked = list(track_faces((Frame(i, i / 5, p) for i, p in enumerate(both)), frames_detector))
    # The second face may be found a frame later than the first.
    assert {number for one in tracked for number, _ in one.faces} == {0, 1}
    for one in tracked[1:]:
        assert len(one.faces) == 2
    sides = {
        n: {f.box.left > 240 for m, f in one.faces if m == n} for one in tracked for n in (0, 1)
    }
    assert sides[0] | sides[1] == {True, False}


def test_what_was_seen_before_a_restart_is_forgotten(
    frames_detector: VideoFaceDetector,
) -> None:
    pictures = moving_face(4, (320, 240))

    def run() -> list[np.ndarray]:
        frames_detector.restart()
        return [frames_detector.at(p, i / 5)[0].landmarks for i, p in enumerate(pictures)]

    first = run()
    frames_detector.at(faceless(1, (320, 240))[0], 9.0)
    frames_detector.at(faceless(1, (200, 100))[0], 9.0)  # the same time, another size
    for one, two in zip(first, run(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_faces of at least 1"):
        VideoFaceDetector(max_faces=0)
    (tmp_path / "none.task").write_bytes(b"")
    with pytest.raises(MienError, match=r"expected MediaPipe's face_landmarker.task"):
        VideoFaceDetector(model=tmp_path / "none.task")
