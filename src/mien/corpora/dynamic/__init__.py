"""Sequences of an expression: posed ones with a peak, and clips of films."""
