"""The path of a face: image -> detect -> align -> crop -> tensor."""
