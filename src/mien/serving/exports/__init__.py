"""Folders that serve a model without mien: a Triton repository, a page for browsers."""
