"""The region that a scorer looks at: what the reader outlined, less what was excluded."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.union import Areas, AreaUnion, NetArea, collected, fresh_in, ids_of, polygonal, touching

__all__ = ["RASTER_SHIFT", "Region", "joined", "polygonal"]

RASTER_SHIFT = 6
"""Fractional bits of the points of ``Region.rings_on``."""


SPLINTER_PX = 1e-3
"""Mean width; of less nothing is left but the rounding of coordinates."""
MANY_PARTS = 16
"""Of more polygons, points are looked up by a tree: a prepared MultiPolygon asks each part for each point."""


def joined(geometries: Iterable[BaseGeometry]) -> Polygon | MultiPolygon:
    """Union of the area parts of many geometries, repaired."""
    return collected(AreaUnion.of(geometries).parts)


@dataclass(frozen=True)
class Region:
    """Area in level-0 pixels; the only form in which a ROI reaches a scorer."""

    geometry: Polygon | MultiPolygon

    @classmethod
    def of(cls, include: Iterable[BaseGeometry], exclude: Iterable[BaseGeometry] = ()) -> Region:
        """Union of ``include`` less union of ``exclude``, repaired."""
        return cls.of_net(NetArea.of(AreaUnion.of(include), AreaUnion.of(exclude)))

    @classmethod
    def of_net(cls, net: NetArea) -> Region:
        """What is left of one union less another."""
        region = cls(collected(net.parts))
        # What ``parts`` would give, but the very objects: ``changed_from`` knows by them what has changed.
        region.__dict__.update(parts=net.parts, part_ids=net.part_ids)
        return region

    @classmethod
    def rectangle(cls, x: float, y: float, width: float, height: float) -> Region:
        """Axis-parallel rectangle, level-0 px."""
        return cls(shapely.box(x, y, x + width, y + height))

    def __getstate__(self) -> dict[str, Any]:
        """The area and its name: what was worked out besides stays in this process."""
        return {name: self.__dict__[name] for name in ("geometry", "hash") if name in self.__dict__}

    @property
    def empty(self) -> bool:
        """True where nothing is outlined."""
        return bool(self.geometry.is_empty)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in level-0 px; zeros when empty."""
        if self.empty:
            return (0.0, 0.0, 0.0, 0.0)
        x0, y0, x1, y1 = self.geometry.bounds
        return (float(x0), float(y0), float(x1), float(y1))

    @cached_property
    def parts(self) -> Areas:
        """The polygons of the region, (n,)."""
        parts = shapely.get_parts(self.geometry)
        return np.asarray(parts[~shapely.is_empty(parts)])

    @cached_property
    def part_bounds(self) -> NDArray[np.float64]:
        """x0, y0, x1, y1 of each polygon in level-0 px, (n, 4)."""
        return np.asarray(shapely.bounds(self.parts), dtype=np.float64).reshape(-1, 4)

    @cached_property
    def part_ids(self) -> NDArray[np.int64]:
        """What tells the polygons apart, (n,)."""
        return ids_of(self.parts)

    def changed_from(self, other: Region) -> tuple[float, float, float, float] | None:
        """Bounds (x0, y0, x1, y1 in level-0 px) of all that differs from another region; None where nothing does.

        Exact for regions of one ``AnnotationSet`` before and after an edit; of others it may be all that they cover.
        """
        asked, changed = self.__dict__.get("_changed", (lambda: None, None))
        if asked() is not other:
            changed = self._difference_from(other)
            # Everybody who follows the region asks the same.
            self.__dict__["_changed"] = (weakref.ref(other), changed)
        return None if changed is None else tuple(changed)

    def _difference_from(self, other: Region) -> tuple[float, float, float, float] | None:
        mine = self.part_bounds[fresh_in(self.part_ids, other.part_ids)]
        theirs = other.part_bounds[fresh_in(other.part_ids, self.part_ids)]
        boxes = np.concatenate([mine, theirs])
        if not len(boxes):
            return None
        (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        return (float(x0), float(y0), float(x1), float(y1))

    @property
    def area_px(self) -> float:
        """Area in level-0 px2."""
        return float(self.geometry.area)

    def area_mm2(self, pixel_size: PixelSize) -> float:
        """Area in mm2."""
        return pixel_size.mm2(self.area_px)

    @cached_property
    def hash(self) -> str:
        """sha256 of the normalised outline at 0.01 px: the same area gives the same hash."""
        normal = shapely.normalize(shapely.set_precision(self.geometry, 0.01))
        return hashlib.sha256(shapely.to_wkb(normal, include_srid=False, byte_order=1)).hexdigest()

    def intersection(self, other: Region) -> Region:
        """Area in both."""
        return Region(polygonal(self.geometry.intersection(other.geometry)))

    def difference(self, other: Region) -> Region:
        """Area in this one and not in ``other``, which remembers it."""
        # While a scorer runs, several ask at each part what is left of a region of thousands of corners.
        known: tuple[Region, Region] | None = other.__dict__.get("_left")
        if known is None or known[0] is not self:
            known = (self, Region(polygonal(self.geometry.difference(other.geometry))))
            other.__dict__["_left"] = known
        return known[1]

    def leaving(self, whole: Region, rest: Region) -> Region:
        """This region; from now on it is known what it leaves of ``whole``."""
        self.__dict__["_left"] = (whole, rest)
        return self

    def without(self, other: Region) -> Region:
        """As ``difference``, but for what rounding leaves along common outlines. Its cost follows what lies near
        ``other``: one overlay of all edges takes 10 ms for 5,000 corners, and 20 times as long where nothing is left.
        """
        parts = NetArea.of(AreaUnion.apart(self.parts), AreaUnion.apart(other.parts)).parts
        return Region(collected(parts[shapely.area(parts) > SPLINTER_PX * shapely.length(parts)]))

    def union(self, other: Region) -> Region:
        """Area in either."""
        return Region(polygonal(self.geometry.union(other.geometry)))

    def contains_points(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
        """Which points (level-0 px, shape (n,)) lie inside; bool (n,). Fast for millions of points."""
        if self.empty or len(x) == 0:
            return np.zeros(len(x), dtype=bool)
        x0, y0, x1, y1 = self.bounds
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        picked = np.flatnonzero(inside)
        if not len(picked):
            return np.asarray(inside, dtype=bool)
        px, py = x[picked], y[picked]
        near = touching(self.part_bounds, (px.min(), py.min(), px.max(), py.max()))
        if len(near) > MANY_PARTS:
            hit = np.zeros(len(picked), dtype=bool)
            _, point = shapely.STRtree(shapely.points(px, py)).query(self.parts[near], predicate="contains")
            hit[point] = True
        else:
            area = self.geometry if len(near) == len(self.parts) else collected(self.parts[near])
            shapely.prepare(area)
            hit = shapely.contains_xy(area, px, py)
        inside[picked] = hit
        return np.asarray(inside, dtype=bool)

    def mask(self, x: float, y: float, width: int, height: int, downsample: float) -> NDArray[np.bool_]:
        """Raster of the region, bool (height, width).

        ``x, y`` is the upper left corner in level-0 px; one mask pixel covers ``downsample`` level-0 px.
        """
        import cv2

        canvas = np.zeros((height, width), dtype=np.uint8)
        # fillPoly uses the even-odd rule, so inner rings come out as holes; polygons do not meet.
        rings = self.all_rings_on(x, y, downsample, width, height)
        cv2.fillPoly(canvas, rings, 1, lineType=cv2.LINE_8, shift=RASTER_SHIFT)
        return canvas.astype(bool)

    def rings_on(self, x: float, y: float, step: float, columns: int, rows: int) -> list[list[NDArray[np.int32]]]:
        """Outlines for OpenCV on a raster of squares of ``step`` level-0 px whose corner lies at ``x, y``.

        One list for each polygon, outer ring first; points (k, 2) in squares with ``RASTER_SHIFT`` fractional
        bits. Clipped to the raster, so far away corners cannot overflow.
        """
        found: list[list[NDArray[np.int32]]] = []
        before = -1
        for owner, ring in zip(*self._rings_on(x, y, step, columns, rows), strict=True):
            if owner != before:
                found.append([])
                before = owner
            found[-1].append(ring)
        return found

    def all_rings_on(self, x: float, y: float, step: float, columns: int, rows: int) -> list[NDArray[np.int32]]:
        """As ``rings_on``, of all polygons in one list: for thousands one call of OpenCV in place of as many."""
        return self._rings_on(x, y, step, columns, rows)[1]

    def _rings_on(
        self, x: float, y: float, step: float, columns: int, rows: int
    ) -> tuple[list[int], list[NDArray[np.int32]]]:
        """Of each ring its polygon and its points."""
        window = (x - step, y - step, x + (columns + 1) * step, y + (rows + 1) * step)
        near = touching(self.part_bounds, window)
        x0, y0, x1, y1 = self.part_bounds[near].T
        within = (window[0] <= x0) & (window[1] <= y0) & (window[2] >= x1) & (window[3] >= y1)
        clipped = [polygonal(g) for g in shapely.intersection(self.parts[near[~within]], shapely.box(*window))]
        parts = np.concatenate([self.parts[near[within]], shapely.get_parts(np.array(clipped, dtype=object))])
        lines, polygon = shapely.get_rings(parts[~shapely.is_empty(parts)], return_index=True)
        xy, line = shapely.get_coordinates(lines, return_index=True)
        points = np.round(((xy - (x, y)) / step - 0.5) * (1 << RASTER_SHIFT)).astype(np.int32)
        cuts = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), len(points)]
        rings = [points[a:b] for a, b in pairwise(cuts)] if len(lines) else []
        return polygon.tolist(), rings
