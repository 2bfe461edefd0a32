"""What a model file says of itself, and where the models that come with mien are.

A model is one ONNX file whose metadata describe it; :mod:`mien.inference.model` opens one for
prediction, :mod:`mien.training.recipe.start` takes one's backbone as start weights.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mien.errors import MienError, did_you_mean
from mien.files import is_text
from mien.heads import HEADS, ByHead, HeadInfo
from mien.licenses import Ledger, Licenses, unclear
from mien.metrics.aggregation import Aggregate
from mien.schema import Preprocessing

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

METADATA_KEY = "mien"
FORMAT = 2
RUN_FILE = "model.json"
MOST_NUMBERS = 50_000_000
"""The most numbers of one input, and of a batch of several: 200 MB, or 64 frames of 512 x 512."""


class ClipsInfo(BaseModel):
    """How clips are cut: ``length`` frames, every ``stride``-th of a recording kept at ``fps``.

    ``fps`` is that of the training data, None where it is unknown; ``per_video`` clips make the
    prediction of a recording by ``aggregate``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    length: int = Field(ge=1, le=512)
    stride: int = Field(ge=1, le=100)
    fps: float | None = Field(default=None, gt=0)
    per_video: int = Field(default=4, ge=1, le=1000)
    aggregate: Aggregate = "mean"


class ModelInfo(BaseModel):
    """What a model says of itself: ``model.json`` of a run, or the ONNX metadata ``mien``.

    ``heads`` maps the name of each head to what that head says. With ``clips`` the model reads
    clips of recordings, else single faces. ``attention`` says whether it gives attention maps.
    ``card`` is Markdown, ``license_terms`` the terms of use in one paragraph, ``licenses`` the
    works that the model rests on and what is known of their licenses, ``trained_on`` has
    ``corpus`` and ``checksum`` of the training dataset, ``selected_on`` the ``split`` and the
    metrics that the epoch was selected by.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    heads: Annotated[dict[str, HeadInfo], ByHead("Info")]
    preprocessing: Preprocessing
    preprocessing_hash: str
    clips: ClipsInfo | None = None
    attention: bool = False
    card: str = ""
    license_terms: str = ""
    licenses: Licenses = ()
    recipe: dict[str, Any] = Field(default_factory=dict)
    trained_on: dict[str, Any] = Field(default_factory=dict)
    selected_on: dict[str, Any] = Field(default_factory=dict)
    created_with: str = ""
    parity: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_a_head(self) -> ModelInfo:
        if not self.heads:
            raise ValueError(f"expected heads ({', '.join(HEADS)}), got none")
        return self

    @model_validator(mode="after")
    def _input_fits_into_memory(self) -> ModelInfo:
        if math.prod(self.input_shape) > MOST_NUMBERS:
            raise ValueError(
                f"expected inputs of at most {MOST_NUMBERS:,} numbers, got {self.input_shape}"
            )
        return self

    @property
    def ledger(self) -> Ledger:
        """The license ledger; what an older model says in a text only is unclear."""
        text = "the model's license terms"
        return Ledger(
            self.licenses or (unclear("weights", self.name, self.license_terms, stated_by=text),)
        )

    @property
    def keeps_best(self) -> bool:
        """Whether its epoch was chosen as the best one on a split; unless it says so, it was."""
        return bool(self.selected_on.get("keep", "best") != "last")

    @property
    def outputs(self) -> dict[str, tuple[int | str, ...]]:
        """What the exported model gives: name -> shape behind the batch axis."""
        shapes: dict[str, tuple[int | str, ...]] = {}
        for name, info in self.heads.items():
            shapes |= HEADS[name].outputs(info)
        shapes["embedding"] = ("D",)
        return shapes | ({"attention": ("h", "w")} if self.attention else {})

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input ``input``: ``(3, S, S)``, or ``(T, 3, S, S)`` for a clip."""
        size = self.preprocessing.size
        face = (3, size, size)
        return face if self.clips is None else (self.clips.length, *face)


def shipped_models() -> dict[str, Path]:
    """The models that come with mien: name -> ONNX file."""
    folder = Path(str(files("mien").joinpath("assets")))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def list_models() -> list[str]:
    """The names of the models that come with mien."""
    return list(shipped_models())


def is_model(name_or_file: str | os.PathLike[str]) -> bool:
    """Whether this is a shipped model's name or names an ONNX file, be it there or not."""
    return Path(name_or_file).suffix == ".onnx" or str(name_or_file) in shipped_models()


def find_model(name_or_file: str | os.PathLike[str]) -> Path:
    """The ONNX file behind a shipped model's name or a path.

    Raises :class:`~mien.errors.MienError`, which lists the names, when it is neither.
    """
    shipped = shipped_models()
    if isinstance(name_or_file, str) and name_or_file in shipped:
        return shipped[name_or_file]
    path = Path(name_or_file)
    if path.is_file():
        return path
    names = ", ".join(shipped) or "none in this installation"
    got = f"the folder {str(path)!r}" if path.is_dir() else f"{str(path)!r}, which does not exist"
    raise MienError(
        f"expected a run folder, an ONNX file or the name of a shipped model ({names}), got {got}"
        f"{did_you_mean(str(path), shipped)}"
    )


def read_info(run_or_model: str | os.PathLike[str]) -> ModelInfo:
    """What a run folder, an ONNX file or a shipped model says of itself, without torch.

    Raises :class:`~mien.errors.MienError` for anything else and for damaged descriptions.
    """
    path = Path(run_or_model)
    if not path.is_dir():
        return read_onnx_info(find_model(run_or_model))
    description = path / RUN_FILE
    if not description.is_file():
        raise MienError(
            f"expected a run folder with {RUN_FILE}, got {path}; a run has it after its first epoch"
        )
    try:
        text = description.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MienError(f"expected a readable {description}, got {error}") from None
    return parse_info(text, description, advice="train the run again")


def parse_info(
    text: str, path: str | os.PathLike[str], *, advice: str = "export the model again"
) -> ModelInfo:
    """The description in ``text``, the metadata of the model ``path``.

    ``advice`` ends the messages. Raises :class:`~mien.errors.MienError` where it is damaged,
    incomplete or of another format.
    """
    name = repr(os.fspath(path))
    try:
        fields = json.loads(text)
        version = fields["format"]
        if not is_text(fields):
            raise ValueError("half of a letter")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MienError(
            f"expected JSON with a format number in the metadata of {name}, got {text[:40]!r}; "
            f"{advice}"
        ) from error
    if version != FORMAT:
        writer = fields.get("created_with")
        raise MienError(
            f"expected model format {FORMAT}, got {reprlib.repr(version)} in {name}; "
            "use the mien version that wrote it"
            + (f" ({writer[:40]})" if isinstance(writer, str) and writer else "")
        )
    try:
        info = ModelInfo.model_validate(fields)
    except RecursionError as error:
        raise MienError(
            f"expected mien metadata in {name}, got lists in lists without end; {advice}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MienError(
            f"expected complete mien metadata in {name}, got a fault at {where!r} "
            f"({first['msg']}); {advice}"
        ) from error
    if info.preprocessing_hash != info.preprocessing.hash:
        raise MienError(
            f"expected preprocessing hash {info.preprocessing.hash} in {name}, "
            f"got {info.preprocessing_hash[:40]}; the metadata was edited, {advice}"
        )
    return info


def open_session(path: str | os.PathLike[str], *, threads: int | None = None) -> InferenceSession:
    """The onnxruntime session of an ONNX file; ``threads`` of one run (None: one per core).

    Raises :class:`~mien.errors.MienError` for a file that onnxruntime cannot load.
    """
    import onnxruntime

    path = Path(path)
    if threads is not None and threads < 1:
        raise MienError(f"expected at least one thread, got {threads}")
    if not path.is_file():
        raise MienError(f"expected an ONNX file, got {str(path)!r}, which does not exist")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised, and said in our messages
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime's errors share no class but Exception.
    except Exception as error:
        detail = str(error).rsplit("failed:", 1)[-1].strip().split("\n")[0].rstrip(".")
        raise MienError(
            f"expected an ONNX model, got {str(path)!r}, which onnxruntime cannot load ({detail})"
        ) from error


def session_info(session: InferenceSession, path: str | os.PathLike[str]) -> ModelInfo:
    """What the model behind a session says of itself; ``path`` names it in messages."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise MienError(
            f"expected a model written by `mien export`, got {os.fspath(path)!r}, an ONNX file "
            "without mien's metadata; export it from a run"
        )
    return parse_info(text, path)


def read_onnx_info(path: str | os.PathLike[str]) -> ModelInfo:
    """What an ONNX file says of itself."""
    return session_info(open_session(path, threads=1), path)
