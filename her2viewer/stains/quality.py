"""Cheap hints on image quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sharpness(rgb: NDArray[np.uint8]) -> float:
    """How much of the contrast at 2 to 8 px is also there at 1 px; unitless, 0 is fully blurred.

    The ratio of two band passes of the same patch does not depend on how strongly it is stained.

    Args:
        rgb: (h, w, 3) uint8 patch of tissue at 0.25 to 0.5 um/px.
    """
    import cv2

    green: NDArray[Any] = rgb[..., 1].astype(np.float32)
    fine = cv2.GaussianBlur(green, (0, 0), 0.7)
    middle = cv2.GaussianBlur(green, (0, 0), 1.4)
    coarse = cv2.GaussianBlur(green, (0, 0), 5.0)
    broad = float((middle - coarse).std())
    return float((fine - middle).std()) / broad if broad > 0.3 else 0.0
