"""Figures: arrays and entries of a document in, SVG and pictures out."""
