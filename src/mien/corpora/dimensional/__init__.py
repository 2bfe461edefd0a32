"""Images and frames with valence and arousal."""
