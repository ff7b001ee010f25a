"""A slide as seen in a mirror: for sections that were mounted face down."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from her2viewer.slides.pixels import averaged
from her2viewer.slides.slide import BGRAImage, RGBImage, Slide


class MirroredSlide(Slide):
    """The pixels of another slide with left and right exchanged, on every level; exact to the pixel.

    Label and macro images are left as they are. Closing it closes the other one.
    """

    def __init__(self, slide: Slide) -> None:
        self.original = slide
        self.path = slide.path
        self.format = slide.format
        self.levels = slide.levels
        self.pixel_size = slide.pixel_size
        self.objective_power = slide.objective_power
        self.properties = slide.properties
        self.identity = slide.identity
        self.background = slide.background
        self.bounds_offset = slide.bounds_offset
        self.icc_profile = slide.icc_profile

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        """As the contract says."""
        return _turned(self.original.read(level, self._left(level, x, width), y, width, height))

    def read_bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int = 1) -> BGRAImage:
        """As the contract says."""
        left = self._left(level, x, width)
        if width % reduce:
            # The odd rest belongs to the right end, which is the other one there.
            return averaged(_turned(self.original.read_bgra(level, left, y, width, height)), reduce)
        return _turned(self.original.read_bgra(level, left, y, width, height, reduce=reduce))

    def associated_images(self) -> Mapping[str, RGBImage]:
        """Those of the other slide."""
        return self.original.associated_images()

    def close(self) -> None:
        """Close the other slide."""
        self.original.close()

    def _left(self, level: int, x: int, width: int) -> int:
        # A level that is not there is for the other slide to refuse.
        known = 0 <= level < len(self.levels)
        return self.levels[level].width - x - width if known else x


def _turned(pixels: RGBImage) -> RGBImage:
    return np.ascontiguousarray(pixels[:, ::-1])
