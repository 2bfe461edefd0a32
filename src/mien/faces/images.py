"""Any picture -> an upright ``(H, W, 3)`` uint8 RGB array, or one clear error."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.schema import MienError, UInt8Array

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".mpo"}
    | {".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Lower-case suffixes of the files that are taken from a folder."""

# Pillow also opens documents and scientific formats, some through other programs; photos of faces
# come in none of those. HEIF is available where the user has registered a plugin.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "MPO", "AVIF", "HEIF")

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(
    source: str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any],
    *,
    max_pixels: int = 100_000_000,
) -> UInt8Array:
    """Load an upright ``(H, W, 3)`` uint8 RGB image from a path, bytes, a stream or an array.

    EXIF orientation is applied, transparency is composed on white, and an animation gives its
    first frame. 16-bit values are divided by 257. 32-bit integers count as 8 or 16 bits where
    they fit, floats as [0, 1]; others are stretched from their minimum to their maximum.
    ``max_pixels`` is compared with the file's header before anything is decoded.

    An array is ``(H, W)`` gray, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA: uint8, uint16 or float
    in [0, 1]. A uint8 RGB array is returned without a copy.

    Raises :class:`mien.schema.MienError` for anything that is not a readable picture.

    >>> load_image(np.full((2, 3), 65535, np.uint16)).shape
    (2, 3, 3)
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), max_pixels)
    if isinstance(source, str | os.PathLike):
        try:
            with Path(source).open("rb") as file:
                return _decode(file, max_pixels)
        except FileNotFoundError as error:
            raise MienError("expected an image, got no file; check the name") from error
        except IsADirectoryError as error:
            raise MienError("expected an image, got a folder; name a file in it") from error
        except (OSError, ValueError) as error:  # ValueError: a null byte in the name
            reason = getattr(error, "strerror", None) or error
            raise MienError(
                f"expected an image, got a file that cannot be read: {reason}"
            ) from error
    return _decode(io.BytesIO(source.read()), max_pixels)


def _decode(file: BinaryIO, max_pixels: int) -> UInt8Array:
    start = file.read(16)
    if not start:
        raise MienError("expected an image, got an empty file; fetch or export it again")
    file.seek(0)
    # In Pillow a damaged file raises nearly any exception, from struct.error to MemoryError, so any
    # of them counts as "not readable" and is kept as the cause.
    with _no_pillow_warnings():
        try:
            image: Image.Image = Image.open(file, formats=_formats())
        except Image.DecompressionBombError as error:
            raise _too_large(max_pixels, None) from error
        except UnidentifiedImageError as error:
            raise MienError(f"expected an image, got {_description(start)}") from error
        except Exception as error:
            raise MienError(f"expected an image, got a damaged file ({_message(error)})") from error
        with image:
            if image.width * image.height > max_pixels:
                raise _too_large(max_pixels, image.size)
            try:
                image.load()
                return _to_rgb(_upright(image))
            except MienError:
                raise
            except Exception as error:
                raise MienError(
                    f"expected a complete image, got a damaged or truncated {image.format} file "
                    f"({_message(error)}); fetch or export it again"
                ) from error


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:
        # The pixels are intact; only the metadata is damaged.
        orientation = 1
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> UInt8Array:
    if image.mode.startswith("I;16"):
        return _from_array(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        return _from_array(_stretched(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode != "RGB":
        image = image.convert("RGB")
    return _from_array(np.asarray(image))


def _stretched(values: NDArray[Any]) -> NDArray[Any]:
    """Convert 32-bit pixels to a narrower type or to floats in [0, 1], by the range they use."""
    if not np.isfinite(values).all():
        raise MienError(
            "expected finite pixel values, got infinite or missing ones; export the file again"
        )
    low, high = values.min(), values.max()
    if values.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return values.astype(np.uint8 if high <= 255 else np.uint16)
    if low >= 0 and high <= 1:
        return values.astype(np.float64)
    scaled: NDArray[np.float64] = (values - float(low)) / max(float(high) - float(low), 1e-12)
    return scaled


def _from_array(array: NDArray[Any]) -> UInt8Array:
    if (
        array.ndim not in (2, 3)
        or 0 in array.shape
        or (array.ndim == 3 and array.shape[2] not in (3, 4))
    ):
        raise MienError(
            f"expected an image array of shape (H, W), (H, W, 3) or (H, W, 4), got {array.shape}"
        )
    pixels = _to_8_bit(array)
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.shape[2] == 4:
        return _on_white(pixels)
    return np.ascontiguousarray(pixels)


def _to_8_bit(array: NDArray[Any]) -> UInt8Array:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise MienError(
            f"expected an image array of uint8, uint16 or floats in [0, 1], got {array.dtype}"
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # also false for NaN
        raise MienError(
            f"expected a float image array in [0, 1], got values from {low:g} to {high:g}"
        )
    return np.round(array * 255).astype(np.uint8)


def _on_white(pixels: UInt8Array) -> UInt8Array:
    color, alpha = pixels[:, :, :3].astype(np.uint16), pixels[:, :, 3:].astype(np.uint16)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _description(start: bytes) -> str:
    if start[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file that cannot be read here; save it as JPEG or PNG"
    if b"\0" not in start and start.isascii():
        return "a text file; use a JPEG, PNG, WebP, TIFF, BMP or GIF picture"
    return "an unknown file format; use a JPEG, PNG, WebP, TIFF, BMP or GIF picture"


def _too_large(max_pixels: int, size: tuple[int, int] | None) -> MienError:
    # Pillow refuses images above twice its own limit and does not say their size.
    pillow_limit = 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)
    got = f"{size[0]:,} x {size[1]:,}" if size else "a larger one"
    limit = max_pixels if size else min(max_pixels, pillow_limit)
    return MienError(f"expected an image of at most {limit:,} pixels, got {got}; scale it down")


def _message(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _NoPillowWarnings:
    """Counts the threads inside, because ``warnings.catch_warnings`` mixes up their filters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._caught.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._caught.close()


_no_pillow_warnings = _NoPillowWarnings()
