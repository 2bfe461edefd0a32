"""Backbones, embeddings, heads, and the network they make."""
