from __future__ import annotations

import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.errors import MienError
from mien.faces.align import crop_face, cut_face, fixed_crop
from mien.faces.detection.detect import FaceDetector
from mien.faces.partial_image import compose_partial_image
from mien.faces.tensors import to_tensor
from mien.faces.tight import find_tight_face
from mien.inference.model import open_onnx
from mien.inference.predictor import Predictor
from mien.preparation.prepare import prepare
from mien.schema import Alignment, Box, Face, Prediction, Preprocessing, Status, UInt8Array

from .conftest import SIZE, WIDTH, OneFace, WriteModel, description, picture, with_heads


def test_one_face(predictor: Predictor) -> None:
    [one] = predictor(picture())
    assert one.status is Status.OK
    assert one.reason == ""
    assert list(one.probabilities) == list(predictor.info.heads["expression"].label_space.names)
    assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert one.expression == max(one.probabilities, key=lambda name: one.probabilities[name])
    assert one.confidence == max(one.probabilities.values())
    assert one.alignment is Alignment.SIMILARITY
    assert one.crop is not None and one.crop.shape == (SIZE, SIZE, 3)
    assert one.embedding is not None and one.embedding.shape == (WIDTH,)
    assert np.linalg.norm(one.embedding) == pytest.approx(1, abs=1e-5)


def test_equals_bare_onnxruntime_bit_for_bit(predictor: Predictor, model_file: Path) -> None:
    image = picture(3)
    [one] = predictor(image)
    model = open_onnx(model_file, threads=1)
    info, session = model.info, model._session
    crop, _ = crop_face(image, OneFace()(image)[0], info.preprocessing)
    probabilities, embedding = session.run(
        ["expression", "embedding"], {"input": to_tensor(crop, info.preprocessing)}
    )
    assert list(one.probabilities.values()) == probabilities[0].tolist()
    assert one.embedding is not None and np.array_equal(one.embedding, embedding[0])


def test_file_bytes_stream_and_array_agree(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    Image.fromarray(picture()).save(path)
    content = path.read_bytes()
    answers = [
        predictor(source)[0]
        for source in (path, str(path), content, io.BytesIO(content), picture())
    ]
    assert len({tuple(one.probabilities.values()) for one in answers}) == 1
    assert [one.source for one in answers] == [str(path), str(path), "", "", ""]


def test_several_faces_are_numbered(model_file: Path) -> None:
    with Predictor.load(model_file, detector=OneFace(count=3)) as predictor:
        assert [one.index for one in predictor(picture())] == [0, 1, 2]


def test_no_face_has_a_reason(predictor: Predictor) -> None:
    [one] = predictor(np.zeros((40, 50, 3), np.uint8))
    assert one.status is Status.NO_FACE
    assert one.reason == "no face found in 50 x 40 pixels"
    assert one.face is None and one.probabilities == {}


@pytest.mark.parametrize("content", [b"", b"words, not pixels", b"\xff\xd8\xff\xe0cut"])
def test_unreadable_image(predictor: Predictor, content: bytes) -> None:
    with pytest.raises(MienError, match="expected an image"):
        predictor(content)


def test_tight_crop_needs_no_detector(model_file: Path) -> None:
    detector = OneFace()
    with Predictor.load(model_file, detector=detector) as predictor:
        image = picture(5, 48, 48)
        [one] = predictor(image, tight=True)
    assert detector.calls == 0
    assert one.alignment is Alignment.FIXED
    assert one.face is not None and one.face.box == Box(0, 0, 48, 48)
    assert one.crop is not None
    assert np.array_equal(one.crop, fixed_crop(image, predictor.info.preprocessing)[0])


def _first(model: Path, detector: OneFace) -> Prediction:
    with Predictor.load(model, detector=detector) as predictor:
        return predictor(picture())[0]


def test_small_images_are_tight_crops_as_in_datasets(model_file: Path, tmp_path: Path) -> None:
    small, blank = picture(0, height=48, width=60), np.zeros((48, 60, 3), np.uint8)
    for name, pixels in (("happy/small", small), ("happy/blank", blank), ("sad/large", picture(1))):
        file = tmp_path / "faces" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    predictor = Predictor.load(model_file, detector=OneFace())
    [face], [none] = predictor(small), predictor(blank)
    assert (face.alignment, none.status) == (Alignment.FIXED, Status.NO_FACE)
    recipe = predictor.info.preprocessing
    made = prepare(
        "folder",
        tmp_path / "faces",
        tmp_path / "dataset",
        preprocessing=recipe,
        workers=1,
        detector=OneFace,
    )
    rows = dict(zip(made.dataset.column("id"), made.dataset.column("alignment"), strict=True))
    assert rows == {"happy/small.png": "fixed", "sad/large.png": "similarity"}
    index = list(rows).index("happy/small.png")
    np.testing.assert_array_equal(made.dataset.crops[index], face.crop)


def test_abstains_from_small_faces(model_file: Path) -> None:
    one = _first(model_file, OneFace(side=0.195))  # of 120 pixels: 23.4
    assert one.status is Status.ABSTAINED
    assert one.reason == "face is 23 pixels high; at least 24 are needed"
    assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert one.expression is not None
    assert _first(model_file, OneFace(side=0.2)).status is Status.OK


def test_abstains_from_profiles(model_file: Path) -> None:
    assert _first(model_file, OneFace(yaw=60)).status is Status.OK
    for yaw in (60.2, -75):
        one = _first(model_file, OneFace(yaw=yaw))
        assert one.status is Status.ABSTAINED
        assert one.reason.startswith("head is turned by")


def test_abstains_from_faces_that_the_detector_could_not_read(model_file: Path) -> None:
    class Profile(OneFace):
        def __call__(self, image: UInt8Array) -> list[Face]:
            [face] = super().__call__(image)
            return [replace(face, landmarks=None, pose=None, reason="seen in profile")]

    one = _first(model_file, Profile())
    assert (one.status, one.reason) == (Status.ABSTAINED, "seen in profile")


def test_abstains_below_the_models_threshold(write_model: WriteModel) -> None:
    confidence = _first(write_model(), OneFace()).confidence
    assert confidence is not None and confidence < 0.999
    above = _first(
        write_model(with_heads(expression={"abstain_below": confidence + 1e-3})), OneFace()
    )
    below = _first(
        write_model(with_heads(expression={"abstain_below": confidence - 1e-3})), OneFace()
    )
    assert (above.status, below.status) == (Status.ABSTAINED, Status.OK)
    assert above.reason.startswith(f"not sure: {int(100 * confidence)} % {above.expression}")
    assert above.probabilities == below.probabilities


def _crops(count: int) -> np.ndarray:
    return np.stack([picture(seed, SIZE, SIZE) for seed in range(count)])


def test_crops_do_not_depend_on_their_batch(predictor: Predictor) -> None:
    crops = _crops(11)
    together = predictor.predict_crops(crops)
    probabilities = together.heads["expression"]
    assert probabilities.shape == (11, 8) and together.embeddings.shape == (11, WIDTH)
    assert len(np.unique(probabilities.argmax(1))) > 1  # the model tells these pictures apart
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    for batch_size in (1, 4, 11):
        output = predictor.predict_crops(crops, batch_size)
        # Kernels may add in another order for another batch size.
        np.testing.assert_allclose(output.heads["expression"], probabilities, atol=1e-6)
        np.testing.assert_allclose(output.embeddings, together.embeddings, atol=1e-6)
        assert list(output.heads) == ["expression"] and output.attention is None
    shuffled = np.random.default_rng(0).permutation(11)
    again = predictor.predict_crops(crops[shuffled]).heads["expression"]
    assert np.array_equal(again, probabilities[shuffled])


def test_no_crops(predictor: Predictor) -> None:
    output = predictor.predict_crops(np.empty((0, SIZE, SIZE, 3), np.uint8))
    assert output.heads["expression"].shape == (0, 8) and output.embeddings.shape == (0, WIDTH)


def test_valence_arousal_and_attention_where_the_model_gives_them(write_model: WriteModel) -> None:
    predictor = Predictor.load(write_model(affect=2, attention=True), detector=OneFace())
    crops = _crops(5)
    whole, parts = predictor.predict_crops(crops), predictor.predict_crops(crops, 2)
    affect = whole.heads["valence_arousal"]
    assert whole.attention is not None and parts.attention is not None
    assert affect.shape == (5, 2) and whole.attention.shape == (5, 8, 8)
    assert affect.std() > 0.05 and whole.attention.std() > 0.01
    pairs = [(whole.heads[name], parts.heads[name]) for name in whole.heads]
    for mine, theirs in [*pairs, (whole.attention, parts.attention)]:
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, atol=1e-6)

    [face] = predictor(picture())
    assert face.crop is not None and face.attention is not None
    output = predictor.predict_crops(face.crop[None])
    assert [face.valence, face.arousal] == output.heads["valence_arousal"][0].tolist()
    assert output.attention is not None
    assert np.array_equal(face.attention, output.attention[0])
    only = Predictor.load(write_model(attention=True), detector=OneFace())(picture())[0]
    assert only.valence is None and only.arousal is None and only.attention is not None


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((2, SIZE, SIZE, 3), np.float32),
        np.zeros((2, 48, 48, 3), np.uint8),
        np.zeros((SIZE, SIZE, 3), np.uint8),
    ],
)
def test_crops_of_another_shape(predictor: Predictor, crops: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 crops"):
        predictor.predict_crops(crops)
    with pytest.raises(ValueError, match="batch size"):
        predictor.predict_crops(_crops(1), 0)


def test_never_a_silent_nan(write_model: WriteModel) -> None:
    predictor = Predictor.load(write_model(blow_up=True), detector=OneFace())
    with pytest.raises(MienError, match="finite numbers from the model 'tiny'"):
        predictor(picture())


def test_two_threads_share_a_predictor(predictor: Predictor) -> None:
    images = [picture(seed) for seed in range(24)]
    alone = [predictor(image)[0].probabilities for image in images]
    with ThreadPoolExecutor(2) as pool:
        together = [found[0].probabilities for found in pool.map(predictor, images)]
    assert together == alone


def test_closes_only_its_own_detector(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, made = OneFace(), OneFace()
    with Predictor.load(model_file, detector=given) as predictor:
        predictor(picture())
    assert not given.closed
    monkeypatch.setattr("mien.faces.detection.detect.FaceDetector", lambda: made)
    with Predictor.load(model_file) as predictor:
        predictor(picture())
    assert made.calls == 1 and made.closed


def test_finds_the_astronaut(model_file: Path) -> None:
    with Predictor.load(model_file) as predictor:
        [one] = predictor(astronaut())
        image = np.asarray(Image.fromarray(astronaut()).resize((1024, 1024)))
        [larger] = predictor(image)
    assert one.status is Status.OK
    assert one.face is not None and larger.face is not None
    assert 150 < one.face.box.left < 220 and 50 < one.face.box.top < 110
    assert larger.face.box.width == pytest.approx(2 * one.face.box.width, rel=0.1)
    assert one.face.pose is not None and abs(one.face.pose.yaw) < 30


MODES = ("stack", "stack-eyes-mouth", "mask")


def _reads(write_model: WriteModel, preprocessing: Preprocessing) -> Path:
    fields = {
        "preprocessing": preprocessing.model_dump(mode="json"),
        "preprocessing_hash": preprocessing.hash,
    }
    return write_model(description(**fields))


@pytest.mark.parametrize(("tight", "colors"), [(False, ("rgb", "bgr")), (True, ("gray",))])
def test_a_photo_and_its_dataset_give_the_same_tensor(
    write_model: WriteModel, tmp_path: Path, tight: bool, colors: tuple[str, ...]
) -> None:
    photo = astronaut()[40:240, 130:310] if tight else astronaut()
    for name in ("happy", "sad"):
        (tmp_path / "in" / name).mkdir(parents=True)
        Image.fromarray(photo).save(tmp_path / "in" / name / "astronaut.png")
    made = prepare(
        "folder",
        tmp_path / "in",
        tmp_path / "out",
        preprocessing=Preprocessing(size=SIZE, color=colors[0], partial_image="mask"),
        tight=tight,
        landmarks=tight,
        workers=1,
    ).dataset
    with FaceDetector() as detector:
        for color, mode in itertools.product(colors, ("full", *MODES)):
            recipe = Preprocessing(size=SIZE, color=color, partial_image=mode)
            predictor = Predictor.load(_reads(write_model, recipe), detector=detector)
            [one] = predictor(tmp_path / "in" / "happy" / "astronaut.png", tight=tight)
            dataset = made.with_preprocessing(recipe)
            assert one.crop is not None and one.alignment == dataset.column("alignment")[0]
            assert np.array_equal(one.crop, made.crops[0]) == (mode == "full")
            assert dataset.fixed_boxes() == 0
            assert np.array_equal(
                to_tensor(one.crop, recipe), to_tensor(dataset.crops[0], dataset.preprocessing)
            )


def test_a_tight_crop_for_a_partial_image_is_searched_for_landmarks(
    write_model: WriteModel,
) -> None:
    recipe = Preprocessing(size=SIZE, partial_image="mask")
    detector = OneFace()
    image = picture(5, 48, 48)
    with Predictor.load(_reads(write_model, recipe), detector=detector) as predictor:
        [one] = predictor(image, tight=True)
        [black] = predictor(np.zeros_like(image), tight=True)
    assert detector.calls == 2
    assert one.face is not None and one.face.box == Box(0, 0, 48, 48)
    found = find_tight_face(image, OneFace())
    assert found is not None and one.face.landmarks is not None and one.face.pose is None
    np.testing.assert_array_equal(one.face.landmarks, found.landmarks)
    # Five landmarks outline nothing, and none do neither.
    for answer, pixels in ((one, image), (black, np.zeros_like(image))):
        whole = cut_face(pixels, None, recipe, tight=True).crop
        assert answer.status is Status.OK and answer.crop is not None
        np.testing.assert_array_equal(answer.crop, compose_partial_image(whole, recipe))
    assert black.face is not None and black.face.landmarks is None
