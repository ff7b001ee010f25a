"""A slide over an array in memory: the whole contract of a slide, no file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.slide import Level, RGBImage, Slide, SlideError


class ArraySlide(Slide):
    """``pixels`` is level 0, (h, w, 3) uint8 RGB; further levels are every ``downsample``-th pixel."""

    def __init__(
        self, pixels: RGBImage, mpp: float | None = 0.5, downsamples: tuple[int, ...] = (1, 4), tile: int = 256
    ) -> None:
        self.path = Path("in-memory.tif")
        self.format = "array"
        self._levels = [np.ascontiguousarray(pixels[::d, ::d]) for d in downsamples]
        height, width = pixels.shape[:2]
        self.levels = tuple(
            Level(p.shape[1], p.shape[0], (width / p.shape[1] + height / p.shape[0]) / 2, tile, tile)
            for p in self._levels
        )
        self.pixel_size = None if mpp is None else PixelSize(mpp, mpp, PixelSizeSource.FILE, "test")
        self.objective_power = None
        self.properties: Mapping[str, str] = {}
        self.identity = hashlib.sha256(pixels.tobytes()).hexdigest()
        self.background = (255, 255, 255)
        self.bounds_offset = (0, 0)
        self.icc_profile = None
        self.closed = False

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        if self.closed:
            raise SlideError("The slide is closed.")
        source = self._levels[level]
        out = np.full((height, width, 3), self.background, dtype=np.uint8)
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(source.shape[1], x + width), min(source.shape[0], y + height)
        if x1 > x0 and y1 > y0:
            out[y0 - y : y1 - y, x0 - x : x1 - x] = source[y0:y1, x0:x1]
        return out

    def associated_images(self) -> Mapping[str, RGBImage]:
        return {}

    def close(self) -> None:
        self.closed = True
