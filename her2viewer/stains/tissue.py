"""Where there is tissue on an overview."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.stains.background import RGB
from her2viewer.stains.density import optical_density

LEAST_DENSITY = 0.012
"""Mean OD of the three channels, smoothed over 30 um, from which an area is tissue.

Pale stroma of a HER2 0 case lies at 0.015 to 0.05, an unstained section below 0.008, glass within 0.005 of 0.
"""
SMOOTHING_UM = 15.0


def tissue_mask(overview: NDArray[np.uint8], background: RGB, um_per_px: float) -> NDArray[np.bool_]:
    """Tissue on an overview, bool (h, w).

    Args:
        overview: (h, w, 3) uint8 RGB.
        background: glass colour.
        um_per_px: resolution of the overview; 4 to 30 is what it is made for.
    """
    import cv2

    density: NDArray[Any] = optical_density(overview, background).mean(axis=2)
    sigma = SMOOTHING_UM / um_per_px
    if sigma > 0.3:
        density = cv2.GaussianBlur(density, (0, 0), sigma)
    return np.asarray(density > LEAST_DENSITY, dtype=bool)
