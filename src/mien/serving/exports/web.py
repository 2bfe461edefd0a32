"""A page on which a model runs in the browser of whoever opens it, as a folder of files."""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.faces.align import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE, TEMPLATE, template_points
from mien.faces.detection.model_file import face_landmarker_file
from mien.files import replacing_folder, write_text
from mien.inference.predictor import MAX_YAW_DEGREES, MIN_FACE_PIXELS
from mien.models import ModelInfo, find_model, read_onnx_info
from mien.serving.describe import describe_model
from mien.serving.template import PAGE, index_page

_BROWSER = Path(str(files("mien.serving.exports").joinpath("browser")))
_SHARED = (
    *("style.css", "icon.svg", "dom.js", "cards.js", "draw.js", "table.js", "tabs.js"),
    *("photo.js", "camera.js", "models.js", "markdown.js"),
)
"""The files of the server's page that this one uses as well."""
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_VISION = ("vision_wasm_internal.js", "vision_wasm_internal.wasm")
_INSTALL = "npm install onnxruntime-web @mediapipe/tasks-vision"
# Where the package sends what its users do, every minute.
_REPORTS = re.compile(r"https://[\w.-]*googleapis\.com[^\"'`\s]*")
_NOBODY = "data:,"
_HEADS = ("expression", "valence_arousal", "action_units")


def write_web(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    packages: str | os.PathLike[str] = "node_modules",
) -> None:
    """Write a page for a model of faces to a folder that is new or empty.

    ``packages`` is where npm has installed onnxruntime-web and @mediapipe/tasks-vision; what the
    page needs of them is copied. The address that the latter sends usage data to is taken out of
    the copy. Raises :class:`~mien.errors.MienError` for a model that the page cannot run, for
    packages that are missing, and for a folder that has files.
    """
    path, folder, packages = find_model(model), Path(folder), Path(packages)
    info = read_onnx_info(path)
    _check(info, folder)
    runtime = packages / "onnxruntime-web" / "dist"
    vision = packages / "@mediapipe" / "tasks-vision"
    needed = [runtime / name for name in _RUNTIME]
    needed += [vision / "vision_bundle.mjs", *(vision / "wasm" / name for name in _VISION)]
    for file in needed:
        if not file.is_file():
            raise MienError(
                f"expected {file.name} in {str(file.parent)!r}, got no such file; run `{_INSTALL}` "
                "and name its node_modules with --packages"
            )
    landmarker = face_landmarker_file()
    with replacing_folder(folder) as temporary:
        for place in ("ort", "vision"):
            (temporary / place).mkdir()
        shared = [PAGE / name for name in _SHARED]
        for source in (*shared, *_BROWSER.iterdir()):
            shutil.copyfile(source, temporary / source.name)
        write_text(temporary / "index.html", index_page("browser"))
        for file in needed:
            place = "ort" if file.is_relative_to(runtime) else "vision"
            shutil.copyfile(file, temporary / place / file.name)
        _silence(temporary / "vision" / "vision_bundle.mjs")
        shutil.copyfile(path, temporary / "model.onnx")
        shutil.copyfile(landmarker, temporary / "face_landmarker.task")
        write_text(temporary / "model.json", json.dumps(_description(info), indent=1) + "\n")
    # What shows nobody can be read by the server's user.
    os.chmod(folder, 0o755)


def _check(info: ModelInfo, folder: Path) -> None:
    if info.clips is not None:
        raise MienError(
            f"expected a model of faces for a page, got {info.name!r}, one of clips; choose another"
        )
    if info.preprocessing.partial_image != "full":
        raise MienError(
            f"expected a model of whole faces for a page, got {info.name!r}, one of partial "
            "images; choose another"
        )
    if other := [name for name in info.heads if name not in _HEADS]:
        raise MienError(
            f"expected the heads {', '.join(_HEADS)} for a page, got {', '.join(other)} in "
            f"{info.name!r}; choose another model"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise MienError(
            f"expected a new or empty folder for the page, got {str(folder)!r}, which has files; "
            "choose another"
        )


def _description(info: ModelInfo) -> dict[str, Any]:
    """What the server's page is told of a model, and how faces are cut out for it."""
    points = template_points(TEMPLATE, info.preprocessing)
    return {
        **describe_model(info),
        "faces": {
            "template": points.tolist(),
            "right_eye": RIGHT_EYE,
            "left_eye": LEFT_EYE,
            "mouth": MOUTH_CORNERS,
            "min_pixels": MIN_FACE_PIXELS,
            "max_yaw": MAX_YAW_DEGREES,
        },
    }


def _silence(bundle: Path) -> None:
    """Take the addresses of others out of MediaPipe's bundle, which says so in its first line."""
    text, count = _REPORTS.subn(_NOBODY, bundle.read_text("utf-8"))
    if rest := re.search(r"[\"'`]https?://[^\"'`]*", text):
        raise MienError(
            f"expected no address in {bundle.name} beside that of usage data, got "
            f"{rest[0][1:80]!r}; install @mediapipe/tasks-vision 1.1.0"
        )
    note = f"/* Changed by mien: {count} address for usage data replaced by {_NOBODY} */\n"
    bundle.write_text(note + text, "utf-8")
