"""The options that several commands share, each described once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.errors import MienError

if TYPE_CHECKING:
    from mien.faces.detection.detect import Detector as FaceFinder
    from mien.schema import Preprocessing

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Detector = Annotated[
    Path | None,
    typer.Option(
        metavar="YUNET.onnx", exists=True, help="Detect faces, also small ones, with this model."
    ),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough", help="Detect smaller and turned faces; takes about ten times as long."
    ),
]
Tight = Annotated[
    bool, typer.Option("--tight", help="Images are tight face crops: skip face detection.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Refuse photos with more pixels (default: 120000000)."),
]
FramesPerSecond = Annotated[
    float | None,
    typer.Option(min=0.01, help="Frames per second to read (videos only; default: 5)."),
]
AbstainBelow = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Abstain below this confidence in an expression (default: the model's own; 0: never).",
    ),
]
PhotosAtOnce = Annotated[
    int | None, typer.Option(min=1, help="Photos to read at a time (default: one per core).")
]
Workers = Annotated[int | None, typer.Option(help="Number of processes (default: one per core).")]


def detector_of(yunet: Path | None, thorough: bool) -> Callable[[], FaceFinder] | None:
    """What makes the detector that the options ask for; None for the default one."""
    from functools import partial

    if yunet is not None:
        if thorough:
            raise MienError("expected either --detector or --thorough, got both; leave one out")
        from mien.faces.detection.yunet import YuNetDetector

        return partial(YuNetDetector, yunet)
    if thorough:
        from mien.faces.detection.detect import FaceDetector

        return partial(FaceDetector, thorough=True)
    return None


def refuse_beside(what: str, options: Mapping[str, object], why: str) -> None:
    """Raise :class:`MienError` for options that were given although ``what`` leaves them no effect.

    ``options`` are values by ``--name``: None, False and 0 for one that was not given.
    """
    given = [name for name, value in options.items() if value]
    if given:
        it = "it" if len(given) == 1 else "them"
        raise MienError(
            f"expected {what} without {' and '.join(given)}, got both: {why}; leave {it} out"
        )


# How faces are cropped, for the commands that make datasets.
Like = Annotated[
    str | None, typer.Option(metavar="RUN|MODEL", help="Crop faces as this model expects them.")
]
Size = Annotated[int | None, typer.Option(help="Side of the crops in pixels (default: 112).")]
Color = Annotated[str | None, typer.Option(help="rgb, bgr or gray (default: as in the corpus).")]
Margin = Annotated[
    float | None,
    typer.Option(help="Extra context around the face, as a fraction of its size (default: 0)."),
]

# What a model is measured on.
Data = Annotated[Path, typer.Option(metavar="DATASET", help="A prepared dataset.")]
Split = Annotated[str, typer.Option(help="The split to evaluate on.")]
Rule = Annotated[str, typer.Option(help="How votes become labels: majority or ferplus.")]


def preprocessing(
    default_color: str,
    *,
    like: str | None,
    size: int | None,
    color: str | None,
    margin: float | None,
) -> Preprocessing:
    """How faces are to be cropped: as the model ``like`` expects them, or as the options say."""
    from pydantic import ValidationError

    from mien.schema import Preprocessing

    options = {"size": size, "color": color, "margin": margin}
    given = {name: value for name, value in options.items() if value is not None}
    if like:
        from mien.models import read_info

        if given:
            raise MienError(
                f"expected either --like or --{' and --'.join(given)}, got both; leave one out"
            )
        return read_info(like).preprocessing
    try:
        return Preprocessing.model_validate({"color": default_color} | given)
    except ValidationError as error:
        first = error.errors()[0]
        raise MienError(f"--{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None
