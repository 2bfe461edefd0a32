"""An image in, its faces out: candidates, the mesh that confirms them, pose."""
