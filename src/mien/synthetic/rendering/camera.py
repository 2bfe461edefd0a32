"""The background behind the head, and the camera's blur, noise and compression."""

from __future__ import annotations

import cv2
import numpy as np

from mien.schema import FloatArray, UInt8Array


def draw_background(side: int, generator: np.random.Generator) -> FloatArray:
    """Draw ``(side, side, 3)`` in [0, 1]: out-of-focus colors, sometimes with edges of a room."""
    cells = int(generator.integers(2, 7))
    base = np.clip(generator.uniform(0.06, 0.9) + generator.normal(0, 0.07, 3), 0, 1)
    spread = generator.uniform(0.03, 0.2)
    light = generator.normal(0, spread, (cells, cells, 1))
    small = base + light + generator.normal(0, spread / 3, (cells, cells, 3))
    small = np.clip(small, 0, 1)
    picture = np.asarray(
        cv2.resize(small.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    ).astype(np.float32)
    for _ in range(int(generator.integers(0, 5))):
        corner = generator.uniform(-0.2, 1.0, 2) * side
        extent = generator.uniform(0.1, 0.9, 2) * side
        color = np.clip(
            base + generator.normal(0, 0.22) + generator.normal(0, 0.08, 3), 0, 1
        ).tolist()
        low, high = corner.astype(int).tolist(), (corner + extent).astype(int).tolist()
        cv2.rectangle(picture, low, high, color, -1)
    blur = side * generator.uniform(0.005, 0.04)
    return np.clip(np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32), 0, 1)


def photograph(
    picture: FloatArray, size: int, badness: float, generator: np.random.Generator
) -> UInt8Array:
    """Take a ``(size, size, 3)`` uint8 photo of a picture in [0, 1] that was drawn larger.

    ``badness`` in [0, 1] adds blur, lost resolution, noise, color casts and JPEG artifacts.
    """
    small = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    if generator.random() < 0.8 * badness:
        detail = max(24, round(size * generator.uniform(1 - 0.65 * badness, 1)))
        small = np.asarray(cv2.resize(small, (detail, detail), interpolation=cv2.INTER_AREA))
        small = np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC))
    if generator.random() < 0.7 * badness:
        sigma = size / 112 * generator.uniform(0.3, 0.5 + 1.3 * badness)
        small = np.asarray(cv2.GaussianBlur(small, (0, 0), sigma))
    contrast = 1 + generator.normal(0, 0.06 + 0.12 * badness)
    colors = (small - 0.45) * contrast + 0.45 + generator.normal(0, 0.02 + 0.05 * badness)
    colors = colors * (1 + generator.normal(0, 0.015 + 0.05 * badness, 3))
    gray = colors.mean(axis=2, keepdims=True)
    saturation = 0.0 if generator.random() < 0.06 else generator.uniform(0.75, 1.15)
    colors = gray + (colors - gray) * saturation
    noise = generator.uniform(0.004, 0.012 + 0.04 * badness)
    colors = colors + generator.normal(0, noise, colors.shape)
    photo = np.asarray(np.clip(colors * 255 + 0.5, 0, 255), np.uint8)
    if generator.random() < 0.3 + 0.6 * badness:
        quality = int(generator.uniform(92 - 55 * badness, 96))
        encoded, data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if encoded:
            photo = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return photo
