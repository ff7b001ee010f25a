"""Fields that tissue is made of: textures that repeat without a seam, soft edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def texture(rng: np.random.Generator, side: int, sigma_x: float, sigma_y: float) -> Field:
    """Noise of zero mean and unit variance, blurred by the two sigmas (px), that repeats after ``side`` px."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    fy = np.fft.fftfreq(side)[:, None]
    fx = np.fft.rfftfreq(side)[None, :]
    spectrum *= np.exp(-2 * np.pi**2 * ((fx * sigma_x) ** 2 + (fy * sigma_y) ** 2))
    spectrum[0, 0] = 0
    out = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray(out / out.std(), dtype=np.float32)


def ramp(values: Field, width: float) -> Field:
    """0 below zero, 1 above, with a soft edge of ``width``."""
    t = np.clip(values / width + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
