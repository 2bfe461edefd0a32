import io
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MienError
from mien.faces.images import load_image
from mien.faces.kinds import IMAGE_SUFFIXES
from mien.schema import UInt8Array

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
RGB = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=2)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_lossless_files_come_back_as_they_were(kind: str) -> None:
    data = encoded(Image.fromarray(RGB), kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(load_image(data), RGB)


def test_path_bytes_stream_and_array_give_the_same(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(RGB), "PNG")
    file = tmp_path / "a face.png"
    file.write_bytes(data)
    for source in (file, str(file), data, io.BytesIO(data), RGB):
        np.testing.assert_array_equal(load_image(source), RGB)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_every_mode_gives_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "I", "F", "PA") else "PNG"
    image = Image.fromarray(RGB).convert("P").convert("PA") if mode == "PA" else None
    loaded = load_image(encoded(image or Image.fromarray(RGB).convert(mode), kind))
    assert (loaded.dtype, loaded.shape) == (np.uint8, (16, 16, 3))
    assert loaded.std() > 30


def test_cmyk_jpeg_keeps_its_colors() -> None:
    red = Image.new("RGB", (16, 16), (220, 30, 30)).convert("CMYK")
    assert np.abs(load_image(encoded(red, "JPEG")).mean(axis=(0, 1)) - (220, 30, 30)).max() < 6


def test_transparent_pixels_are_white() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[0, 1] = (0, 0, 0, 128)
    loaded = load_image(encoded(Image.fromarray(pixels), "PNG"))
    assert loaded[0, 0].tolist() == [10, 20, 30]
    assert loaded[0, 1].tolist() == [127, 127, 127]
    assert loaded[1].tolist() == [[255] * 3] * 2
    np.testing.assert_array_equal(load_image(pixels), loaded)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_transparent_palette_entries_are_white(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    loaded = load_image(encoded(image, "PNG", transparency=transparency))
    assert loaded.tolist() == [[[255, 255, 255], [0, 0, 200]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_not_clipped(kind: str) -> None:
    wide = RAMP.astype(np.uint16) * 257
    loaded = load_image(encoded(Image.fromarray(wide), kind))
    np.testing.assert_array_equal(loaded, np.repeat(RAMP[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-3.0, 12.0), (0.0, 255.0)], ids=["unit", "signed", "bytes"]
)
def test_float_tiff_is_stretched_to_8_bit(low: float, high: float) -> None:
    values = (low + (high - low) * (RAMP / 255.0)).astype(np.float32)
    loaded = load_image(encoded(Image.fromarray(values), "TIFF"))
    assert np.abs(loaded[..., 0].astype(int) - RAMP).max() <= 1


def test_float_tiff_with_missing_values_is_an_error() -> None:
    values = np.array([[0.0, np.nan], [1.0, 0.5]], np.float32)
    with pytest.raises(MienError, match="finite pixel values"):
        load_image(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ((250, 0, 0), (0, 250, 0))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert load_image(data)[0, 0, 0] > 200 > 50 > load_image(data)[0, 0, 1]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:16, :16] = 255  # the corner that ends up top left in the upright picture
    stored = stored_with(image, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(encoded(Image.fromarray(stored), kind, exif=exif))
    assert loaded.shape == (32, 64, 3)
    assert loaded[4:12, 4:12].min() > 200
    assert loaded[20:, 20:].max() < 50


def stored_with(upright: UInt8Array, orientation: int) -> UInt8Array:
    """The pixels that a camera stores so that EXIF's ``orientation`` makes them upright."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    return np.ascontiguousarray(stored)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\xff\xff", b"Exif\0\0"])
def test_a_corrupt_exif_note_is_ignored_silently(exif: bytes) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load_image(encoded(Image.fromarray(RGB), "JPEG", exif=exif)).shape == RGB.shape
    assert not caught


def test_pillow_warnings_stay_inside_with_many_threads() -> None:
    data = encoded(Image.fromarray(RGB), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    before = list(warnings.filters)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                load_image(data)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(warnings.filters) == before


@pytest.mark.parametrize("side", [60_000, 12_000])
def test_a_header_over_the_limit_is_an_error_before_decoding(side: int) -> None:
    with pytest.raises(MienError, match="at most 120,000,000 pixels"):
        load_image(png_header(side, side))


def test_our_limit_counts_where_pillows_is_lower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    data = encoded(Image.fromarray(RGB), "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(load_image(data), RGB)
    assert not caught
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(load_image(data), RGB)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.slow
def test_ninety_million_pixels_load() -> None:
    assert load_image(encoded(Image.new("L", (9_600, 9_600)), "PNG")).shape == (9_600, 9_600, 3)


def test_the_limit_can_be_lowered() -> None:
    data = encoded(Image.fromarray(RGB), "PNG")
    assert load_image(data, max_pixels=256).shape == RGB.shape
    with pytest.raises(MienError, match="at most 255 pixels, got 16 x 16"):
        load_image(data, max_pixels=255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_truncated_file_is_an_error_not_half_an_image(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(MienError, match="expected"):
        load_image(data[: int(share * len(data))])


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "empty file"),
        (b"these are words", "a text file"),
        (b"\x00\x01\x02" * 40, "an unknown file format"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(64), "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a text file"),
        (b"\x89PNG\r\n\x1a\n", "expected"),
        (b"\xff\xd8\xff\xe0", "expected"),
    ],
)
def test_what_is_no_picture_says_what_it_is(tmp_path: Path, content: bytes, got: str) -> None:
    file = tmp_path / "face.png"
    file.write_bytes(content)
    with pytest.raises(MienError, match=got) as caught:
        load_image(file)
    message = str(caught.value)
    assert message.startswith("expected ")
    assert "\n" not in message
    assert str(tmp_path) not in message


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no file"):
        load_image(tmp_path / "nothing.jpg")
    with pytest.raises(MienError, match="a folder"):
        load_image(tmp_path)
    with pytest.raises(MienError, match="cannot be read"):
        load_image("face\0.png")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.full((4, 4), 1.5),
        np.full((4, 4), np.nan),
        np.full((4, 4), -0.1),
    ],
)
def test_arrays_that_are_no_image_are_errors(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(MienError, match="expected a"):
        load_image(array)


def test_gray_wide_and_float_arrays() -> None:
    gray = np.repeat(RAMP[..., None], 3, axis=2)
    np.testing.assert_array_equal(load_image(RAMP), gray)
    np.testing.assert_array_equal(load_image(RAMP.astype(np.uint16) * 257), gray)
    np.testing.assert_array_equal(load_image(RAMP / 255), gray)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_any_rgb_image_survives_png(pixels: UInt8Array) -> None:
    np.testing.assert_array_equal(load_image(encoded(Image.fromarray(pixels), "PNG")), pixels)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]))
def test_damage_never_raises_anything_but_our_error(noise: bytes, kind: str) -> None:
    data = bytearray(encoded(Image.fromarray(RGB), kind))
    for index, value in enumerate(noise):
        data[(index * 7919) % len(data)] ^= value
    try:
        loaded = load_image(bytes(data))
    except MienError as error:
        assert str(error).startswith("expected ")
    else:
        assert loaded.dtype == np.uint8
        assert loaded.ndim == 3


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".gif", ".bmp"} <= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


def test_images_in_memory_are_read_in_any_form() -> None:
    data = encoded(Image.fromarray(RGB), "PNG")
    for source in (bytearray(data), memoryview(data), Image.fromarray(RGB), RGB.copy(order="F")):
        np.testing.assert_array_equal(load_image(source), RGB)
    np.testing.assert_array_equal(load_image(RAMP[..., None]), load_image(RAMP))


def test_a_pillow_image_is_upright_and_stays_open() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(RGB[:8]), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(load_image(image), load_image(data))
        assert image.size == (16, 8) and image.getpixel((0, 0)) is not None
        with pytest.raises(MienError, match="at most 100 pixels"):
            load_image(image, max_pixels=100)
    with pytest.raises(MienError, match="a complete Pillow image"):
        half = encoded(Image.effect_noise((64, 64), 60), "PNG")[:2000]
        load_image(Image.open(io.BytesIO(half)))


class Tensor:
    """What numpy needs of the tensors of other packages."""

    def __init__(self, values: NDArray[Any], *, on_device: bool = False) -> None:
        self.values, self.on_device = values, on_device

    def cpu(self) -> "Tensor":
        return Tensor(self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        if self.on_device:
            raise TypeError("can't convert a tensor of a device")
        return self.values


def test_tensors_are_arrays() -> None:
    np.testing.assert_array_equal(load_image(Tensor(RGB, on_device=True)), RGB)
    with pytest.raises(MienError, match=r"got \(3, 16, 16\); move the channels to the end"):
        load_image(Tensor(RGB.transpose(2, 0, 1)))


@pytest.mark.parametrize("source", [None, 3, [RGB, RGB], ["a.png"], io.StringIO("text")])
def test_anything_else_is_one_sentence(source: Any) -> None:
    with pytest.raises(MienError, match=r"^expected an image as a path, .* got "):
        load_image(source)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_few_bits_in_sixteen_are_stretched(bits: int) -> None:
    wide = np.round(RAMP / 255 * (2**bits - 1)).astype(np.uint16)
    for source in (wide, encoded(Image.fromarray(wide), "PNG"), Image.fromarray(wide)):
        assert np.abs(load_image(source)[..., 0].astype(int) - RAMP).max() <= 1


def test_large_pictures_are_converted_as_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = ["L", "P", "RGBA", "CMYK", "I", "F", "I;16"]
    pictures = [Image.fromarray(RAMP).convert(mode) for mode in modes]
    pictures[2].putalpha(Image.fromarray(RAMP.T))
    arrays = [np.dstack([RGB, RAMP]), RAMP.astype(np.uint16) * 257, RAMP / 255]
    expected = [load_image(each) for each in (*pictures, *arrays)]
    monkeypatch.setattr("mien.faces.images._STRIP", 50)
    for source, pixels in zip((*pictures, *arrays), expected, strict=True):
        np.testing.assert_array_equal(load_image(source), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("alpha", [False, True])
def test_colors_of_twelve_bits_in_sixteen_are_stretched(suffix: str, alpha: bool) -> None:
    colors = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=2).astype(np.uint16)
    stored = [colors[..., ::-1] * 16, *([np.full((16, 16, 1), 65535, np.uint16)] if alpha else [])]
    content = cv2.imencode(suffix, np.concatenate(stored, axis=2))[1].tobytes()
    loaded = load_image(content).astype(int)
    assert loaded.max() == 254 and np.abs(loaded - colors).max() <= 1
    wide = cv2.imencode(suffix, colors[..., ::-1] * 257)[1].tobytes()
    np.testing.assert_array_equal(load_image(wide), colors)
