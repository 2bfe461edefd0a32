"""Where a model, a dataset and the evidence meet."""
