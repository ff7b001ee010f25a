"""Optical density: what Beer and Lambert make additive."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.stains.background import RGB


def density_table(background: RGB) -> NDArray[np.float32]:
    """OD of each grey level, (3, 256) float32 for red, green, blue.

    OD = log10(background / level). Level 0 is taken as 0.5. Pixels brighter than the glass get a small negative
    OD on purpose: cutting it off would turn noise on unstained tissue into stain.

    Raises:
        ValueError: a background channel is not within 1 to 255.
    """
    white = np.asarray(background, dtype=np.float64)
    if white.shape != (3,) or not ((white >= 1) & (white <= 255)).all():
        raise ValueError(f"A background needs three grey levels from 1 to 255, not {background}.")
    levels = np.maximum(np.arange(256, dtype=np.float64), 0.5)
    return np.log10(white[:, None] / levels[None, :]).astype(np.float32)


def optical_density(rgb: NDArray[np.uint8], background: RGB) -> NDArray[np.float32]:
    """OD of each channel, (..., 3) float32, for (..., 3) uint8 RGB."""
    table = density_table(background)
    out: NDArray[Any] = np.empty(rgb.shape, dtype=np.float32)
    for channel in range(3):
        out[..., channel] = table[channel][rgb[..., channel]]
    return out
