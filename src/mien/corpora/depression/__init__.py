"""Recordings whose sessions have a score on a depression scale."""
