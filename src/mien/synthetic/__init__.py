"""Rendered faces: a corpus that any machine makes, with nobody's face in it and all of it known."""

CORPUS = "rendered"
"""The corpus of every dataset of rendered faces."""

WARNING = "These are rendered faces: nothing here is a result on people."
"""What every report on them begins with."""
