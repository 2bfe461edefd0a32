"""Face -> square crop with eyes and mouth at fixed positions.

``TEMPLATE`` is the framing of FER2013's tight 48 x 48 crops, so that photos look to a network like
the corpora that it was trained on. It was measured with MediaPipe's Face Landmarker on 1,549 of
1,591 random faces of FER+'s training split, each enlarged to 192 pixels with a border: the median
positions of eye centers and mouth corners, made symmetrical. Those crops are not aligned;
positions vary around the median by 7 % (eyes) to 9 % (mouth) of the side.

Coordinates are continuous, as in :mod:`mien.faces.detection.detect`: the center of pixel i is at
i + 0.5.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema import Alignment, Box, Face, FloatArray, Preprocessing, UInt8Array

TEMPLATE: NDArray[np.float64] = np.array(
    [[0.315, 0.393], [0.685, 0.393], [0.349, 0.771], [0.651, 0.771]]
)
"""The person's right eye, left eye, right and left mouth corner as fractions of the crop's side
at margin 0; ``(4, 2)``, x before y."""
TEMPLATE.setflags(write=False)

# The box around all landmarks, measured on the same faces as the template.
_FACE_BOX = Box(left=0.102, top=0.106, width=0.796, height=0.896)

RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
MOUTH_CORNERS = (61, 291)  # the person's right and left

INTERPOLATION = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_LINEAR,  # after shrinking by area to the crop's own resolution
}


class Cut(NamedTuple):
    """A face cut out of its image.

    ``crop`` is ``(S, S, 3)`` uint8 RGB. ``landmarks`` is ``(L, 2)`` float32 as fractions of the
    crop, or None where the face has none. ``matrix`` ``(2, 3)`` maps image pixels to fractions of
    the crop.
    """

    crop: UInt8Array
    alignment: Alignment
    landmarks: FloatArray | None
    matrix: NDArray[np.float64]


def cut_face(
    image: UInt8Array, face: Face | None, preprocessing: Preprocessing, *, tight: bool = False
) -> Cut:
    """Cut a face and its landmarks out of an image, as datasets and predictions both do.

    A ``tight`` image shows one face and nothing else, see :func:`fixed_crop`; ``face`` then only
    gives the landmarks and may be None. Raises ``ValueError`` for another image without a face
    and for landmarks that all coincide.
    """
    points = None if face is None else face.landmarks
    if tight:
        crop, alignment = fixed_crop(image, preprocessing)
        if points is not None:
            points = landmarks_in_fixed_crop(points, image.shape, preprocessing)
        left, top, side, edge = _center_square(image.shape, preprocessing)
        matrix = np.array([[1.0, 0.0, edge - left], [0.0, 1.0, edge - top]]) / (side + 2 * edge)
        return Cut(crop, alignment, points, matrix)
    if face is None:
        raise ValueError("expected a face for an image that is not a tight crop, got none")
    crop, alignment = crop_face(image, face, preprocessing)
    if points is not None:
        points = landmarks_in_crop(points, preprocessing)
    return Cut(crop, alignment, points, _face_matrix(face, preprocessing) / preprocessing.size)


def crop_face(
    image: UInt8Array, face: Face, preprocessing: Preprocessing
) -> tuple[UInt8Array, Alignment]:
    """Return the ``(S, S, 3)`` uint8 RGB crop of a face, and how it was aligned.

    With landmarks, a similarity (rotation, scale, shift) maps eyes and mouth to the template.
    Without, the face's box is mapped, upright, to the position of the landmarks' box. With color
    ``"gray"``, luma is repeated in the three channels; ``"bgr"`` is applied by
    :mod:`mien.faces.tensors`. Beyond the image its edge is repeated, as a black border would show
    the network where the photo ends.
    """
    crop = _warp(image, _face_matrix(face, preprocessing), preprocessing)
    return crop, Alignment.BOX if face.landmarks is None else Alignment.SIMILARITY


def fixed_crop(image: UInt8Array, preprocessing: Preprocessing) -> tuple[UInt8Array, Alignment]:
    """Return the ``(S, S, 3)`` uint8 RGB crop of an image that already is a tight face crop.

    The center square is resized. It is assumed to be framed like the template at margin 0, so
    another margin cuts into it or repeats its edge.
    """
    left, top, side, edge = _center_square(image.shape, preprocessing)
    square = image[top : top + side, left : left + side]
    if edge > 0:
        square = _pixels(cv2.copyMakeBorder(square, edge, edge, edge, edge, cv2.BORDER_REPLICATE))
    elif edge < 0:
        square = square[-edge:edge, -edge:edge]
    size = preprocessing.size
    shrinks = len(square) > size
    method = cv2.INTER_AREA if shrinks else INTERPOLATION[preprocessing.interpolation]
    crop = _pixels(cv2.resize(square, (size, size), interpolation=method))
    return _colored(crop, preprocessing), Alignment.FIXED


def landmarks_in_crop(landmarks: FloatArray, preprocessing: Preprocessing) -> FloatArray:
    """Convert landmarks ``(L, 2)`` from image pixels to fractions of the crop that they align.

    Datasets store these fractions; multiply by ``preprocessing.size`` for pixels of the crop.
    """
    matrix = alignment_matrix(landmarks, preprocessing)
    moved = landmarks.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved / preprocessing.size, np.float32)


def landmarks_in_fixed_crop(
    landmarks: FloatArray, shape: tuple[int, ...], preprocessing: Preprocessing
) -> FloatArray:
    """Convert landmarks ``(L, 2)`` from image pixels to fractions of its :func:`fixed_crop`.

    ``shape`` is the image's, height before width.
    """
    left, top, side, edge = _center_square(shape, preprocessing)
    moved = landmarks.astype(np.float64) - (left, top) + edge
    return np.asarray(moved / (side + 2 * edge), np.float32)


def _center_square(
    shape: tuple[int, ...], preprocessing: Preprocessing
) -> tuple[int, int, int, int]:
    """Left, top and side of an image's center square, and the border that the margin adds."""
    height, width = shape[:2]
    side = min(height, width)
    return (width - side) // 2, (height - side) // 2, side, round(preprocessing.margin * side)


def template_points(
    points: NDArray[np.float64], preprocessing: Preprocessing
) -> NDArray[np.float64]:
    """Convert ``(N, 2)`` fractions of the crop at margin 0 to pixels of the crop at its margin.

    >>> template_points(np.array([[0.5, 0.5]]), Preprocessing(size=100, margin=0.3))
    array([[50., 50.]])
    """
    margin = preprocessing.margin
    return (points + margin) / (1 + 2 * margin) * preprocessing.size


def anchor_points(landmarks: FloatArray) -> NDArray[np.float64]:
    """Return the ``(4, 2)`` points of the template for ``(478, 2)`` or ``(5, 2)`` landmarks.

    An eye is the mean of its contour, which unlike the iris does not move with the gaze.
    """
    points = landmarks.astype(np.float64)
    if points.shape == (5, 2):
        return points[[0, 1, 3, 4]]
    if points.shape != (478, 2):
        raise ValueError(f"expected landmarks of shape (478, 2) or (5, 2), got {points.shape}")
    eyes = points[list(RIGHT_EYE)].mean(axis=0), points[list(LEFT_EYE)].mean(axis=0)
    return np.stack([*eyes, *points[list(MOUTH_CORNERS)]])


def alignment_matrix(landmarks: FloatArray, preprocessing: Preprocessing) -> NDArray[np.float64]:
    """Return the ``(2, 3)`` similarity from image pixels to crop pixels, least squares on 4 points.

    Raises ``ValueError`` for points that all coincide or are not finite.
    """
    points = anchor_points(landmarks)
    target = template_points(TEMPLATE, preprocessing)
    # As complex numbers a similarity is z -> a z + b, and least squares has a closed form.
    z, w = points @ (1, 1j), target @ (1, 1j)
    spread = z - z.mean()
    norm = float(np.vdot(spread, spread).real)
    if not (math.isfinite(norm) and norm > 1e-9):
        raise ValueError(
            "expected finite landmarks with distinct eyes and mouth, got no such points"
        )
    a = np.vdot(spread, w - w.mean()) / norm
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _face_matrix(face: Face, preprocessing: Preprocessing) -> NDArray[np.float64]:
    if face.landmarks is not None:
        return alignment_matrix(face.landmarks, preprocessing)
    return _box_matrix(face.box, preprocessing)


def _box_matrix(box: Box, preprocessing: Preprocessing) -> NDArray[np.float64]:
    corners = np.array([[_FACE_BOX.left, _FACE_BOX.top], [0, 0]])
    corners[1] = corners[0] + (_FACE_BOX.width, _FACE_BOX.height)
    (left, top), (right, bottom) = template_points(corners, preprocessing)
    scale = ((right - left) / box.width + (bottom - top) / box.height) / 2
    x = (left + right) / 2 - scale * (box.left + box.width / 2)
    y = (top + bottom) / 2 - scale * (box.top + box.height / 2)
    return np.array([[scale, 0.0, x], [0.0, scale, y]])


def _warp(
    image: UInt8Array, matrix: NDArray[np.float64], preprocessing: Preprocessing
) -> UInt8Array:
    """Cut out the crop that ``matrix`` maps to, without aliasing."""
    size = preprocessing.size
    region, left, top = _region(image, matrix, size)
    # A warp samples a few pixels around each point and would skip some beyond a factor of two, so
    # the region is first shrunk by area, to twice the crop's resolution or to the same.
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    density = 1.0 if preprocessing.interpolation == "area" else 2.0
    height, width = region.shape[:2]
    if scale * density < 1:
        shape = (max(1, round(width * scale * density)), max(1, round(height * scale * density)))
        region = _pixels(cv2.resize(region, shape, interpolation=cv2.INTER_AREA))
    # Region pixels -> image pixels -> crop pixels; OpenCV's origin is the center of a pixel.
    stretch = np.array([width / region.shape[1], height / region.shape[0]])
    shift = matrix[:, :2] @ (stretch * 0.5 + (left, top)) + matrix[:, 2] - 0.5
    full = np.column_stack([matrix[:, :2] * stretch, shift])
    crop = cv2.warpAffine(
        region,
        full,
        (size, size),
        flags=INTERPOLATION[preprocessing.interpolation],
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _colored(_pixels(crop), preprocessing)


def _region(
    image: UInt8Array, matrix: NDArray[np.float64], size: int
) -> tuple[UInt8Array, int, int]:
    """The part of the image that the crop needs, with its left and top edges.

    OpenCV warps no image wider than 32,767 pixels, and a face is a small part of a large photo.
    """
    corners = np.array([[0, size, 0, size], [0, 0, size, size]], np.float64)
    points = np.linalg.solve(matrix[:, :2], corners - matrix[:, 2:])
    reach = 4 + 4 / math.hypot(matrix[0, 0], matrix[1, 0])  # room for the interpolation
    limit = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(points.min(axis=1) - reach), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=1) + reach), low + 1, limit).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], int(low[0]), int(low[1])


def _colored(crop: UInt8Array, preprocessing: Preprocessing) -> UInt8Array:
    if preprocessing.color != "gray":
        return crop
    return _pixels(cv2.merge([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)] * 3))


def _pixels(image: object) -> UInt8Array:
    # OpenCV's annotations allow any number type.
    return np.asarray(image, np.uint8)
