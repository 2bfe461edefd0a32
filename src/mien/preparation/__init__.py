"""From a corpus to a dataset folder."""
