"""What a reader has to know first: which subjects the model was trained or calibrated on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mien.reports.tables import plural
from mien.statistics.recordings import Recordings
from mien.statistics.subjects import subject_names, subject_overlap


def sharing_warnings(
    split: str,
    recordings: Recordings,
    training: Recordings,
    groups: Mapping[str, NDArray[np.bool_]],
) -> list[str]:
    """Whether subjects of the split are also in training, or nobody can say."""
    warnings = []
    seen, unseen, unknown = (int(groups[name].sum()) for name in ("seen", "unseen", "unknown"))
    if seen:
        shared = len(subject_overlap(recordings.subjects, training.subjects))
        rest = (
            f"only the {plural(unseen, 'recording')} of unseen subjects tell about new people"
            if unseen
            else "no recording here tells about new people"
        )
        warnings.append(
            f"Subjects are shared: {shared} of the {len(subject_names(recordings.subjects))} "
            f"subjects of split {split} ({seen} of {len(recordings)} recordings) are also in "
            "training, so the model may know the person instead of the severity; " + rest
        )
    if unnamed := int((training.subjects.astype(str) == "").sum()):
        warnings.append(
            f"The subject of {unnamed} of {len(training)} training recordings is not known, so "
            "subjects who count as unseen may have been trained on"
        )
    if unknown:
        warnings.append(
            f"The subject of {unknown} of {len(recordings)} recordings is not known: nobody can "
            "say whether the model was trained on them"
        )
    return warnings


def calibration_warnings(
    split: str, recordings: Recordings, training: Recordings, validation: Recordings
) -> list[str]:
    """What speaks against the interval: its subjects are in the split, or in training."""
    count = len(subject_names(validation.subjects))
    start = f"of the {count} subjects that the interval was calibrated on are also in"
    warnings = []
    shared = len(subject_overlap(validation.subjects, recordings.subjects))
    if split != "valid" and shared:
        warnings.append(
            f"{shared} {start} split {split}: the coverage measured there is not one of new people"
        )
    if seen := len(subject_overlap(validation.subjects, training.subjects)):
        warnings.append(
            f"{seen} {start} training: for people the model has not seen it is likely too narrow"
        )
    return warnings
