"""Settings that none of the inputs is read by: they are refused, not dropped."""

from __future__ import annotations

from collections.abc import Sequence

from mien.errors import MienError
from mien.inference.inputs.sources import only_videos


def refuse_unused(
    paths: Sequence[str],
    *,
    videos: bool,
    lists: bool,
    fps: float | None,
    of_photos: dict[str, bool],
    tight: bool,
    detects: bool,
    partial: bool,
) -> None:
    """Raise :class:`MienError` for settings that would change nothing about these inputs.

    ``videos`` says whether videos are read, ``lists`` whether further inputs are in lists,
    ``of_photos`` which settings of photos were given, by option, ``detects`` whether a detector
    was, and ``partial`` whether the model reads partial images, which need landmarks.
    """
    if fps is not None and not videos:
        raise MienError(
            "expected a video for --fps, got photos; leave it out, or say with --rows summary that "
            "videos are searched for"
        )
    given = [name for name, is_given in of_photos.items() if is_given]
    if given and not lists and all(map(only_videos, paths)):
        it = "it" if len(given) == 1 else "them"
        raise MienError(f"expected photos for {' and '.join(given)}, got videos; leave {it} out")
    if tight and detects and not partial and not videos:
        raise MienError(
            "expected either --tight or a detector, got both: no face is detected in tight crops; "
            "leave one out"
        )
