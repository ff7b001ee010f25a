# mypy: disable-error-code="untyped-decorator"
"""Compiled loops of the stains package. Importing this imports numba: do it inside functions."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)


@numba.njit(cache=True, nogil=True, fastmath=True)
def unmix(rgb: Any, tables: Any, guard: Any, first: Any, second: Any) -> None:
    """Two stains per pixel from lookup tables; the second limited by its brownness. Arrays as in ``deconvolve``."""
    height, width = rgb.shape[:2]
    for y in range(height):
        for x in range(width):
            r, g, b = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
            first[y, x] = tables[0, 0, r] + tables[0, 1, g] + tables[0, 2, b]
            value = tables[1, 0, r] + tables[1, 1, g] + tables[1, 2, b]
            second[y, x] = min(value, max(guard[0, r] + guard[1, g] + guard[2, b], np.float32(-0.05)))
