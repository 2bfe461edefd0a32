"""One rendered picture: a head, its skin and hair, light and shade, and a camera."""
