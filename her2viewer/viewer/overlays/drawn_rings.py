"""Outlines and hatched areas for the frames of a zoom: a worker draws them anew, plainer than Qt's painter does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box
from her2viewer.viewer.canvas.rasters import RING_SHIFT, Bounds, Raster, Rings, bands

BGRA = tuple[int, int, int, int]
"""Premultiplied."""
MOST_ROWS = 256
"""Px that are drawn at a time: a frame that is asked for meanwhile waits no longer."""


class RingStyle(NamedTuple):
    """Some rings that look alike."""

    rings: Rings
    line: BGRA
    width: int
    """Px."""
    hatch: BGRAImage | None = None
    """(n, n, 4) premultiplied: repeated over what the rings hold, from the origin of the slide on."""


class Disc(NamedTuple):
    """The mark of a note."""

    x: float
    """Level-0 px."""
    y: float
    color: BGRA
    radius: int
    """Px."""


class DrawnRings:
    """A snapshot of outlines; a ``RasterSource`` that draws what it is asked for. For one worker at a time."""

    def __init__(self, styles: Sequence[RingStyle], discs: Sequence[Disc] = ()) -> None:
        self._styles = tuple((style, None if style.hatch is None else _Hatch(style.hatch)) for style in styles)
        self._discs = tuple(discs)

    def within(self, bounds: Bounds, downsample: float) -> Iterator[Raster]:
        """Bands of ``bounds``, each as wide as what lies in it; none where nothing does."""
        x0, y0, x1, y1 = (int(np.floor(edge / downsample + 0.5)) for edge in bounds)
        for band in bands(Box(x0, y0, x1, y1), MOST_ROWS):
            part = self._extent(band, downsample)
            if not part.empty:
                yield Raster(self._drawn(part, downsample), part.x0 * downsample, part.y0 * downsample, downsample)

    def _extent(self, band: Box, downsample: float) -> Box:
        parts = [style.rings.extent(band, downsample, style.width) for style, _ in self._styles]
        for disc in self._discs:
            x, y = round(disc.x / downsample), round(disc.y / downsample)
            parts.append(Box(x, y, x + 1, y + 1).widened(disc.radius).intersected(band))
        parts = [part for part in parts if not part.empty]
        if not parts:
            return Box(band.x0, band.y0, band.x0, band.y0)
        x0, y0, x1, y1 = zip(*parts, strict=True)
        return Box(min(x0), min(y0), max(x1), max(y1))

    def _drawn(self, box: Box, downsample: float) -> BGRAImage:
        import cv2

        image: BGRAImage = np.zeros((box.height, box.width, 4), dtype=np.uint8)
        for style, hatch in self._styles:
            # Lines on the edge of the box reach into it.
            wide = box.widened(style.width)
            lines = [line - (style.width << RING_SHIFT) for line in style.rings.on(wide, downsample)]
            if not lines:
                continue
            if hatch is not None:
                mask = np.zeros(image.shape[:2], dtype=np.uint8)
                cv2.fillPoly(mask, lines, (255,), lineType=cv2.LINE_8, shift=RING_SHIFT)
                pixels, there = hatch.over(box)
                # Only its lines: between them lies what was drawn before.
                cv2.copyTo(pixels, cv2.bitwise_and(mask, there), image)
            cv2.polylines(image, lines, True, style.line, style.width, cv2.LINE_8, RING_SHIFT)
        for disc in self._discs:
            at = (round(disc.x / downsample) - box.x0, round(disc.y / downsample) - box.y0)
            if not Box(*at, *at).widened(disc.radius + 1).intersected(Box(0, 0, box.width, box.height)).empty:
                cv2.circle(image, at, disc.radius, disc.color, cv2.FILLED)
        return image


class _Hatch:
    """A tile that is repeated from the origin of the slide on; as much of it is kept as was needed."""

    def __init__(self, tile: BGRAImage) -> None:
        self._tile = tile
        self._pixels = tile
        self._there = tile[..., 3]

    def over(self, box: Box) -> tuple[BGRAImage, NDArray[np.uint8]]:
        """For the px of a box: the hatch (height, width, 4), and 255 where it has lines (height, width)."""
        import cv2

        side = len(self._tile)
        left, top = box.x0 % side, box.y0 % side
        height, width = self._pixels.shape[:2]
        if top + box.height > height or left + box.width > width:
            rows, columns = max(height, top + box.height), max(width, left + box.width)
            self._pixels = np.tile(self._tile, (-(-rows // side), -(-columns // side), 1))
            self._there = np.asarray(cv2.compare(self._pixels[..., 3], 0, cv2.CMP_NE), dtype=np.uint8)
        area = np.s_[top : top + box.height, left : left + box.width]
        return self._pixels[area], self._there[area]


def diagonal(side: int, lines: Sequence[tuple[int, BGRA]]) -> BGRAImage:
    """A tile of a hatch that rises to the right: at so many px from the diagonal this colour."""
    tile: NDArray[np.uint8] = np.zeros((side, side, 4), dtype=np.uint8)
    along = np.add.outer(np.arange(side), np.arange(side)) % side
    for place, color in lines:
        tile[along == place % side] = color
    return tile


def premultiplied(red: int, green: int, blue: int, alpha: int) -> BGRA:
    """As images of overlays have it."""
    return (blue * alpha // 255, green * alpha // 255, red * alpha // 255, alpha)
