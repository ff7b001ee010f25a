"""Random fields that tissue is made of: smooth ones, and textures that repeat without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], wavelength: float) -> Field:
    """Noise of zero mean and unit variance that varies over ``wavelength`` px, float32 (h, w)."""
    import cv2

    rows, columns = (int(np.ceil(side / wavelength * 2)) + 3 for side in shape)
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    step = wavelength / 2
    matrix = np.array([[1 / step, 0, 1.0], [0, 1 / step, 1.0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(coarse, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray((out - out.mean()) / (out.std() + 1e-6), dtype=np.float32)


def texture(rng: np.random.Generator, side: int, sigma_x: float, sigma_y: float) -> Field:
    """Noise of zero mean and unit variance, blurred by the two sigmas (px), that repeats after ``side`` px."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    fy = np.fft.fftfreq(side)[:, None]
    fx = np.fft.rfftfreq(side)[None, :]
    spectrum *= np.exp(-2 * np.pi**2 * ((fx * sigma_x) ** 2 + (fy * sigma_y) ** 2))
    spectrum[0, 0] = 0
    out = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray(out / out.std(), dtype=np.float32)


@dataclass(frozen=True)
class Window:
    """A part of the slide, level-0 px."""

    x: int
    y: int
    width: int
    height: int

    def grown(self, margin: int) -> Window:
        """With a margin on all sides."""
        return Window(self.x - margin, self.y - margin, self.width + 2 * margin, self.height + 2 * margin)

    def tiled(self, pattern: Field, turn: bool = False) -> Field:
        """The part of an endless repetition of ``pattern`` that lies here (``turn``: mirrored at its diagonal)."""
        if turn:
            pattern = pattern.T
        rows = np.arange(self.y, self.y + self.height) % pattern.shape[0]
        columns = np.arange(self.x, self.x + self.width) % pattern.shape[1]
        return np.asarray(pattern[np.ix_(rows, columns)], dtype=np.float32)

    def enlarged(self, coarse: Field, step: int) -> Field:
        """The part of a field known every ``step`` px that lies here, interpolated."""
        import cv2

        offset = -0.5 + 0.5 / step
        matrix = np.array([[1 / step, 0, self.x / step + offset], [0, 1 / step, self.y / step + offset]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self.width, self.height)
        out = cv2.warpAffine(coarse, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(out, dtype=np.float32)


def ramp(values: Field, width: float) -> Field:
    """0 below zero, 1 above, with a soft edge of ``width``."""
    t = np.clip(values / width + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
