"""Pictures of predictions: cards beside faces, videos, timelines."""
