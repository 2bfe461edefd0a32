"""Any picture -> an upright ``(H, W, 3)`` uint8 RGB array, or one clear error."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.errors import MienError
from mien.faces.damage import PNG_SIGNATURE, png_pixels, without_end
from mien.faces.kinds import RAW_SUFFIXES
from mien.schema import UInt8Array

MAX_PIXELS = 120_000_000
"""Larger pictures are refused unless another limit is given: room for telephones of 108 megapixels,
not for a file that claims a size and holds next to nothing."""

ImageSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
)
"""What :func:`load_image` takes."""

# Pillow also opens documents and scientific formats, some through other programs; photos of faces
# come in none of those. HEIF is available where the user has registered a plugin.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "MPO", "AVIF", "HEIF")

_ORIENTATION_TAG = 0x0112
_DNG_TAG = 50706
_UPRIGHT: dict[int, Callable[[UInt8Array], UInt8Array]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
# Cameras of 10, 12 and 14 bits write them into 16 without scaling them.
_TOPS = (255, 1023, 4095, 16383, 65535)
# Of 16-bit colors the upper 8 bits are kept; those of up to 14 bits reach this.
_NARROW_TOP = 63
# What a decoder of JPEGs can divide both sides by, at less than the cost of all pixels.
_REDUCTIONS = (8, 4, 2)
# Pictures are converted in strips, as converting a large one at once would take several copies.
_STRIP = 4_000_000

# Pillow's own blocks of 16 MB are small enough for the C library to keep them when they are freed.
if "PILLOW_BLOCK_SIZE" not in os.environ:
    Image.core.set_block_size(1 << 26)  # type: ignore[attr-defined]

Narrow = Callable[[NDArray[Any]], UInt8Array]


def load_image(
    source: ImageSource, *, max_pixels: int = MAX_PIXELS, reduced_by: int = 1
) -> UInt8Array:
    """Load an upright ``(H, W, 3)`` uint8 RGB image from a file, bytes, a Pillow image or an array.

    EXIF orientation is applied, transparency is composed on white, and an animation gives its
    first frame. Wider integers count as 8, 10, 12, 14 or 16 bits, the fewest that hold them all;
    floats as [0, 1]; others are stretched from their minimum to their maximum. ``max_pixels`` is
    compared with the file's header before anything is decoded. ``reduced_by`` 2, 4 or 8 decodes a
    JPEG at that fraction of its size, see :func:`reduction`. A file whose pixels are whole is read
    although something else in it is damaged.

    An array is ``(H, W)`` or ``(H, W, 1)`` gray, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA: uint8,
    uint16 or float in [0, 1]; a tensor is read as an array. A uint8 RGB array is returned without
    a copy.

    Raises :class:`mien.errors.MienError` for anything that is not a readable picture.

    >>> load_image(np.full((2, 3), 65535, np.uint16)).shape
    (2, 3, 3)
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(io.BytesIO(bytes(source)), max_pixels, reduced_by)
    if isinstance(source, str | os.PathLike):
        with _opened(source) as file:
            return _decode(file, max_pixels, reduced_by)
    if isinstance(source, Image.Image):
        return _of_pillow(source, max_pixels)
    if hasattr(source, "__array__"):
        return _from_array(_as_array(source))
    content = source.read() if hasattr(source, "read") else None
    if not isinstance(content, bytes | bytearray):
        got = "a text file; open it with mode 'rb'" if isinstance(content, str) else ""
        raise MienError(
            "expected an image as a path, encoded bytes, a binary file, a Pillow image or an "
            f"array, got {got or f'{type(source).__name__}; give one image at a time'}"
        )
    return _decode(io.BytesIO(content), max_pixels, reduced_by)


def count_pixels(path: str | os.PathLike[str]) -> int:
    """Width times height by a file's header; 0 where it has none that can be read."""
    _, width, height = _header(path)
    return width * height


def reduction(path: str | os.PathLike[str], *, least_pixels: int, least_side: int) -> int:
    """By how much a JPEG can be reduced while it is decoded: 8, 4, 2 or, as all others, 1.

    So many pixels remain, and so many on the shorter side. Continuous coordinates in the reduced
    image, times this number, are those in the whole one.
    """
    kind, width, height = _header(path)
    for factor in _REDUCTIONS if kind == "JPEG" else ():
        if width * height >= least_pixels * factor**2 and min(width, height) >= least_side * factor:
            return factor
    return 1


def _header(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    try:
        with _opened(path) as file, _pillow_at_ease(), Image.open(file, "r", _formats()) as it:
            return it.format or "", it.width, it.height
    except Exception:  # load_image says what is wrong
        return "", 0, 0


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise MienError("expected an image, got a folder; name a file in it")
        if not stat.S_ISREG(mode):
            # A pipe that nobody writes to would be waited for without end.
            raise MienError(
                "expected an image, got a pipe, socket or device; save the picture to a file"
            )
        file = Path(path).open("rb")  # noqa: SIM115
    except FileNotFoundError as error:
        raise MienError("expected an image, got no file; check the name") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise MienError(f"expected an image, got a file that cannot be read: {reason}") from error
    with file:
        if Path(path).suffix.lower() in RAW_SUFFIXES:
            raise _raw_photo()
        yield file


def _decode(file: BinaryIO, max_pixels: int, reduced_by: int) -> UInt8Array:
    start = file.read(16)
    if not start:
        raise MienError("expected an image, got an empty file; fetch or export it again")
    file.seek(0)
    # In Pillow a damaged file raises nearly any exception, from struct.error to MemoryError, so any
    # of them counts as "not readable" and is kept as the cause.
    with _pillow_at_ease():
        try:
            if start.startswith(PNG_SIGNATURE):
                file = png_pixels(file)
            image: Image.Image = Image.open(file, formats=_formats())
        except UnidentifiedImageError as error:
            raise MienError(f"expected an image, got {_description(start)}") from error
        except Exception as error:
            whole = _without_end(file, _kind(start), max_pixels, reduced_by)
            if whole is not None:
                return whole
            raise MienError(f"expected an image, got a damaged file ({_message(error)})") from error
        with image:
            _check_size(image, max_pixels)
            if image.format == "TIFF" and _DNG_TAG in getattr(image, "tag_v2", ()):
                raise _raw_photo()
            if image.format == "TIFF":
                _silence_libtiff()
            wide = _has_wide_colors(image)
            _reduce(image, reduced_by)
            try:
                image.load()
                pixels = _from_pillow(image)
                if wide and pixels.max() <= _NARROW_TOP:
                    return _stretched(file, image, pixels)
                return pixels
            except MienError:
                raise
            except Exception as error:
                whole = _without_end(file, image.format or "", max_pixels, reduced_by)
                if whole is not None:
                    return whole
                raise MienError(
                    f"expected a complete image, got a damaged or truncated {image.format} file "
                    f"({_message(error)}); fetch or export it again"
                ) from error


def _reduce(image: Image.Image, reduced_by: int) -> None:
    """Let an image that was opened, but not loaded, be decoded at a fraction of its size."""
    if reduced_by == 1:
        return
    if reduced_by not in _REDUCTIONS or image.format != "JPEG":
        raise ValueError(
            f"expected a JPEG to reduce by one of {_REDUCTIONS}, got {image.format} and "
            f"{reduced_by}"
        )
    image.draft(None, (image.width // reduced_by, image.height // reduced_by))


def _without_end(file: BinaryIO, kind: str, max_pixels: int, reduced_by: int) -> UInt8Array | None:
    def decode(ended: BinaryIO) -> UInt8Array:
        with Image.open(ended, formats=("JPEG" if kind == "MPO" else kind,)) as image:
            _check_size(image, max_pixels)
            _reduce(image, reduced_by)
            image.load()
            return _from_pillow(image)

    try:
        return without_end(file, kind, decode)
    except Exception:  # the first error is the one to report
        return None


def _kind(start: bytes) -> str:
    return "WEBP" if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else ""


def _has_wide_colors(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet has 16 bits a color, of which Pillow keeps 8."""
    # Pillow's annotations know a file's pieces in a subclass only.
    modes = [tile[3] for tile in getattr(image, "tile", ())]
    return image.format in ("PNG", "TIFF") and any(";16" in str(mode) for mode in modes)


def _stretched(file: BinaryIO, image: Image.Image, pixels: UInt8Array) -> UInt8Array:
    """The pixels of an image of 16-bit colors that uses 8 to 14 bits of them."""
    import cv2

    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    values: NDArray[Any] | None = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return pixels
    colors = values[:, :, 2::-1]
    narrow = _from_bits(float(colors.max()))(colors)
    if values.shape[2] == 4:
        alpha = (values[:, :, 3:] // 257).astype(np.uint8)
        narrow = _colors(np.concatenate([narrow, alpha], axis=2))
    turn = _UPRIGHT.get(_orientation(image))
    return np.ascontiguousarray(narrow if turn is None else turn(narrow))


def _of_pillow(image: Image.Image, max_pixels: int) -> UInt8Array:
    """The pixels of an image that someone else has opened, and closes."""
    _check_size(image, max_pixels)
    with _pillow_at_ease():
        try:
            image.load()
            return _from_pillow(image)
        except MienError:
            raise
        except Exception as error:
            raise MienError(
                f"expected a complete Pillow image, got one that cannot be read ({_message(error)})"
            ) from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise MienError(
            f"expected an image of at most {max_pixels:,} pixels, got "
            f"{image.width:,} x {image.height:,}; scale it down or raise the limit (--max-pixels)"
        )


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@functools.cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing a line per fault; Pillow raises an error where one matters."""
    package = Path(Image.__file__).parent
    bundled = (*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*"))
    for path in bundled:
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # The pixels are intact; only the metadata is damaged.
        return 1


def _from_pillow(image: Image.Image) -> UInt8Array:
    """The upright pixels of a loaded image."""
    wide = image.mode.startswith(("I", "F"))
    narrow = _narrowing(lambda: map(np.asarray, _strips(image))) if wide else _unchanged
    mode = "RGBA" if image.has_transparency_data else "RGB"
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    top = 0
    for strip in _strips(image):
        values = np.asarray(strip if wide or strip.mode == mode else strip.convert(mode))
        pixels[top : top + len(values)] = _colors(narrow(values))
        top += len(values)
    turn = _UPRIGHT.get(_orientation(image))
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _STRIP // image.width)
    if rows >= image.height:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _narrowing(strips: Callable[[], Iterator[NDArray[Any]]]) -> Narrow:
    """How to convert gray values of any type and range to 8 bits, by the range that they use."""
    lows, highs = [], []
    for values in strips():
        if not np.isfinite(values).all():
            raise MienError(
                "expected finite pixel values, got infinite or missing ones; export the file again"
            )
        lows.append(values.min())
        highs.append(values.max())
        kind = values.dtype.kind
    low, high = float(min(lows)), float(max(highs))
    if kind in "iu" and low >= 0 and high <= _TOPS[-1]:
        return _from_bits(high)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = 255 / max(high - low, 1e-12)
    return lambda values: np.round((values.astype(np.float64) - low) * scale).astype(np.uint8)


def _from_bits(highest: float) -> Narrow:
    """How to convert whole numbers from 0, the ``highest`` of which is known, to 8 bits."""
    top = next(top for top in _TOPS if highest <= top)
    return lambda values: ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def _unchanged(values: NDArray[Any]) -> UInt8Array:
    return values


def _as_array(source: Any) -> NDArray[Any]:
    """A tensor, or whatever else can be an array, as one."""
    for step in ("detach", "cpu"):
        source = getattr(source, step, lambda source=source: source)()
    try:
        return np.asarray(source)
    except (RuntimeError, TypeError, ValueError) as error:
        raise MienError(
            f"expected an image array, got {type(source).__name__}, which is none "
            f"({_message(error)})"
        ) from error


def _from_array(array: NDArray[Any]) -> UInt8Array:
    if (
        array.ndim not in (2, 3)
        or 0 in array.shape
        or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))
    ):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise MienError(
            f"expected an image array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got "
            f"{array.shape}{'; move the channels to the end' if first else ''}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
        return np.ascontiguousarray(array)
    narrow = _narrowing_of(array)
    pixels = np.empty((*array.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP // array.shape[1])
    for top in range(0, len(array), rows):
        pixels[top : top + rows] = _colors(narrow(array[top : top + rows]))
    return pixels


def _narrowing_of(array: NDArray[Any]) -> Narrow:
    if array.dtype == np.uint8:
        return _unchanged
    if array.dtype == np.uint16:
        return _from_bits(float(array.max()))
    if array.dtype.kind != "f":
        raise MienError(
            f"expected an image array of uint8, uint16 or floats in [0, 1], got {array.dtype}"
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # also false for NaN
        raise MienError(
            f"expected a float image array in [0, 1], got values from {low:g} to {high:g}"
        )
    return lambda values: np.round(values * 255).astype(np.uint8)


def _colors(values: UInt8Array) -> UInt8Array:
    """Gray, RGB or RGBA as RGB; what is transparent is white."""
    if values.ndim == 2:
        return np.repeat(values[:, :, None], 3, axis=2)
    if values.shape[2] == 3:
        return values
    color, alpha = values[:, :, :3].astype(np.uint16), values[:, :, 3:].astype(np.uint16)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _description(start: bytes) -> str:
    if start[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file that cannot be read here; save it as JPEG or PNG"
    if start.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "a JPEG XL file, which cannot be read here; save it as JPEG or PNG"
    if b"\0" not in start and start.isascii():
        return "a text file; use a JPEG, PNG, WebP, TIFF, BMP or GIF picture"
    return "an unknown file format; use a JPEG, PNG, WebP, TIFF, BMP or GIF picture"


def _raw_photo() -> MienError:
    return MienError(
        "expected an image, got a raw photo, which cannot be read here; develop it to JPEG or PNG"
    )


def _message(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _PillowAtEase:
    """Silences Pillow's warnings, and lifts its limit of pixels, as ours is checked.

    Both are settings of the process. The threads inside are counted, because
    ``warnings.catch_warnings`` mixes up their filters.
    """

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
                self._caught.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            self._inside += 1
            Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._caught.close()


_pillow_at_ease = _PillowAtEase()
