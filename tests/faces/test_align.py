import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.align import (
    TEMPLATE,
    alignment_matrix,
    anchor_points,
    crop_face,
    fixed_crop,
    template_points,
)
from mien.faces.detection.detect import FaceDetector
from mien.schema import Alignment, Box, Face, FloatArray, Preprocessing, UInt8Array

PREPROCESSINGS = st.builds(
    Preprocessing,
    size=st.integers(16, 256),
    margin=st.floats(-0.15, 0.8),
    interpolation=st.sampled_from(["linear", "cubic", "area"]),
)


def five(anchors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> FloatArray:
    """Four anchor points as YuNet's five landmarks."""
    nose = anchors.mean(axis=0)
    return np.stack([anchors[0], anchors[1], nose, anchors[2], anchors[3]]).astype(np.float32)


def face_at(anchors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Face:
    return Face(box=Box(0, 0, 1, 1), score=1.0, landmarks=five(anchors))


def mapped(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]], points: object) -> np.ndarray:
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def dots(anchors: np.ndarray[tuple[int, ...], np.dtype[np.float64]], side: int, width: float):
    """An image that is dark but for a soft round dot at each anchor."""
    at = np.arange(side) + 0.5
    image = np.zeros((side, side))
    for x, y in anchors:
        image += np.exp(-((at[None] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * width**2))
    return np.repeat((image.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


@settings(deadline=None)
@given(
    PREPROCESSINGS,
    st.floats(0.05, 40),
    st.floats(-np.pi, np.pi),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_any_similarity_of_the_template_is_undone(
    preprocessing: Preprocessing, scale: float, angle: float, shift: tuple[float, float]
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    anchors = TEMPLATE * 112 @ turn.T + shift
    landmarks = five(anchors)
    matrix = alignment_matrix(landmarks, preprocessing)
    error = mapped(matrix, landmarks[[0, 1, 3, 4]]) - template_points(TEMPLATE, preprocessing)
    assert np.abs(error).max() < 1e-3 * preprocessing.size
    a, b, c, d = matrix[:, :2].ravel()
    assert (a, b) == pytest.approx((d, -c))  # no shear, no mirror


def test_the_matrix_is_the_least_squares_one() -> None:
    preprocessing = Preprocessing()
    rng = np.random.default_rng(3)
    landmarks = (five(TEMPLATE * 200) + rng.normal(0, 8, (5, 2))).astype(np.float32)
    best = alignment_matrix(landmarks, preprocessing)
    goal = template_points(TEMPLATE, preprocessing)

    def loss(matrix: np.ndarray) -> float:
        return float(((mapped(matrix, landmarks[[0, 1, 3, 4]]) - goal) ** 2).sum())

    # The textbook way: four equations a x - b y + c = u, b x + a y + d = v, solved by lstsq.
    x, y = landmarks[[0, 1, 3, 4]].astype(np.float64).T
    one, nil = np.ones(4), np.zeros(4)
    rows = np.concatenate([np.stack([x, -y, one, nil], axis=1), np.stack([y, x, nil, one], axis=1)])
    a, b, c, d = np.linalg.lstsq(rows, goal.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(best, [[a, -b, c], [b, a, d]], rtol=1e-6, atol=1e-6)
    assert loss(best) > 0


@pytest.mark.parametrize("bad", [np.full((5, 2), 7.0), np.full((5, 2), np.nan)])
def test_points_that_fix_no_similarity_are_refused(bad: FloatArray) -> None:
    with pytest.raises(ValueError, match="distinct eyes and mouth"):
        alignment_matrix(bad.astype(np.float32), Preprocessing())
    with pytest.raises(ValueError, match=r"\(478, 2\) or \(5, 2\)"):
        anchor_points(np.zeros((68, 2), np.float32))


def test_the_template_is_symmetric_and_read_only() -> None:
    np.testing.assert_allclose(TEMPLATE[[1, 0, 3, 2]] * (-1, 1) + (1, 0), TEMPLATE)
    with pytest.raises(ValueError, match="read-only"):
        TEMPLATE[0, 0] = 0


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "area"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, 9.0])
def test_landmarks_land_on_the_template_to_a_fraction_of_a_pixel(
    scale: float, interpolation: str
) -> None:
    preprocessing = Preprocessing(size=96, margin=0.1, interpolation=interpolation)
    side = round(96 * scale * 1.4)
    turn = np.array([[0.96, -0.28], [0.28, 0.96]]) * 96 * scale
    anchors = (TEMPLATE - 0.5) @ turn.T + side / 2 + (3.3, -2.6)
    crop, _ = crop_face(dots(anchors, side, 3 * scale), face_at(anchors), preprocessing)
    weights = crop[..., 0].astype(float)
    at = np.arange(96) + 0.5
    for x, y in template_points(TEMPLATE, preprocessing):
        near = weights * (np.hypot(at[None] - x, at[:, None] - y) < 9)
        center = (near * at[None]).sum() / near.sum(), (near * at[:, None]).sum() / near.sum()
        assert center == pytest.approx((x, y), abs=0.15)


def test_an_aligned_face_is_left_as_it_is(astronaut: UInt8Array) -> None:
    image = np.ascontiguousarray(astronaut[70:182, 170:282])
    preprocessing = Preprocessing(size=112, interpolation="linear")
    crop, how = crop_face(image, face_at(TEMPLATE * 112), preprocessing)
    assert how is Alignment.SIMILARITY
    assert np.abs(crop.astype(int) - image).max() <= 1


def test_a_real_face_lands_on_the_template(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    preprocessing = Preprocessing(size=256, margin=0.25)
    crop, _ = crop_face(astronaut, face, preprocessing)
    (again,) = detector(crop)
    assert again.landmarks is not None
    error = anchor_points(again.landmarks) - template_points(TEMPLATE, preprocessing)
    assert np.abs(error).max() < 0.03 * 256


def test_a_mirrored_photo_gives_the_mirrored_crop(astronaut: UInt8Array, face: Face) -> None:
    assert face.landmarks is not None
    preprocessing = Preprocessing(size=112)
    anchors = anchor_points(face.landmarks)
    crop, _ = crop_face(astronaut, face_at(anchors), preprocessing)
    other, _ = crop_face(
        np.ascontiguousarray(astronaut[:, ::-1]),
        face_at(anchors[[1, 0, 3, 2]] * (-1, 1) + (512, 0)),
        preprocessing,
    )
    assert np.abs(crop[:, ::-1].astype(int) - other).max() <= 12
    assert np.abs(crop[:, ::-1].astype(int) - other).mean() < 0.5


def test_a_margin_shows_the_same_face_smaller(astronaut: UInt8Array, face: Face) -> None:
    tight, _ = crop_face(astronaut, face, Preprocessing(size=100))
    wide, _ = crop_face(astronaut, face, Preprocessing(size=200, margin=0.5))
    assert np.abs(wide[50:150, 50:150].astype(int) - tight).mean() < 2


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((1500, 1500, 3), np.uint8)
    stripes[:, ::2] = 255
    for interpolation in ("linear", "cubic", "area"):
        preprocessing = Preprocessing(size=64, interpolation=interpolation)
        crop, _ = crop_face(stripes, face_at(TEMPLATE * 1300 + 100), preprocessing)
        assert np.abs(crop.astype(int) - 127).max() <= 3
        fixed, _ = fixed_crop(stripes, preprocessing)
        assert np.abs(fixed.astype(int) - 127).max() <= 6


@pytest.mark.parametrize("shift", [-60, 60, -5000, 5000])
def test_outside_the_image_its_edge_is_repeated(shift: int) -> None:
    image = np.full((100, 120, 3), (10, 120, 230), np.uint8)
    crop, _ = crop_face(image, face_at(TEMPLATE * 90 + shift), Preprocessing(size=48))
    assert (crop == (10, 120, 230)).all()


def test_a_very_wide_image_is_no_obstacle() -> None:
    image = np.zeros((60, 40_000, 3), np.uint8)
    image[:, 39_900:] = 200
    crop, _ = crop_face(image, face_at(TEMPLATE * 50 + (39_925, 5)), Preprocessing(size=48))
    assert (crop == 200).all()


def test_gray_is_luma_in_three_channels_and_bgr_stays_rgb(
    astronaut: UInt8Array, face: Face
) -> None:
    color, _ = crop_face(astronaut, face, Preprocessing(size=64))
    gray, _ = crop_face(astronaut, face, Preprocessing(size=64, color="gray"))
    assert (gray[..., 0] == gray[..., 1]).all() and (gray[..., 0] == gray[..., 2]).all()
    luma = color @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray[..., 0] - luma).max() <= 1
    bgr, _ = crop_face(astronaut, face, Preprocessing(size=64, color="bgr"))
    np.testing.assert_array_equal(bgr, color)


def test_a_box_alone_gives_nearly_the_same_framing(astronaut: UInt8Array, face: Face) -> None:
    assert face.landmarks is not None
    preprocessing = Preprocessing(size=112)
    crop, how = crop_face(astronaut, Face(box=face.box, score=0.9), preprocessing)
    assert how is Alignment.BOX
    aligned, _ = crop_face(astronaut, face, preprocessing)
    shift, _ = cv2.phaseCorrelate(
        cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY).astype(np.float32),
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32),
    )
    assert np.hypot(*shift) < 8


def test_a_tight_crop_is_only_resized() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    crop, how = fixed_crop(image, Preprocessing(size=48))
    assert how is Alignment.FIXED
    np.testing.assert_array_equal(crop, image)
    wide = np.concatenate([image[:, :9] * 0, image, image[:, :9] * 0], axis=1)
    np.testing.assert_array_equal(fixed_crop(wide, Preprocessing(size=48))[0], image)
    enlarged, _ = fixed_crop(image, Preprocessing(size=112))
    expected = cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(enlarged, expected)


def test_a_tight_crop_follows_the_margin_as_a_photo_does() -> None:
    image = np.full((100, 100, 3), 50, np.uint8)
    image[20:80, 20:80] = 250
    wide, _ = fixed_crop(image, Preprocessing(size=60, margin=0.1, interpolation="linear"))
    photo, _ = crop_face(
        image, face_at(TEMPLATE * 100), Preprocessing(size=60, margin=0.1, interpolation="area")
    )
    assert np.abs(wide.astype(int) - photo).mean() < 6
    close, _ = fixed_crop(image, Preprocessing(size=60, margin=-0.2))
    assert (close == 250).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 90), st.integers(1, 90), PREPROCESSINGS)
def test_any_image_gives_a_crop_of_the_size(
    height: int, width: int, preprocessing: Preprocessing
) -> None:
    image = np.full((height, width, 3), 77, np.uint8)
    size = preprocessing.size
    for crop, _ in (
        fixed_crop(image, preprocessing),
        crop_face(image, face_at(TEMPLATE * 40), preprocessing),
        crop_face(image, Face(Box(-5, 3, 20, 30), 0.5), preprocessing),
    ):
        assert crop.shape == (size, size, 3)
        assert (crop == 77).all()
