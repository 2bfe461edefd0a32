"""Corpora and the dataset folder."""
