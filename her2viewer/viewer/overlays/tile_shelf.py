"""Which of the tiles at hand of an overlay stand in at another zoom, and the same tiles for a worker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from PySide6.QtGui import QImage

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.rasters import Bounds, Raster

TILE = 512
"""Side of a tile, device px."""
WHOLE = 0.999
"""Tiles that hold so much of what is asked for are taken to hold all of it."""

Key = tuple[float, int, int]
"""Downsample, column, row."""


class TileShelf:
    """A snapshot of tiles at all zooms; a ``RasterSource``."""

    def __init__(self, tiles: Mapping[Key, QImage | None]) -> None:
        self._tiles = dict(tiles)

    def within(self, bounds: Bounds, downsample: float) -> Sequence[Raster]:
        """Tiles of the one zoom that fills ``bounds`` best."""
        zoom = best_zoom(self._tiles, bounds, downsample)
        if zoom is None:
            return ()
        return [
            Raster(pixels_of(image), key[1] * TILE * zoom, key[2] * TILE * zoom, zoom, image)
            for key, _ in _touching(self._tiles, bounds)
            if key[0] == zoom and (image := self._tiles[key]) is not None
        ]


class StillRasters:
    """Images that are the same at every zoom; a ``RasterSource``."""

    def __init__(self, rasters: Iterable[Raster] = ()) -> None:
        self._rasters = tuple(rasters)

    def within(self, bounds: Bounds, downsample: float) -> Sequence[Raster]:
        """All of them: what lies elsewhere is left out when they are drawn."""
        return self._rasters


def best_zoom(keys: Iterable[Key], bounds: Bounds, downsample: float) -> float | None:
    """The zoom whose tiles hold most of ``bounds`` (level-0 px); of those that hold all of it the one most like
    ``downsample``. One zoom alone: what is half transparent may not lie twice over one another. None without tiles.
    """
    held: dict[float, float] = {}
    for key, area in _touching(keys, bounds):
        held[key[0]] = held.get(key[0], 0.0) + area
    whole = (bounds[2] - bounds[0]) * (bounds[3] - bounds[1])

    def rank(zoom: float) -> tuple[float, float]:
        return (min(WHOLE, held[zoom] / whole if whole > 0 else 0.0), -abs(math.log(zoom / downsample)))

    return max(held, key=rank, default=None)


def pixels_of(image: QImage) -> BGRAImage:
    """(height, width, 4) premultiplied: the memory of the image, which must be kept alive beside it."""
    height, width = image.height(), image.width()
    words = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(height, image.bytesPerLine())
    return words[:, : 4 * width].reshape(height, width, 4)


def _touching(keys: Iterable[Key], bounds: Bounds) -> Iterator[tuple[Key, float]]:
    """Tiles in ``bounds`` with the area that they hold of it."""
    x0, y0, x1, y1 = bounds
    for key in keys:
        span = TILE * key[0]
        width = min(x1, (key[1] + 1) * span) - max(x0, key[1] * span)
        height = min(y1, (key[2] + 1) * span) - max(y0, key[2] * span)
        if width > 0 and height > 0:
            yield key, width * height
