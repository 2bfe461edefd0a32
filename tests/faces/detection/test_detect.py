import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from mien.errors import MienError
from mien.faces.align import anchor_points
from mien.faces.detection.confirm import UNCONFIRMED
from mien.faces.detection.detect import Detector, FaceDetector
from mien.faces.detection.face_networks import open_face_networks
from mien.faces.detection.mesh import find_mesh, mirror_distance, region_of_landmarks
from mien.faces.detection.model_file import face_landmarker_file
from mien.faces.detection.pose import pose_of
from mien.faces.detection.yunet import YuNetDetector
from mien.faces.images import load_image
from mien.schema import Face, UInt8Array

MIRRORED_ANCHORS = [1, 0, 3, 2]  # in a mirror a right eye is a left eye


def mirrored(image: UInt8Array) -> UInt8Array:
    return np.ascontiguousarray(image[:, ::-1])


def anchors(face: Face) -> np.ndarray[Any, np.dtype[np.float64]]:
    assert face.landmarks is not None
    return anchor_points(face.landmarks)


def in_scene(
    astronaut: UInt8Array, width: int, height: int, face_height: int
) -> tuple[UInt8Array, tuple[int, int]]:
    """A photo without other faces, with the astronaut's head pasted at a given size and place."""
    scene = cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_AREA)
    scale = face_height / 106
    head = cv2.resize(
        astronaut[40:240, 120:330], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    scene[height // 3 :, width // 3 :][: len(head), : head.shape[1]] = head
    return np.asarray(scene, np.uint8), (width // 3, height // 3)


def test_the_astronaut_has_one_smiling_face(face: Face) -> None:
    assert face.landmarks is not None
    assert face.landmarks.shape == (478, 2)
    assert face.landmarks.dtype == np.float32
    assert 0.8 < face.score <= 1
    assert len(face.blendshapes) == 52
    assert face.blendshapes["mouthSmileLeft"] > 0.5 > face.blendshapes["jawOpen"]
    box = face.box
    assert (box.left, box.top) == pytest.approx(face.landmarks.min(axis=0))
    assert 170 < box.left < 190 and 60 < box.top < 80 and 80 < box.width < 110
    right_eye, left_eye, right_corner, left_corner = anchors(face)
    assert right_eye[0] < left_eye[0] and right_corner[0] < left_corner[0]
    assert right_eye[1] < right_corner[1]


def test_a_mirrored_image_has_mirrored_landmarks_and_pose(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    # Turned in the plane first, so that there is a roll and a yaw to mirror.
    turn = cv2.getRotationMatrix2D((225, 125), -20, 1)
    turned = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    (one,), (two,) = detector(turned), detector(mirrored(turned))
    expected = anchors(one)[MIRRORED_ANCHORS] * (-1, 1) + (512, 0)
    assert np.abs(anchors(two) - expected).max() < 2.5
    assert one.pose and two.pose and face.pose
    assert one.pose.roll - face.pose.roll == pytest.approx(20, abs=4)
    assert two.pose.roll == pytest.approx(-one.pose.roll, abs=4)
    assert two.pose.yaw == pytest.approx(-one.pose.yaw, abs=4)
    assert two.pose.pitch == pytest.approx(one.pose.pitch, abs=4)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(30, 0, 0), (0, 20, 0), (0, 0, 15), (25, -10, 5)]
)
def test_pose_follows_the_convention(yaw: float, pitch: float, roll: float) -> None:
    # x right, y up, z toward the camera: the nose points along the third column.
    a, b, c = np.radians([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = 1.7 * about_y @ about_x @ about_z
    matrix[:3, 3] = (3, -2, -60)
    pose = pose_of(matrix)
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=1e-9)
    nose, crown = matrix[:3, 2], matrix[:3, 1]
    assert np.sign(round(nose[0], 9)) == np.sign(yaw)
    assert np.sign(round(nose[1], 9)) == np.sign(pitch)
    if roll and not yaw:
        assert crown[0] > 0  # a head that rolls clockwise leans to the image's right


def test_all_eight_exif_orientations_give_the_same_landmarks(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }
    photo = astronaut[:400]  # not square, so that a wrong turn shows in the shape too
    (expected,) = detector(np.ascontiguousarray(photo))
    for orientation, store in turn.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(store(photo))).save(
            file, "JPEG", quality=95, exif=exif
        )
        (detected,) = detector(load_image(file.getvalue()))
        assert np.abs(anchors(detected) - anchors(expected)).max() < 1.5, orientation


def test_a_face_that_fills_the_frame_is_found(
    detector: FaceDetector, astronaut: UInt8Array, face: Face
) -> None:
    tight = np.ascontiguousarray(astronaut[100:175, 185:265])
    (found,) = detector(tight)
    corner = np.array([185, 100])
    assert np.abs(anchors(found) + corner - anchors(face)).max() < 4
    enlarged = np.asarray(cv2.resize(tight, None, fx=20, fy=20), np.uint8)
    (large,) = detector(enlarged)  # shrunk for the search, and its landmarks enlarged again
    assert np.abs(anchors(large) / 20 - anchors(found)).max() < 2


@pytest.mark.parametrize(
    ("width", "height", "face_height"), [(2400, 1800, 100), (10_000, 1500, 104), (900, 700, 24)]
)
def test_small_faces_in_large_photos_are_found(
    detector: FaceDetector,
    astronaut: UInt8Array,
    face: Face,
    width: int,
    height: int,
    face_height: int,
) -> None:
    scene, place = in_scene(astronaut, width, height, face_height)
    (found,) = detector(scene)
    expected = (anchors(face) - (120, 40)) * (face_height / 106) + place
    assert np.abs(anchors(found) - expected).max() < max(1.5, face_height * 0.04)


def test_a_thorough_detector_finds_smaller_ones(
    detector: FaceDetector, astronaut: UInt8Array
) -> None:
    scene, _ = in_scene(astronaut, 4000, 3000, 36)
    assert detector(scene) == []
    with FaceDetector(thorough=True) as thorough:
        (found,) = thorough(scene)
    assert found.landmarks is not None and 25 < found.box.height < 60


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_faces_are_read_the_right_way_up(
    detector: FaceDetector, astronaut: UInt8Array, face: Face, turns: int
) -> None:
    (found,) = detector(np.ascontiguousarray(np.rot90(astronaut, turns)))
    x, y = (anchors(found) - 256).T
    back = {1: (-y, x), 2: (-x, -y), 3: (y, -x)}[turns]
    assert np.abs(np.stack(back, axis=1) + 256 - anchors(face)).max() < 4
    assert found.pose is not None and face.pose is not None
    expected = (face.pose.roll - 90 * turns + 180) % 360 - 180
    assert abs((found.pose.roll - expected + 180) % 360 - 180) < 4


@pytest.mark.parametrize("share", [0.2, 0.35])
def test_faces_that_the_edge_cuts_off_are_found(
    detector: FaceDetector, astronaut: UInt8Array, face: Face, share: float
) -> None:
    left = round(face.box.left + share * face.box.width)
    (found,) = detector(np.ascontiguousarray(astronaut[:300, left:]))
    assert found.landmarks is not None and face.landmarks is not None
    seen = face.landmarks[:, 0] > left + 3
    apart = np.abs(found.landmarks - face.landmarks + np.array([left, 0]))[seen]
    assert apart.mean() < 3


def test_a_face_that_cannot_be_read_is_reported_with_a_reason(
    detector: FaceDetector, astronaut: UInt8Array
) -> None:
    # The cameraman is seen from the side.
    photo = np.repeat(np.asarray(data.camera(), np.uint8)[..., None], 3, axis=2)
    blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), 9), np.uint8)
    for faces in (detector(photo), detector(blurred)):
        for one in faces:
            assert one.landmarks is not None or one.reason == UNCONFIRMED


@pytest.mark.parametrize(("rows", "columns"), [((82, 464), (228, 546)), ((243, 640), (201, 532))])
def test_a_cell_is_no_face(
    detector: FaceDetector, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    # The finder gives these 0.84 and 0.87, and the mesh network 1.
    part = data.cell()[slice(*rows), slice(*columns)]
    part = np.rot90(part, 1 if rows[0] < 100 else 3)
    part = cv2.resize(np.ascontiguousarray(part), (1024, 768), interpolation=cv2.INTER_CUBIC)
    assert detector(np.repeat(part[..., None], 3, axis=2)) == []


def test_the_mesh_of_a_face_is_that_of_its_mirror_image(astronaut: UInt8Array, face: Face) -> None:
    assert face.landmarks is not None
    networks = open_face_networks()
    region = region_of_landmarks(face.landmarks)
    mesh = find_mesh(networks.mesh, astronaut, region)
    other = find_mesh(networks.mesh, astronaut, region, mirrored=True)
    assert mirror_distance(mesh, other) < 0.015 * region.side
    # The same as that of the mirrored photo.
    turned = region._replace(x=512 - region.x, angle=-region.angle)
    same = find_mesh(networks.mesh, mirrored(astronaut), turned)
    expected = same.points[:, :2] * (-1, 1) + (512, 0)
    assert np.abs(other.points[:, :2] - expected).max() < 1
    # A shift would be noticed.
    shifted = other._replace(points=other.points + 0.1 * region.side)
    assert mirror_distance(mesh, shifted) > 0.1 * region.side


def test_faces_come_largest_first_and_at_most_max_faces(
    detector: FaceDetector, astronaut: UInt8Array
) -> None:
    head = astronaut[0:260, 100:340]
    small = cv2.resize(mirrored(head), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    photo = np.full((260, 420, 3), 90, np.uint8)
    photo[:182, :168] = small
    photo[:, 180:] = head
    large, little = detector(photo)
    assert large.box.left > 180 > little.box.left
    with FaceDetector(max_faces=1) as one:
        assert len(one(photo)) == 1


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 900), (900, 1), (48, 48), (1100, 1100)], ids=lambda shape: f"{shape}"
)
def test_images_without_a_face_have_none(detector: FaceDetector, shape: tuple[int, int]) -> None:
    assert detector(np.full((*shape, 3), 128, np.uint8)) == []


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((0, 9, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(detector: FaceDetector, wrong: UInt8Array) -> None:
    with pytest.raises(ValueError, match=r"expected a uint8 image \(H, W, 3\), got"):
        detector(wrong)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="max_faces"):
        FaceDetector(max_faces=0)
    with pytest.raises(ValueError, match="min_score"):
        FaceDetector(min_score=2)


def test_a_closed_detector_says_so(astronaut: UInt8Array) -> None:
    detector = FaceDetector()
    detector.close()
    detector.close()
    with pytest.raises(ValueError, match="closed"):
        detector(astronaut)


def test_a_broken_or_missing_model_is_an_error(tmp_path: Path) -> None:
    text, nothing, half = tmp_path / "a.task", tmp_path / "b.task", tmp_path / "c.task"
    text.write_text("no model")
    with zipfile.ZipFile(face_landmarker_file()) as whole, zipfile.ZipFile(half, "w") as part:
        part.writestr("face_detector.tflite", whole.read("face_detector.tflite"))
    for path in (text, nothing, half):
        with pytest.raises(MienError, match=r"expected MediaPipe's face_landmarker\.task, got"):
            FaceDetector(model=path)


def test_a_program_that_never_closes_its_detector_prints_nothing() -> None:
    program = (
        "from skimage import data; from mien.faces.detection.detect import FaceDetector\n"
        "detector = FaceDetector(); assert len(detector(data.astronaut())) == 1"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_yunet_agrees_with_the_mesh(yunet_file: Path, astronaut: UInt8Array, face: Face) -> None:
    detector: Detector
    with YuNetDetector(yunet_file) as detector:
        (detected,) = detector(astronaut)
        assert detected.landmarks is not None
        assert detected.landmarks.shape == (5, 2)
        assert np.abs(anchors(detected) - anchors(face)).max() < 0.06 * face.box.height
        (other,) = detector(mirrored(astronaut))
        expected = anchors(detected)[MIRRORED_ANCHORS] * (-1, 1) + (512, 0)
        # YuNet moves its mouth corners by 7 % of the face in a mirror, by 5 % when enlarged.
        assert np.abs(anchors(other) - expected).max() < 0.1 * detected.box.width
        large = np.asarray(cv2.resize(astronaut, None, fx=5, fy=5), np.uint8)
        best = max(detector(large), key=lambda other: other.score)  # shrunk before the search
        assert np.abs(anchors(best) / 5 - anchors(detected)).max() < 0.1 * detected.box.width
        assert detector(np.zeros((1, 1, 3), np.uint8)) == []


def test_both_detectors_find_a_small_face(
    yunet_file: Path, detector: FaceDetector, astronaut: UInt8Array
) -> None:
    photo, _ = in_scene(astronaut, 900, 700, face_height=40)
    assert len(detector(photo)) == 1
    with YuNetDetector(yunet_file) as yunet:
        assert len(yunet(photo)) == 1


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_broken_or_missing_yunet_is_an_error(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "yunet.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MienError, match="expected YuNet's ONNX file, got"):
        YuNetDetector(path)
    assert capfd.readouterr().err == ""
