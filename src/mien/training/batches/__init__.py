"""Batches of a training: rows or clips, augmented and normalized, with their targets."""
