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
Key = tuple[float, int, int]
"""Downsample, column, row."""


class TileShelf:
    """A snapshot of tiles at all zooms; a ``RasterSource``."""

    def __init__(self, tiles: Mapping[Key, QImage | None]) -> None:
        self._tiles = dict(tiles)

    def within(self, bounds: Bounds, downsample: float) -> Sequence[Raster]:
        """Tiles and parts of tiles that do not overlap, see ``stand_ins``."""
        return [
            Raster(pixels_of(image), key[1] * TILE * key[0], key[2] * TILE * key[0], key[0], part, image)
            for key, part in stand_ins(self._tiles, [bounds], downsample)
            if (image := self._tiles[key]) is not None
        ]


class StillRasters:
    """Images that are the same at every zoom; a ``RasterSource``."""

    def __init__(self, rasters: Iterable[Raster] = ()) -> None:
        self._rasters = tuple(rasters)

    def within(self, bounds: Bounds, downsample: float) -> Sequence[Raster]:
        """All of them: what lies elsewhere is left out when they are drawn."""
        return self._rasters


def stand_ins(keys: Iterable[Key], holes: Sequence[Bounds], downsample: float) -> Iterator[tuple[Key, Bounds]]:
    """Parts of tiles that fill ``holes`` (level-0 px), first of the zoom most like ``downsample``, then of others.

    No place is filled twice: what is half transparent may not lie twice over one another.
    """
    zooms: dict[float, list[Key]] = {}
    for key in keys:
        zooms.setdefault(key[0], []).append(key)
    left = list(holes)
    for zoom in sorted(zooms, key=lambda each: abs(math.log(each / downsample))):
        for key in zooms[zoom]:
            rest: list[Bounds] = []
            for hole in left:
                part = _common(_square(key), hole)
                if part is None:
                    rest.append(hole)
                else:
                    yield key, part
                    rest += _beside(part, hole)
            left = rest
        if not left:
            return


def pixels_of(image: QImage) -> BGRAImage:
    """(height, width, 4) premultiplied: the memory of the image, which must be kept alive beside it."""
    height, width = image.height(), image.width()
    words = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(height, image.bytesPerLine())
    return words[:, : 4 * width].reshape(height, width, 4)


def _square(key: Key) -> Bounds:
    span = TILE * key[0]
    return key[1] * span, key[2] * span, (key[1] + 1) * span, (key[2] + 1) * span


def _common(one: Bounds, other: Bounds) -> Bounds | None:
    x0, y0, x1, y1 = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _beside(part: Bounds, whole: Bounds) -> list[Bounds]:
    """What of ``whole`` lies beside a part of it, at most four rectangles."""
    (x0, y0, x1, y1), (left, top, right, bottom) = part, whole
    found = ((left, top, right, y0), (left, y1, right, bottom), (left, y0, x0, y1), (x1, y0, right, y1))
    return [each for each in found if each[0] < each[2] and each[1] < each[3]]
