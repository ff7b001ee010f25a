"""Colour deconvolution (Ruifrok and Johnston 2001): amounts of haematoxylin and DAB per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.stains.background import RGB
from her2viewer.stains.density import density_table
from her2viewer.stains.vectors import Vector, unit

GREY_GUARD = 2.0
"""DAB is cut off at this many times what the pixel's brownness explains."""
BLUE_ALLOWANCE = 0.5
"""Share of the blueness of the pixel's haematoxylin that is forgiven before brownness is judged."""


@dataclass(frozen=True)
class Deconvolution:
    """Lookup tables from grey levels to amounts of stain; made once per slide, used from any thread."""

    tables: NDArray[np.float32]
    """(2, 3, 256): haematoxylin and DAB, per channel and grey level; the three channels add up."""
    guard: NDArray[np.float32]
    """(3, 256), per channel and grey level; the three channels add up to the largest DAB that is believed."""


def deconvolution(background: RGB, haematoxylin: Vector, dab: Vector) -> Deconvolution:
    """Tables for one background and two stain vectors. The third axis is their cross product.

    Grey light loss (refractile edges, red cells, dust) is no stain, but projects on both: in hue, grey is hardly
    different from haematoxylin and DAB on top of each other. DAB is therefore cut off at ``GREY_GUARD`` times
    (OD blue - OD red + allowance) / (dab blue - dab red), where the allowance makes up for some of the blue that
    haematoxylin adds. It costs a little DAB on top of dense nuclei and takes grey edges away.

    Raises:
        ValueError: the vectors are too alike (less than about 6 degrees apart), or DAB is not brown.
    """
    h, d = np.asarray(unit(haematoxylin)), np.asarray(unit(dab))
    rest = np.cross(h, d)
    if np.linalg.norm(rest) < 0.1:
        raise ValueError("The stain vectors of haematoxylin and DAB are too alike to tell the stains apart.")
    brownness = d[2] - d[0]
    if brownness < 0.1:
        raise ValueError("The DAB vector must absorb blue (third number) clearly more than red (first number).")
    unmixing = np.linalg.inv(np.stack([h, d, rest / np.linalg.norm(rest)]))
    density = density_table(background)
    tables = np.stack([unmixing[:, stain, None] * density for stain in (0, 1)])
    guard = BLUE_ALLOWANCE * max(h[0] - h[2], 0.0) * tables[0]
    guard[0] -= density[0]
    guard[2] += density[2]
    guard *= GREY_GUARD / brownness
    return Deconvolution(
        np.ascontiguousarray(tables, dtype=np.float32), np.ascontiguousarray(guard, dtype=np.float32)
    )


def deconvolve(rgb: NDArray[np.uint8], tables: Deconvolution) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amounts of haematoxylin and DAB, OD, each (h, w) float32, for (h, w, 3) uint8 RGB."""
    from her2viewer.stains._kernels import unmix

    haematoxylin = np.empty(rgb.shape[:2], dtype=np.float32)
    dab = np.empty(rgb.shape[:2], dtype=np.float32)
    unmix(np.ascontiguousarray(rgb), tables.tables, tables.guard, haematoxylin, dab)
    return haematoxylin, dab
