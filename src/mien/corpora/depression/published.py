"""What is known of others' results on the corpora of AVEC, and of their shared subjects.

Only figures that were read are here, with where they were read. None of the papers was at hand.
"""

from __future__ import annotations

from typing import NamedTuple

SHARED_SUBJECTS = (
    "That AVEC2014's official parts share subjects was noticed first, it is said, by Lopez-Otero "
    "et al. (2015), for speech. That is second-hand: the paper was not at hand and is to be checked"
)
"""Read in the draft of a dissertation, which asks its own reader to check it."""


class Published(NamedTuple):
    """A published result on the official test part: MAE, RMSE and CCC, None where not read."""

    method: str
    mae: float | None
    rmse: float | None
    ccc: float | None
    source: str


_MGNN = "DepMGNN (Wu et al., 2025)"
_STA_DRN = "STA-DRN (Pan et al., 2024)"
_OF_AUTHORS = "a picture of results in its authors' repository"

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "avec2013": (
        Published(_MGNN, None, 7.08, 0.77, _OF_AUTHORS),
        Published(_STA_DRN, 6.15, 7.98, None, "second-hand: quoted by a replication"),
    ),
    "avec2014": (
        Published(_MGNN, None, 6.62, 0.80, _OF_AUTHORS),
        Published(_STA_DRN, 6.00, 7.75, None, "second-hand: quoted by two replications"),
        Published(
            "STA-DRN, trained again by others", 9.36, 11.94, None, "a replication's repository"
        ),
    ),
}
"""By corpus; for context, not for a ranking: protocols differ, and none has an interval."""
