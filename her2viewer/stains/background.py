"""Colour of the empty glass, the white point of every optical density.

Real HER2 slides have glass anywhere from grey 175 to 255, often with a lilac tint; a fixed white point of 255
would add up to 0.15 OD everywhere, as much as a whole 1+ stain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RGB = tuple[float, float, float]

DARKEST_GLASS = 150.0
"""Mean grey below which nothing is taken for glass; the darkest seen on real slides is 175."""
FLAT_RANGE = 8
"""Largest range of grey levels in 3 x 3 px of an overview that still counts as flat."""
SMALLEST_SHARE = 0.01
"""Share of an overview that must be flat and of one colour to be taken for glass."""


@dataclass(frozen=True)
class Background:
    """Glass colour and where it comes from."""

    rgb: RGB
    """Grey levels 0 to 255, one each for red, green, blue."""
    source: str
    """A few words for the reader: "glass in the region", "brightest tissue"."""
    measured: bool
    """False where no glass was found and the value is a guess."""


def glass_colour(overview: NDArray[np.uint8], fill: tuple[int, int, int] | None = None) -> RGB | None:
    """Colour of the glass in an overview, or None where there is no flat bright area.

    The brightest mode among flat pixels is glass; tissue is darker and rougher.

    Args:
        overview: (h, w, 3) uint8 RGB at 4 to 30 um/px.
        fill: colour that the reader puts where nothing was scanned. Pixels of exactly this colour whose
            neighbours all have it too are no glass, unless nothing else is.
    """
    import cv2

    if overview.shape[0] < 3 or overview.shape[1] < 3:
        return None
    kernel = np.ones((3, 3), np.uint8)
    high, low = cv2.dilate(overview, kernel), cv2.erode(overview, kernel)
    # Channel by channel: over an axis of three NumPy takes ten times as long, and a reader waits for this.
    red, green, blue = cv2.split(cv2.subtract(high, low))
    spread = np.maximum(np.maximum(red, green), blue)
    red, green, blue = (overview[..., k] for k in range(3))
    grey = (red.astype(np.uint16) + green + blue) / 3
    flat = (spread <= FLAT_RANGE) & (grey >= DARKEST_GLASS)
    if fill is not None:
        exact = (spread == 0) & (red == fill[0]) & (green == fill[1]) & (blue == fill[2])
        scanned = flat & ~cv2.dilate(exact.astype(np.uint8), kernel).astype(bool)
        found = _brightest_mode(overview, grey, scanned, SMALLEST_SHARE * (~exact).sum())
        if found is not None:
            return found
    return _brightest_mode(overview, grey, flat, SMALLEST_SHARE * grey.size)


def brightest_colour(pixels: NDArray[np.uint8]) -> RGB:
    """A guess of the glass where none is in sight: the 99.5th percentile of each channel, at least 1.

    Args:
        pixels: (..., 3) uint8 RGB, working resolution, so that gaps between cells are seen.
    """
    # A black picture has no glass at all; a density needs some light to begin with.
    r, g, b = np.maximum(np.percentile(pixels.reshape(-1, 3), 99.5, axis=0), 1.0)
    return (float(r), float(g), float(b))


def _brightest_mode(
    overview: NDArray[np.uint8], grey: NDArray[np.floating], mask: NDArray[np.bool_], least: float
) -> RGB | None:
    if mask.sum() < max(least, 9):
        return None
    counts = np.bincount(np.round(grey[mask]).astype(np.int64), minlength=256).astype(float)
    mass = np.convolve(counts, np.ones(7), mode="same")
    for level in range(255, int(DARKEST_GLASS) - 1, -1):
        around = mass[max(0, level - 3) : level + 4]
        if mass[level] >= max(least, 9) and mass[level] == around.max():
            picked = overview[mask & (np.abs(grey - level) <= 3)]
            r, g, b = picked.mean(axis=0)
            return (float(r), float(g), float(b))
    return None


def on_white_glass(rgb: NDArray[np.uint8], glass: RGB) -> NDArray[np.uint8]:
    """The picture as if its glass were white: what networks are given, in training and in scoring.

    Args:
        rgb: (h, w, 3) uint8.
        glass: grey levels of the slide's glass.

    Returns:
        (h, w, 3) uint8, rgb * 255 / glass, rounded; what is brighter than the glass is white.
    """
    import cv2

    levels = np.arange(256, dtype=np.float32)[None, :, None] * (255 / np.asarray(glass, np.float32))
    return np.asarray(cv2.LUT(rgb, np.clip(np.rint(levels), 0, 255).astype(np.uint8)), np.uint8)
