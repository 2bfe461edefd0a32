"""Losses of the five methods, as pure functions on embeddings."""
