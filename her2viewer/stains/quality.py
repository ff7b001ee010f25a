"""Focus: how sharp a patch is, and which parts of a picture are blurred."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FOCUS_UM = 64.0
"""Side of the window in which focus is judged: some cells, so that one smooth nucleus is no blur."""
LEAST_CONTRAST = 2.5
"""Grey levels of contrast at 2 to 8 px below which there is nothing to judge focus by."""


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


def blurred(rgb: NDArray[np.uint8], um_per_px: float, limit: float, step: int) -> NDArray[np.bool_]:
    """Where a picture is out of focus: ``sharpness`` of the window around each block, below ``limit``.

    Args:
        rgb: (h, w, 3) uint8 at 0.25 to 0.6 um/px.
        um_per_px: its resolution.
        limit: sharpness of what is only just in focus.
        step: side of a block, px.

    Returns:
        (ceil(h / step), ceil(w / step)) bool; False where there is nothing to judge by.
    """
    import cv2

    green: NDArray[Any] = rgb[..., 1].astype(np.float32)
    fine = cv2.GaussianBlur(green, (0, 0), 0.7)
    middle = cv2.GaussianBlur(green, (0, 0), 1.4)
    coarse = cv2.GaussianBlur(green, (0, 0), 5.0)
    side = (max(3, round(FOCUS_UM / um_per_px)) | 1,) * 2
    sharp: NDArray[Any] = cv2.blur((fine - middle) ** 2, side)
    broad: NDArray[Any] = cv2.blur((middle - coarse) ** 2, side)
    rows = np.minimum(np.arange(step // 2, rgb.shape[0] + step // 2, step), rgb.shape[0] - 1)
    columns = np.minimum(np.arange(step // 2, rgb.shape[1] + step // 2, step), rgb.shape[1] - 1)
    sharp, broad = sharp[np.ix_(rows, columns)], broad[np.ix_(rows, columns)]
    return np.asarray((broad > LEAST_CONTRAST**2) & (sharp < limit**2 * broad))
