"""Outlines ready to be drawn: thinned to what the zoom can show, cut into pieces that can be culled."""

from __future__ import annotations

import math
import struct

import numpy as np
import shapely
from numpy.typing import NDArray
from PySide6.QtCore import QByteArray, QDataStream
from PySide6.QtGui import QPainterPath, QPolygonF
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.editing import rings

CHUNK = 256
"""Corners of one piece."""
KEPT_LEVELS = 3
FEW = 24
"""An outline of fewer corners is not worth the time that thinning it further takes, of thousands least of all."""
CLIP_FROM = 4_000
"""Fills with more corners are clipped to the view before they are drawn."""

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in level-0 px."""


def polygon_of(xy: NDArray[np.float64]) -> QPolygonF:
    """A QPolygonF of (n, 2) coordinates; a hundred times as fast as point by point."""
    data = struct.pack(">I", len(xy)) + np.ascontiguousarray(xy, dtype=">f8").tobytes()
    polygon = QPolygonF()
    stream = QDataStream(QByteArray(data))
    stream >> polygon
    return polygon


def path_of(ring_coordinates: list[NDArray[np.float64]]) -> QPainterPath:
    """A path of closed rings; holes come out by the odd-even rule."""
    path = QPainterPath()
    for xy in ring_coordinates:
        path.addPolygon(polygon_of(xy))
        path.closeSubpath()
    return path


class _Level:
    """An outline thinned for one range of zooms."""

    def __init__(self, geometry: BaseGeometry, tolerance: float) -> None:
        self.rings: list[NDArray[np.float64]] = []
        pieces: list[NDArray[np.float64]] = []
        for _part, _ring, xy in rings(geometry):
            closed = _thinned(np.vstack([xy, xy[:1]]), tolerance)
            self.rings.append(closed)
            pieces += [closed[i : i + CHUNK + 1] for i in range(0, len(closed) - 1, CHUNK)]
        self.corners = sum(len(r) for r in self.rings)
        self.bounds = np.array([[*p.min(axis=0), *p.max(axis=0)] for p in pieces]).reshape(-1, 4)
        self.pieces = [polygon_of(p) for p in pieces]
        self._path: QPainterPath | None = None

    def path(self) -> QPainterPath:
        if self._path is None:
            self._path = path_of(self.rings)
        return self._path


def _thinned(xy: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """With the corners that can be told apart at ``tolerance`` px."""
    if tolerance <= 0 or len(xy) < 8:
        return xy
    spot = np.floor(xy / tolerance)
    keep = np.ones(len(xy), dtype=bool)
    keep[1:] = (spot[1:] != spot[:-1]).any(axis=1)
    keep[-1] = True
    thinned = xy[keep]
    if len(thinned) < FEW:
        return thinned if len(thinned) >= 4 else xy
    # The grid takes out the crowd at no cost, Douglas-Peucker what is left of the jitter.
    line = shapely.simplify(shapely.LineString(thinned), tolerance, preserve_topology=False)
    simple = shapely.get_coordinates(line)
    return simple if len(simple) >= 4 else thinned


class Outline:
    """One geometry with what was prepared of it for drawing."""

    def __init__(self, geometry: BaseGeometry) -> None:
        self.geometry = geometry
        x0, y0, x1, y1 = geometry.bounds if not geometry.is_empty else (0.0, 0.0, -1.0, -1.0)
        self.bounds: Bounds = (x0, y0, x1, y1)
        self._levels: dict[int, _Level] = {}
        self._from_top: NDArray[np.float64] | None = None

    def touches(self, view: Bounds) -> bool:
        """Whether anything may be in view."""
        x0, y0, x1, y1 = self.bounds
        return x0 <= view[2] and x1 >= view[0] and y0 <= view[3] and y1 >= view[1] and x0 <= x1

    def pieces(self, view: Bounds, scale: float) -> list[QPolygonF]:
        """Open lines, level-0 px, that make up the outline in ``view``; off by less than a screen px."""
        level = self._level(scale)
        b = level.bounds
        seen = (b[:, 0] <= view[2]) & (b[:, 2] >= view[0]) & (b[:, 1] <= view[3]) & (b[:, 3] >= view[1])
        return [level.pieces[i] for i in np.flatnonzero(seen)]

    def corners(self, scale: float) -> NDArray[np.float64]:
        """All corners that are drawn at this scale, (n, 2) level-0 px."""
        return np.vstack([np.empty((0, 2)), *self._level(scale).rings])

    def top(self, depth: float) -> tuple[float, float]:
        """From where to where (x, level-0 px) its corners reach that lie within ``depth`` px of its upper edge."""
        if self._from_top is None:
            xy = shapely.get_coordinates(self.geometry)
            x, y = xy[np.argsort(xy[:, 1], kind="stable")].T
            self._from_top = np.array([y, np.minimum.accumulate(x), np.maximum.accumulate(x)])
        y, least, most = self._from_top
        last = max(1, int(np.searchsorted(y, y[0] + depth))) - 1
        return float(least[last]), float(most[last])

    def fill(self, view: Bounds, scale: float) -> QPainterPath:
        """The area, level-0 px, right within ``view``."""
        level = self._level(scale)
        if level.corners <= CLIP_FROM:
            return level.path()
        clipped = shapely.clip_by_rect(self.geometry, *view)
        parts = [p for p in shapely.get_parts(shapely.get_parts(clipped)) if isinstance(p, Polygon)]
        return path_of([np.vstack([xy, xy[:1]]) for part in parts for _p, _r, xy in rings(part)])

    def _level(self, scale: float) -> _Level:
        step = math.floor(math.log2(1.0 / scale))
        level = self._levels.get(step)
        if level is None:
            while len(self._levels) >= KEPT_LEVELS:
                self._levels.pop(next(iter(self._levels)))
            level = self._levels[step] = _Level(self.geometry, 2.0**step)
        return level
