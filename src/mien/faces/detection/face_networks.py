"""The networks that find and read faces, opened from their files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

from mien.errors import MienError
from mien.faces.detection.blazeface import BACK_STRIDES, OUTPUTS, SHORT_STRIDES, Finder
from mien.faces.detection.mesh import MESH_OUTPUTS, SHAPES_OUTPUTS
from mien.faces.detection.model_file import back_finder_file, face_landmarker_file
from mien.faces.detection.pose import FaceGeometry, read_geometry
from mien.faces.detection.tflite import Network, one_at_a_time, open_network

BUNDLE = "MediaPipe's face_landmarker.task"
# Below this a candidate is never a face, whatever the other networks say.
_LEAST_CANDIDATE = 0.22


class FaceNetworks(NamedTuple):
    """``short`` and ``back`` find faces, ``mesh`` gives landmarks and ``shapes`` blendshapes.

    ``back`` is None where its file is not installed. All but ``shapes`` are called from one thread
    at a time.
    """

    short: Finder
    back: Finder | None
    mesh: Network
    shapes: Network
    geometry: FaceGeometry


def open_face_networks(
    model: str | Path | None = None, *, threads: int = 2, backend: str | None = None
) -> FaceNetworks:
    """Open the networks of a ``face_landmarker.task``, by default the one that is installed.

    Raises :class:`~mien.errors.MienError` for a file that is missing or something else.
    """
    path = Path(model) if model is not None else face_landmarker_file()

    def network(content: bytes, outputs: tuple[str, ...], threads: int = threads) -> Network:
        return open_network(content, outputs, threads=threads, backend=backend)

    try:
        with zipfile.ZipFile(path) as bundle:
            short = network(bundle.read("face_detector.tflite"), OUTPUTS)
            mesh = network(bundle.read("face_landmarks_detector.tflite"), MESH_OUTPUTS)
            # One thread is as fast here, and lets blendshapes be looked at after a fork.
            shapes = network(bundle.read("face_blendshapes.tflite"), SHAPES_OUTPUTS, 1)
            geometry = read_geometry(bundle.read("geometry_pipeline_metadata_landmarks.binarypb"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise model_file_error(path, BUNDLE) from error
    file, back = back_finder_file(), None
    if file is not None:
        back = Finder(network(file.read_bytes(), OUTPUTS), BACK_STRIDES, _LEAST_CANDIDATE)
    return FaceNetworks(
        Finder(short, SHORT_STRIDES, _LEAST_CANDIDATE),
        back,
        mesh,
        one_at_a_time(shapes),
        geometry,
    )


def model_file_error(path: Path, expected: str) -> MienError:
    """The error for a model file that is missing or something else than ``expected``."""
    got = "another file" if path.is_file() else "no file"
    return MienError(f"expected {expected}, got {got} at {str(path)!r}: check the path")
