"""How well severity is predicted: per recording, by subject, and against knowing the person."""

from __future__ import annotations

from mien.evaluation.conformal import conformal_half_width
from mien.evaluation.recordings import Recordings, SeverityEvaluation

__all__ = ["Recordings", "SeverityEvaluation", "conformal_half_width"]
