"""The region that a scorer looks at: what the reader outlined, less what was excluded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.pixelsize import PixelSize

RASTER_SHIFT = 6
"""Fractional bits of the points of ``Region.rings_on``."""


def polygonal(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """The valid area part of a geometry: lines and points dropped, self-crossings repaired.

    A one-part MultiPolygon becomes a Polygon, as QuPath expects. Empty input gives an empty Polygon.
    """
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    parts = [g for g in shapely.get_parts(shapely.get_parts(geometry)) if isinstance(g, Polygon) and not g.is_empty]
    if not parts:
        return Polygon()
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def joined(geometries: Iterable[BaseGeometry]) -> Polygon | MultiPolygon:
    """Union of the area parts of many geometries, repaired.

    Only those that meet are united: of thousands of cells most stand alone, and GEOS would still build one graph of
    all their edges.
    """
    given = np.array(list(geometries), dtype=object)
    if not len(given):
        return Polygon()
    odd = ~(shapely.is_valid(given) & np.isin(shapely.get_type_id(given), (3, 6)))
    given[odd] = [polygonal(g) for g in given[odd]]
    parts = shapely.get_parts(given)
    parts = parts[~shapely.is_empty(parts)]
    first, second = shapely.STRtree(parts).query(parts, predicate="intersects")
    pairs = first < second
    if not pairs.any():
        return _collected(parts)
    root = _groups(len(parts), first[pairs], second[pairs])
    meeting = np.zeros(len(parts), dtype=bool)
    meeting[first[pairs]] = meeting[second[pairs]] = True
    members = np.flatnonzero(meeting)
    members = members[np.argsort(root[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(root[members])) + 1
    united = [shapely.union_all(parts[group]) for group in np.split(members, cuts)]
    return _collected(np.concatenate([parts[~meeting], shapely.get_parts(np.array(united, dtype=object))]))


def _collected(parts: NDArray[Any]) -> Polygon | MultiPolygon:
    """Polygons whose interiors do not meet, as one geometry."""
    if not len(parts):
        return Polygon()
    return parts[0] if len(parts) == 1 else MultiPolygon(list(parts))


def _groups(count: int, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
    """The smallest member of each one's connected group, (count,)."""
    root = np.arange(count)
    while True:
        low = np.minimum(root[first], root[second])
        before = root.copy()
        np.minimum.at(root, first, low)
        np.minimum.at(root, second, low)
        root = root[root]
        if np.array_equal(root, before):
            return root


@dataclass(frozen=True)
class Region:
    """Area in level-0 pixels; the only form in which a ROI reaches a scorer."""

    geometry: Polygon | MultiPolygon

    @classmethod
    def of(cls, include: Iterable[BaseGeometry], exclude: Iterable[BaseGeometry] = ()) -> Region:
        """Union of ``include`` less union of ``exclude``, repaired."""
        inside, outside = joined(include), joined(exclude)
        return cls(inside if outside.is_empty else polygonal(inside.difference(outside)))

    @classmethod
    def rectangle(cls, x: float, y: float, width: float, height: float) -> Region:
        """Axis-parallel rectangle, level-0 px."""
        return cls(shapely.box(x, y, x + width, y + height))

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
        """Area in this one and not in ``other``."""
        return Region(polygonal(self.geometry.difference(other.geometry)))

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
        shapely.prepare(self.geometry)
        inside[picked] = shapely.contains_xy(self.geometry, x[picked], y[picked])
        return np.asarray(inside, dtype=bool)

    def mask(self, x: float, y: float, width: int, height: int, downsample: float) -> NDArray[np.bool_]:
        """Raster of the region, bool (height, width).

        ``x, y`` is the upper left corner in level-0 px; one mask pixel covers ``downsample`` level-0 px.
        """
        import cv2

        canvas = np.zeros((height, width), dtype=np.uint8)
        for rings in self.rings_on(x, y, downsample, width, height):
            # fillPoly uses the even-odd rule, so inner rings come out as holes.
            cv2.fillPoly(canvas, rings, 1, lineType=cv2.LINE_8, shift=RASTER_SHIFT)
        return canvas.astype(bool)

    def rings_on(self, x: float, y: float, step: float, columns: int, rows: int) -> list[list[NDArray[np.int32]]]:
        """Outlines for OpenCV on a raster of squares of ``step`` level-0 px whose corner lies at ``x, y``.

        One list for each polygon, outer ring first; points (k, 2) in squares with ``RASTER_SHIFT`` fractional
        bits. Clipped to the raster, so far away corners cannot overflow.
        """
        window = (x - step, y - step, x + (columns + 1) * step, y + (rows + 1) * step)
        x0, y0, x1, y1 = self.bounds
        within = window[0] <= x0 and window[1] <= y0 and window[2] >= x1 and window[3] >= y1
        clipped = self.geometry if within else polygonal(self.geometry.intersection(shapely.box(*window)))
        parts = shapely.get_parts(clipped)
        lines, polygon = shapely.get_rings(parts[~shapely.is_empty(parts)], return_index=True)
        if not len(lines):
            return []
        xy, line = shapely.get_coordinates(lines, return_index=True)
        points = np.round(((xy - (x, y)) / step - 0.5) * (1 << RASTER_SHIFT)).astype(np.int32)
        found: list[list[NDArray[np.int32]]] = [[] for _ in range(int(polygon[-1]) + 1)]
        for owner, ring in zip(polygon, np.split(points, np.flatnonzero(np.diff(line)) + 1), strict=True):
            found[owner].append(ring)
        return found
