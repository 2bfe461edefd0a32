"""Frames with action units."""
