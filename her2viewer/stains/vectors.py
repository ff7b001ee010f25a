"""Stain vectors of haematoxylin and DAB: how strongly each absorbs red, green and blue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]

HAEMATOXYLIN: Vector = (0.62, 0.61, 0.48)
DAB: Vector = (0.22, 0.48, 0.85)
"""Medians over 24 real breast HER2 fields from one scanner; both vary by about 0.05 per channel."""
EOSIN: Vector = (0.18, 0.87, 0.46)
"""Only for pictures with known truth; H&E is recognised by its hue, see ``kind``."""

LARGEST_ANGLE = {"haematoxylin": 25.0, "DAB": 12.0}
"""Degrees between an estimate and its prior beyond which the estimate is not believed.

Haematoxylins differ between recipes and scanners (3 to 24 degrees on real slides); DAB does not (6 to 9 degrees
where there is plenty), and a DAB estimate from hardly stained tissue drifts towards grey, 15 degrees and more away.
"""
LEAST_DENSITY = 0.25
"""Sum of the three OD from which a pixel's hue is more than noise."""
LEAST_PIXELS = 400
"""Pixels of one stain that an estimate needs."""
DAB_HUE = -0.12
"""(OD red - OD blue) / OD sum below which a pixel is brown; grey is 0, haematoxylin above."""


@dataclass(frozen=True)
class VectorEstimate:
    """One stain vector and how it was obtained."""

    vector: Vector
    """Unit length."""
    source: str
    """"estimated", "prior: ..." with the reason, or "entered"."""
    estimated: bool
    pixels: int = 0


def unit(vector: Vector | NDArray[np.floating]) -> Vector:
    """The same direction with length 1.

    Raises:
        ValueError: not three finite numbers, all zero, or one clearly negative.
    """
    v = np.asarray(vector, dtype=np.float64)
    if v.shape != (3,) or not np.isfinite(v).all() or np.linalg.norm(v) < 1e-6 or (v < -0.05).any():
        raise ValueError(f"A stain vector needs three numbers, none negative and not all zero, not {vector}.")
    r, g, b = v / np.linalg.norm(v)
    return (float(r), float(g), float(b))


def angle(a: Vector, b: Vector) -> float:
    """Angle between two vectors, degrees."""
    cosine = float(np.dot(unit(a), unit(b)))
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def estimate_vectors(density: NDArray[np.float32]) -> tuple[VectorEstimate, VectorEstimate]:
    """Haematoxylin and DAB vectors from tissue pixels.

    After Macenko et al. 2009: the two stains are the robust extremes of hue among pixels that are dense enough.
    In an IHC with little DAB, plain Macenko invents a second stain from noise; so each extreme must be made of
    enough pixels on its own side of grey and lie within ``LARGEST_ANGLE`` of its prior, else the prior stands.

    Args:
        density: (n, 3) float32 OD of tissue pixels, slightly smoothed against sensor noise and JPEG.

    Returns:
        Haematoxylin and DAB.
    """
    total = density.sum(axis=1)
    dense = density[total > LEAST_DENSITY]
    if len(dense) < LEAST_PIXELS:
        why = "too few densely stained pixels"
        return (_prior(HAEMATOXYLIN, why), _prior(DAB, why))
    hue = (dense[:, 0] - dense[:, 2]) / dense.sum(axis=1)
    blue = dense[hue > 0.03]
    haematoxylin = _extreme(blue, HAEMATOXYLIN, LARGEST_ANGLE["haematoxylin"], upper=True)
    # DAB darkens what it covers: its purest pixels are among the denser brown ones.
    brown = dense[hue < DAB_HUE]
    dab = _extreme(brown, DAB, LARGEST_ANGLE["DAB"], upper=False)
    return haematoxylin, dab


def _extreme(pixels: NDArray[np.float32], prior: Vector, largest: float, upper: bool) -> VectorEstimate:
    if len(pixels) < LEAST_PIXELS:
        return _prior(prior, "too little of this stain to estimate from")
    total = pixels.sum(axis=1)
    dense = pixels[total >= np.percentile(total, 50)]
    hue = (dense[:, 0] - dense[:, 2]) / dense.sum(axis=1)
    # The outermost percent is noise and debris; the band inside it is the purest stain.
    lo, hi = (80, 97) if upper else (3, 20)
    a, b = np.percentile(hue, [lo, hi])
    band = dense[(hue >= a) & (hue <= b)]
    direction = np.median(band / np.linalg.norm(band, axis=1, keepdims=True), axis=0)
    if (direction < 0.01).any():
        return _prior(prior, "the estimate is not a stain")
    vector = unit(direction)
    if angle(vector, prior) > largest:
        return _prior(prior, f"the estimate lies {angle(vector, prior):.0f} degrees from the usual vector")
    return VectorEstimate(vector, "estimated", True, len(band))


def _prior(vector: Vector, why: str) -> VectorEstimate:
    return VectorEstimate(unit(vector), f"usual vector: {why}", False)
