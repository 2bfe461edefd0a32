"""Rendered faces: a corpus that any machine makes, with nobody's face in it and all of it known."""
