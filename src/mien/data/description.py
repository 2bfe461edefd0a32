"""What ``dataset.json`` must say, checked before any of it is used."""

from __future__ import annotations

import hashlib
import json
import reprlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import MienError
from mien.files import is_text, sha256_of
from mien.labels import LabelSpace
from mien.licenses import Licenses
from mien.scales import Scale
from mien.schema import Preprocessing

FORMAT = 1
INFO_FILE = "dataset.json"

_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _File(BaseModel):
    bytes: _Count
    sha256: str


class _Video(BaseModel):
    model_config = ConfigDict(extra="allow")

    frames: _Count = 0
    usable: _Count = 0
    seconds: float | None = Field(default=0.0, allow_inf_nan=False)


class Description(BaseModel):
    """The keys that are read and their types; others are carried along.

    ``counts`` are rows by split and class, ``left_out`` rows by reason, ``alignment`` and
    ``landmarks`` rows by alignment.
    """

    model_config = ConfigDict(extra="allow")

    label_space: LabelSpace
    preprocessing: Preprocessing
    license_terms: str
    vote_names: tuple[str, ...]
    files: dict[str, _File]
    licenses: Licenses = ()
    corpus: str = ""
    scale: Scale | None = None
    counts: dict[str, dict[str, _Count]] = Field(default_factory=dict)
    left_out: dict[str, _Count] = Field(default_factory=dict)
    alignment: dict[str, _Count] = Field(default_factory=dict)
    landmarks: dict[str, _Count] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    videos: dict[str, _Video] = Field(default_factory=dict)
    checksum: str = ""


def read_description(folder: Path) -> tuple[Description, dict[str, Any]]:
    """Read and check ``dataset.json``; return it as a description and as all that it says.

    Raises :class:`MienError` for a folder without one, for another format, and for a description
    that lacks something or has it in another form.
    """
    path = folder / INFO_FILE
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        if not is_text(info):
            raise ValueError("text with half of a letter")
    except (FileNotFoundError, NotADirectoryError):
        got = f"no {INFO_FILE} in it" if folder.is_dir() else "no such folder"
        raise MienError(
            f"expected a dataset folder at {folder}, got {got}: make one with mien prepare"
        ) from None
    # RecursionError: lists in lists without end.
    except (OSError, ValueError, RecursionError) as error:
        raise MienError(
            f"expected a dataset description in {path}, got {error}: prepare it again"
        ) from None
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        version = info.get("format") if isinstance(info, dict) else type(info).__name__
        raise MienError(
            f"expected a dataset of format {FORMAT} in {path}, got {reprlib.repr(version)}: "
            "prepare it again or use the version of mien that wrote it"
        )
    needed = [name for name, field in Description.model_fields.items() if field.is_required()]
    if missing := sorted(set(needed) - set(info)):
        raise MienError(
            f"expected the keys {', '.join(missing)} in {path}, got none: prepare it again"
        )
    try:
        description = Description.model_validate(info)
    except RecursionError:
        raise MienError(
            f"expected a dataset description in {path}, got lists in lists without end: prepare it "
            "again"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MienError(
            f"expected a description that this version knows in {path}, got {first['msg']!r} at "
            f"{where!r}: prepare it again"
        ) from None
    return description, info | description.model_dump(mode="json", include=set(info))


def check_file(path: Path, files: dict[str, Any], *, verify: bool) -> None:
    """Raise :class:`MienError` for a file of another size, and with ``verify`` of other bytes."""
    try:
        expected, digest = files[path.name]["bytes"], files[path.name]["sha256"]
    except KeyError:
        raise MienError(
            f"expected the size and sha256 of {path.name} in {path.parent / INFO_FILE}, got none: "
            f"prepare it again"
        ) from None
    if not path.is_file():
        raise MienError(f"expected {path.name} in {path.parent}, got none: prepare it again")
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise MienError(
            f"expected {path.name} in {path.parent}, got a link to {path.resolve()}: copy the file "
            "into the folder, or link the folder"
        )
    size = path.stat().st_size
    if size != expected:
        raise MienError(
            f"expected {expected:,} bytes in {path}, got {size:,}: the file is truncated or was "
            f"replaced, copy it again or prepare it again"
        )
    if verify and sha256_of(path) != digest:
        raise MienError(
            f"expected {path} unchanged, got another sha256: copy it again or prepare it again"
        )


def check_checksum(folder: Path, info: dict[str, Any]) -> None:
    """Raise :class:`MienError` where the checksum is not that of the files that are listed."""
    files = json.dumps(info["files"], sort_keys=True)
    if info.get("checksum") != hashlib.sha256(files.encode()).hexdigest():
        raise MienError(
            f"expected the checksum of the files in {folder / INFO_FILE}, got another: copy it "
            "again or prepare it again"
        )
