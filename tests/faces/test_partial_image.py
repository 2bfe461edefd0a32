import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.partial_image import compose_partial_image, compose_regions, region_pixels
from mien.faces.regions import action_unit_bounds, action_unit_boxes
from mien.schema import Preprocessing, UInt8Array

MODES = ("full", "stack", "stack-eyes-mouth", "mask")


def ramp(size: int) -> UInt8Array:
    """Every pixel tells its place: red is the column, green the row, in half levels."""
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(size) * 2, np.arange(size)[:, None] * 2
    return image


def noise(size: int, channels: int = 3) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (size, size, channels), dtype=np.uint8)


def mesh(seed: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (478, 2)).astype(np.float32) * size


@settings(deadline=None)
@given(st.integers(16, 200), st.sampled_from(MODES), st.sampled_from([1, 3]), st.booleans())
def test_a_partial_image_is_a_crop_again(size: int, mode: str, channels: int, found: bool) -> None:
    preprocessing = Preprocessing(size=size, partial_image=mode)
    crop = noise(size, channels)
    before = crop.copy()
    image = compose_partial_image(crop, preprocessing, mesh(1, size) if found else None)
    assert image.dtype == np.uint8 and image.shape == crop.shape
    np.testing.assert_array_equal(crop, before)
    assert np.array_equal(image, crop) == (mode == "full")


@pytest.mark.parametrize(
    ("mode", "strips"),
    [
        ("stack", {"brows-eyes": (0, 40), "nose": (40, 56), "mouth": (56, 96)}),
        ("stack-eyes-mouth", {"brows-eyes": (0, 48), "mouth": (48, 96)}),
    ],
)
@pytest.mark.parametrize("found", [False, True])
def test_strips_show_their_regions_from_edge_to_edge(
    mode: str, strips: dict[str, tuple[int, int]], found: bool
) -> None:
    preprocessing = Preprocessing(size=96, partial_image=mode, interpolation="linear")
    # Wide apart, so that a strip from another place would be seen.
    landmarks = mesh(2, 96) * np.float32([0.5, 0.7]) if found else None
    image = compose_partial_image(ramp(96), preprocessing, landmarks)
    boxes = action_unit_boxes(preprocessing, landmarks)
    for name, (start, end) in strips.items():
        box, strip = boxes[name], image[start:end].astype(float) / 2
        assert strip[:, 0, 0].mean() == pytest.approx(box.left, abs=1)
        assert strip[:, -1, 0].mean() == pytest.approx(box.left + box.width - 1, abs=1)
        # A row of a strip that was shrunk shows the middle of the rows that it stands for.
        half = max(0, box.height / (end - start) - 1) / 2
        assert strip[0, :, 1].mean() == pytest.approx(box.top + half, abs=1)
        assert strip[-1, :, 1].mean() == pytest.approx(box.top + box.height - 1 - half, abs=1)


@pytest.mark.parametrize("found", [False, True])
def test_the_mask_keeps_the_pixels_of_the_regions_and_blanks_the_rest(found: bool) -> None:
    preprocessing = Preprocessing(size=64, partial_image="mask")
    landmarks = mesh(3, 64) * np.float32([1, 0.5]) if found else None
    crop = noise(64)
    boxes = action_unit_boxes(preprocessing, landmarks).values()
    expected = np.full_like(crop, 128)
    for y in range(64):
        for x in range(64):
            # A pixel is [x, x + 1): one that a box touches is shown whole.
            if any(
                b.left < x + 1 and x < b.left + b.width and b.top < y + 1 and y < b.top + b.height
                for b in boxes
            ):
                expected[y, x] = crop[y, x]
    assert (expected == 128).all(axis=2).mean() > 0.2
    np.testing.assert_array_equal(compose_partial_image(crop, preprocessing, landmarks), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "area"])
def test_gray_in_one_channel_and_in_three_is_the_same(mode: str, interpolation: str) -> None:
    preprocessing = Preprocessing(
        size=112, color="gray", partial_image=mode, interpolation=interpolation
    )
    one = noise(112, 1)
    three = np.repeat(one, 3, axis=2)
    wide = compose_partial_image(three, preprocessing)
    assert wide.shape == (112, 112, 3)
    for channel in range(3):
        np.testing.assert_array_equal(
            wide[..., channel], compose_partial_image(one, preprocessing)[..., 0]
        )


@pytest.mark.parametrize("mode", MODES[1:])
def test_landmarks_count_and_five_of_them_do_not(mode: str) -> None:
    preprocessing = Preprocessing(size=64, partial_image=mode)
    crop, fixed = noise(64), compose_partial_image(noise(64), preprocessing)
    five = np.full((5, 2), 30, np.float32)
    np.testing.assert_array_equal(compose_partial_image(crop, preprocessing, five), fixed)
    assert not np.array_equal(compose_partial_image(crop, preprocessing, mesh(4, 64)), fixed)


def test_many_faces_at_once_are_those_one_by_one() -> None:
    preprocessing = Preprocessing(size=64, partial_image="stack")
    faces = np.stack([mesh(seed, 64) for seed in range(5)])
    faces[2, :, 0] += 500  # all regions outside
    together = region_pixels(preprocessing, faces)
    assert together.shape == (5, 3, 4)
    for face, regions in zip(faces, together, strict=True):
        np.testing.assert_array_equal(regions, region_pixels(preprocessing, face[None])[0])
    np.testing.assert_array_equal(together[2], region_pixels(preprocessing)[0])
    bounds = action_unit_bounds(preprocessing, faces)
    assert (together[..., :2] <= bounds[..., :2]).all() and (
        together[..., 2:] >= bounds[..., 2:]
    ).all()
    assert (np.abs(together - bounds) < 1).all()


def test_a_sliver_of_a_region_is_still_a_pixel() -> None:
    preprocessing = Preprocessing(size=32, partial_image="stack")
    landmarks = np.full((478, 2), (31.9999, 16), np.float32)
    landmarks[::2, 1] += 1e-4
    regions = region_pixels(preprocessing, landmarks[None])
    assert (regions[..., 2:] > regions[..., :2]).all() and regions.max() <= 32
    assert compose_regions(noise(32), preprocessing, regions[0]).shape == (32, 32, 3)


def test_other_crops_and_landmarks_are_refused() -> None:
    preprocessing = Preprocessing(size=32, partial_image="mask")
    for crop in (noise(16), noise(32)[..., :2], noise(32).astype(np.float32), noise(32)[..., 0]):
        with pytest.raises(ValueError, match=r"uint8 crop \(32, 32, 3 or 1\)"):
            compose_partial_image(crop, preprocessing)
    with pytest.raises(ValueError, match=r"\(478, 2\) or \(5, 2\), got \(68, 2\)"):
        compose_partial_image(noise(32), preprocessing, np.zeros((68, 2), np.float32))


def test_modes_have_hashes_of_their_own_and_cut_alike() -> None:
    recipes = [Preprocessing(partial_image=mode) for mode in MODES]
    assert len({recipe.hash for recipe in recipes}) == len(MODES)
    for recipe in recipes:
        assert recipe.cuts_like(recipes[0].model_copy(update={"mean": (0, 0, 0), "color": "bgr"}))
        assert recipe.differences(recipes[0]) == ""
        assert not recipe.cuts_like(Preprocessing(size=64))
        assert recipe.differences(Preprocessing(size=64)) == "size 112 against 64"
        gray = Preprocessing(color="gray")
        assert recipe.differences(gray) == "color 'rgb' against 'gray'"
