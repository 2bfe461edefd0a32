"""Reports and comparisons: arrays in, documents out."""
