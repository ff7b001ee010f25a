# mypy: disable-error-code="untyped-decorator"
"""Light through stain, and the sensor's noise: compiled. Importing this imports numba: do it inside functions."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)


@numba.njit(cache=True, nogil=True)
def transmit(blue: Any, other: Any, vectors: Any, glass: Any, light: Any) -> None:
    """Beer and Lambert: grey levels of what passes two stains, (h, w, 3) float32."""
    h, w = blue.shape
    natural = 2.302585
    for j in range(h):
        for i in range(w):
            b, s = np.float32(blue[j, i]), np.float32(other[j, i])
            for channel in range(3):
                if b == 0.0 and s == 0.0:
                    light[j, i, channel] = glass[channel]
                else:
                    od = b * np.float32(vectors[0, channel]) + s * np.float32(vectors[1, channel])
                    light[j, i, channel] = glass[channel] * np.exp(np.float32(-natural) * od)


@numba.njit(cache=True, nogil=True)
def noisy(light: Any, noise: Any, shift: Any, sigma: Any, image: Any) -> None:
    """Round light with noise, stronger where there is more light, into (h, w, 3) uint8."""
    side = noise.shape[0]
    for j in range(image.shape[0]):
        for i in range(image.shape[1]):
            for channel in range(3):
                value = light[j, i, channel]
                grain = noise[(j + shift[0]) % side, (i + shift[1]) % side, channel]
                value += sigma * (0.45 + 0.55 * np.sqrt(max(value, 0.0) / 255.0)) * grain
                image[j, i, channel] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
