"""Images with an expression each."""
