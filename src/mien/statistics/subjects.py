"""Which people of a split a model has been trained on, and what a reader has to know of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mien.statistics.bootstrap import FEW_CLUSTERS
from mien.statistics.recordings import Recordings, SeverityEvaluation


def persons(kept: Recordings, training: Recordings) -> dict[str, NDArray[np.bool_]]:
    """Whose subject is in training, whose is not, and whose is not known."""
    known = kept.subjects.astype(str) != ""
    seen = known & np.isin(kept.subjects.astype(str), training.subjects.astype(str))
    return {"seen": seen, "unseen": known & ~seen, "unknown": ~known}


def sharing_warnings(
    evaluation: SeverityEvaluation, kept: Recordings, groups: Mapping[str, NDArray[np.bool_]]
) -> list[str]:
    """What a reader must know first: whether the people tested are those trained on."""
    found = []
    seen, unseen, unknown = (int(groups[name].sum()) for name in ("seen", "unseen", "unknown"))
    if seen:
        people = _names(kept)
        both = len(people & _names(evaluation.training))
        rest = (
            f"only the {unseen} recording{'s' * (unseen != 1)} of unseen subjects tell about new "
            "people"
            if unseen
            else "no recording here tells about new people"
        )
        found.append(
            f"Subjects are shared: {both} of the {len(people)} subjects of split "
            f"{evaluation.split} ({seen} of {len(kept)} recordings) are also in training, so the "
            f"model may know the person instead of the severity; {rest}"
        )
    if strangers := int((evaluation.training.subjects.astype(str) == "").sum()):
        found.append(
            f"The subject of {strangers} of {len(evaluation.training)} training recordings is not "
            "known, so subjects who count as unseen may have been trained on"
        )
    if unknown:
        found.append(
            f"The subject of {unknown} of {len(kept)} recordings is not known: nobody can say "
            "whether the model was trained on them"
        )
    return found


def few_warnings(clusters: int | None) -> list[str]:
    """That the intervals rest on too few subjects."""
    if clusters is None or clusters >= FEW_CLUSTERS:
        return []
    return [
        f"The recordings come from {clusters} subject{'s' * (clusters != 1)}: intervals from fewer "
        f"than {FEW_CLUSTERS} are too narrow or missing"
    ]


def calibration_warnings(evaluation: SeverityEvaluation, kept: Recordings) -> list[str]:
    """What speaks against the interval: its subjects are in the split, or in training."""
    if evaluation.validation is None:
        return []
    valid = _names(evaluation.validation)
    found = []
    if evaluation.split != "valid" and (shared := len(valid & _names(kept))):
        found.append(
            f"{shared} of the {len(valid)} subjects that the interval was calibrated on are also "
            f"in split {evaluation.split}: the coverage measured there is not one of new people"
        )
    if seen := len(valid & _names(evaluation.training)):
        found.append(
            f"{seen} of the {len(valid)} subjects that the interval was calibrated on are also in "
            "training: for people the model has not seen it is likely too narrow"
        )
    return found


def _names(recordings: Recordings) -> set[str]:
    return set(recordings.subjects.astype(str).tolist()) - {""}
