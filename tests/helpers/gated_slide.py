"""A slide computed from coordinates whose reads wait for the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.slide import Level, RGBImage, Slide, SlideError, TileError


class GatedSlide(Slide):
    """A slide computed from coordinates, of any size, whose reads can be held back, broken and looked up.

    Colours say where a pixel comes from: red follows x, green follows y over the whole slide, blue is 60 per level.
    ``colour`` makes all pixels of all levels the same instead.
    """

    def __init__(
        self,
        width: int = 4000,
        height: int = 3000,
        downsamples: tuple[float, ...] = (1, 4),
        tile: int = 256,
        mpp: float | None = 0.5,
        colour: tuple[int, int, int] | None = None,
    ) -> None:
        self.path = Path("gated.tif")
        self.format = "synthetic"
        self.levels = tuple(
            Level(max(1, round(width / d)), max(1, round(height / d)), float(d), tile, tile) for d in downsamples
        )
        self.pixel_size = None if mpp is None else PixelSize(mpp, mpp, PixelSizeSource.FILE, "test")
        self.objective_power = None
        self.properties: Mapping[str, str] = {}
        self.identity = "0" * 64
        self.background = (240, 240, 240)
        self.bounds_offset = (0, 0)
        self.icc_profile = None
        self.colour = colour
        self.closed = False
        self.gate = threading.Event()
        """Reads wait until it is set; it is set at first. ``hold()`` clears it."""
        self.gate.set()
        self.open_levels: set[int] = set()
        """Levels that are read although the gate is closed."""
        self.broken: Callable[[int, int, int], bool] = lambda level, x, y: False
        """(level, x, y) of a read that fails with TileError."""
        self.reads: list[tuple[int, int, int, int, int]] = []
        self.threads: set[int] = set()
        """Identifiers of the threads that have read."""
        self.reading = 0
        self.closed_while_read = False
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Make reads wait for ``gate.set()``."""
        self.gate.clear()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        with self._lock:
            self.reads.append((level, x, y, width, height))
            self.threads.add(threading.get_ident())
            self.reading += 1
        try:
            if level not in self.open_levels and not self.gate.wait(20):
                raise SlideError("the test never opened the gate")
            if self.closed:
                raise SlideError("The slide is closed.")
            if self.broken(level, x, y):
                raise TileError("This tile is broken on purpose.")
            return self.pixels(level, x, y, width, height)
        finally:
            with self._lock:
                self.reading -= 1

    def pixels(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        """What ``read`` gives."""
        size = self.levels[level]
        out = np.empty((height, width, 3), dtype=np.uint8)
        out[:] = self.background
        x0, y0, x1, y1 = max(0, x), max(0, y), min(size.width, x + width), min(size.height, y + height)
        if x1 <= x0 or y1 <= y0:
            return out
        inside = out[y0 - y : y1 - y, x0 - x : x1 - x]
        if self.colour is not None:
            inside[:] = self.colour
            return out
        inside[..., 0] = (np.arange(x0, x1) * 255 // max(1, size.width - 1))[None, :]
        inside[..., 1] = (np.arange(y0, y1) * 255 // max(1, size.height - 1))[:, None]
        inside[..., 2] = min(255, 60 * (level + 1))
        return out

    def associated_images(self) -> Mapping[str, RGBImage]:
        return {}

    def close(self) -> None:
        self.closed_while_read = self.reading > 0
        self.closed = True
