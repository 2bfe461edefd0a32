"""Numbers for a reader."""

from __future__ import annotations


def percent(value: float) -> str:
    """A probability, such as ``87 %``."""
    # Rounded to 100 % a probability would claim a certainty that the model never has.
    return ">99 %" if 0.995 <= value < 1 else f"{100 * value:.0f} %"


def signed(value: float) -> str:
    """Valence or arousal, such as ``+0.42``."""
    return f"{value:+.2f}"
