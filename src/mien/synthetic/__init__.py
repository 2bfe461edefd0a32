"""Synthetic faces, rendered and drawn: they show no real person and every label is known."""

CORPUS = "rendered"
"""The corpus of every dataset of rendered faces."""

WARNING = "These are rendered faces: nothing here is a result on people."
"""The first line of every report on rendered faces."""
