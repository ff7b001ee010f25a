"""A region as painters and workers want it: only what lies in it is shown."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QPainterPath
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.editing import rings
from her2viewer.domain.region import Region
from her2viewer.viewer.canvas.rasters import Bounds, Ring, Rings
from her2viewer.viewer.overlays.outlines import path_of


def region_path(geometry: BaseGeometry) -> QPainterPath:
    """Outline of a (multi-)polygon as a path in level-0 px, holes left out by the odd-even rule."""
    return odd_even(xy for *_, xy in rings(geometry))


def odd_even(some: Iterable[Ring]) -> QPainterPath:
    """Closed rings as a path that holds what an odd number of them holds."""
    path = path_of(list(some))
    path.setFillRule(Qt.FillRule.OddEvenFill)
    return path


class Clip:
    """Main thread, but for ``rings``."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._rings = [xy for *_, xy in rings(region.geometry)]
        self.rings = Rings(self._rings)
        begins = np.concatenate([np.empty((0, 2)), *self._rings])
        ends = np.concatenate([np.empty((0, 2)), *(np.roll(xy, -1, axis=0) for xy in self._rings)])
        self._edges = np.hstack([begins, ends])
        self._low, self._high = np.minimum(begins, ends), np.maximum(begins, ends)
        self._last: tuple[Bounds, QPainterPath | bool] | None = None
        self._path: tuple[list[int], QPainterPath] | None = None

    def within(self, bounds: Bounds) -> QPainterPath | bool:
        """What a part of the slide is to be clipped to: True where all of it lies in the region, False where nothing
        does, otherwise a path in level-0 px that is right within ``bounds``.

        An outline of 10,000 corners takes a painter 0.5 ms, and most parts are far from it.
        """
        if self._last is None or self._last[0] != bounds:
            # All layers ask for one part after another.
            self._last = (bounds, self._found(bounds))
        return self._last[1]

    def _found(self, bounds: Bounds) -> QPainterPath | bool:
        x0, y0, x1, y1 = bounds
        if ((self._low <= (x1, y1)) & (self._high >= (x0, y0))).all(axis=1).any():
            return self._near(bounds)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        xa, ya, xb, yb = self._edges[(self._low[:, 1] <= y) & (self._high[:, 1] > y)].T
        # Odd and even, on a line to the right.
        return bool(np.count_nonzero(xa + (y - ya) / (yb - ya) * (xb - xa) > x) % 2)

    def _near(self, bounds: Bounds) -> QPainterPath:
        x0, y0, x1, y1 = bounds
        near = [
            i
            for i, (left, top, right, bottom) in enumerate(self.rings.bounds.tolist())
            if left <= x1 and right >= x0 and top <= y1 and bottom >= y0
        ]
        if self._path is None or self._path[0] != near:
            self._path = (near, odd_even(self._rings[i] for i in near))
        return self._path[1]
