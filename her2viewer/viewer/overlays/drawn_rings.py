"""Outlines and hatched areas for the frames of a zoom: a worker draws them anew, plainer than Qt's painter does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box
from her2viewer.viewer.canvas.rasters import RING_SHIFT, Bounds, Raster, Rings

BGRA = tuple[int, int, int, int]
"""Premultiplied."""


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
    """A snapshot of outlines; a ``RasterSource`` that draws what it is asked for."""

    def __init__(self, styles: Sequence[RingStyle], discs: Sequence[Disc] = ()) -> None:
        self._styles = tuple(styles)
        self._discs = tuple(discs)
        hatches = [style.hatch for style in self._styles if style.hatch is not None]
        colors = [*(style.line for style in self._styles), *(disc.color for disc in self._discs)]
        self._solid = all(color[3] == 255 for color in colors) and all(
            np.isin(h[..., 3], (0, 255)).all() for h in hatches
        )

    def within(self, bounds: Bounds, downsample: float) -> Sequence[Raster]:
        """One image of the whole of ``bounds``; none where nothing lies in it."""
        import cv2

        x0, y0, x1, y1 = (int(np.floor(edge / downsample + 0.5)) for edge in bounds)
        box = Box(x0, y0, x1, y1)
        image: BGRAImage | None = None
        for style in self._styles:
            lines = style.rings.on(box, downsample)
            if not lines:
                continue
            if image is None:
                image = _empty(box)
            if style.hatch is not None:
                mask = np.zeros(image.shape[:2], dtype=np.uint8)
                cv2.fillPoly(mask, lines, (255,), lineType=cv2.LINE_8, shift=RING_SHIFT)
                hatch = _tiled(style.hatch, box)
                # Only its lines: between them lies what was drawn before.
                cv2.copyTo(hatch, cv2.bitwise_and(mask, cv2.compare(hatch[..., 3], 0, cv2.CMP_NE)), image)
            cv2.polylines(image, lines, True, style.line, style.width, cv2.LINE_8, RING_SHIFT)
        for disc in self._discs:
            x, y = round(disc.x / downsample) - x0, round(disc.y / downsample) - y0
            if -disc.radius <= x <= box.width + disc.radius and -disc.radius <= y <= box.height + disc.radius:
                image = _empty(box) if image is None else image
                cv2.circle(image, (x, y), disc.radius, disc.color, cv2.FILLED)
        if image is None:
            return []
        return [Raster(image, x0 * downsample, y0 * downsample, downsample, solid=self._solid)]


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


def _empty(box: Box) -> BGRAImage:
    return np.zeros((box.height, box.width, 4), dtype=np.uint8)


def _tiled(tile: BGRAImage, box: Box) -> BGRAImage:
    side = len(tile)
    left, top = box.x0 % side, box.y0 % side
    rows, columns = -(-(top + box.height) // side), -(-(left + box.width) // side)
    whole = np.tile(tile, (rows, columns, 1))
    return np.ascontiguousarray(whole[top : top + box.height, left : left + box.width])
