"""Edits of outlines: pure functions from geometry to geometry, level-0 px throughout.

Every function that gives an area gives a valid Polygon or MultiPolygon (possibly empty) and leaves its input alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import LinearRing, LineString, MultiPolygon, Point, Polygon
from shapely.affinity import scale, translate
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.region import polygonal

Coordinates = NDArray[np.float64]
"""(n, 2) float64, x and y in level-0 px."""


class Vertex(NamedTuple):
    """Address of one corner of an outline."""

    part: int
    """Index of the polygon; 0 for a single one."""
    ring: int
    """0 the outer ring, 1 and up the holes."""
    corner: int
    """Position in the ring, without the closing point."""


class EdgeHit(NamedTuple):
    """Nearest place on an outline."""

    after: Vertex
    """The corner before it: a new corner goes behind this one."""
    x: float
    y: float
    distance: float
    """px from the asked point."""


# --- outlines from strokes -------------------------------------------------------------------------------------


def outline(points: ArrayLike) -> Polygon | MultiPolygon:
    """Area inside a drawn line, which is closed and may cross itself.

    What the line goes round counts as inside, twice round as much as once (not the even-odd rule, which would
    punch holes where a hand-drawn line overlaps itself). An annulus can still be drawn in one stroke.

    Args:
        points: (n, 2) px. Fewer than three, or all on one line, give an empty Polygon.
    """
    xy = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if len(xy) < 3 or not np.isfinite(xy).all():
        return Polygon()
    drawn = Polygon(xy)
    if drawn.is_valid:
        return drawn
    return polygonal(shapely.make_valid(drawn, method="structure", keep_collapsed=False))


def brush_stroke(points: ArrayLike, radius: float, tolerance: float = 0.0) -> Polygon | MultiPolygon:
    """Area that a round brush covers along a line.

    Args:
        points: (n, 2) px, n >= 1; one point gives a disc.
        radius: of the brush, px, > 0.
        tolerance: how far the outline may be off, px; fewer corners where larger.
    """
    xy = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    line = Point(xy[0]) if len(xy) == 1 or bool((xy == xy[0]).all()) else LineString(xy)
    area = line.buffer(radius, quad_segs=8)
    return polygonal(area.simplify(tolerance) if tolerance > 0 else area)


# --- set operations --------------------------------------------------------------------------------------------


def merge(geometries: Iterable[BaseGeometry]) -> Polygon | MultiPolygon:
    """Area in any of them."""
    return polygonal(shapely.union_all([polygonal(g) for g in geometries]))


def subtract(first: BaseGeometry, others: Iterable[BaseGeometry]) -> Polygon | MultiPolygon:
    """Area in ``first`` and in none of ``others``."""
    return polygonal(polygonal(first).difference(merge(others)))


def clip(geometry: BaseGeometry, width: float, height: float) -> BaseGeometry:
    """The part on a slide of ``width`` x ``height`` px; areas stay areas, a point moves to the nearest edge."""
    if isinstance(geometry, Point):
        return Point(min(max(geometry.x, 0.0), width), min(max(geometry.y, 0.0), height))
    x0, y0, x1, y1 = geometry.bounds if not geometry.is_empty else (0.0, 0.0, 0.0, 0.0)
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return geometry
    return polygonal(polygonal(geometry).intersection(shapely.box(0, 0, width, height)))


def drop_slivers(geometry: BaseGeometry, min_area: float, near: BaseGeometry | None = None) -> Polygon | MultiPolygon:
    """Without parts and holes smaller than ``min_area`` px2.

    Args:
        geometry: an area.
        min_area: px2.
        near: only crumbs that touch this shape go, such as the stroke that may have made them; small things
            drawn on purpose elsewhere stay.
    """

    def crumb(polygon: Polygon) -> bool:
        reach = 1e-3 * math.sqrt(min_area)
        return bool(polygon.area < min_area and (near is None or polygon.distance(near) <= reach))

    kept = []
    for part in shapely.get_parts(polygonal(geometry)):
        if crumb(Polygon(part.exterior)):
            continue
        holes = [ring for ring in part.interiors if not crumb(Polygon(ring))]
        kept.append(Polygon(part.exterior, holes) if len(holes) < len(part.interiors) else part)
    return Polygon() if not kept else polygonal(MultiPolygon(kept) if len(kept) > 1 else kept[0])


def without_holes(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """With all holes filled."""
    return merge(Polygon(part.exterior) for part in shapely.get_parts(polygonal(geometry)))


# --- whole outlines --------------------------------------------------------------------------------------------


def move(geometry: BaseGeometry, dx: float, dy: float) -> BaseGeometry:
    """Shifted by (dx, dy) px; works for points too."""
    return translate(geometry, dx, dy)


def simplify(geometry: BaseGeometry, tolerance: float) -> Polygon | MultiPolygon:
    """With fewer corners, by Douglas-Peucker with the topology kept.

    The outline moves by ``tolerance`` px or less, and by less than twice that near the first corner of a ring, which
    GEOS judges last, against edges that are simplified already.
    """
    return polygonal(shapely.simplify(polygonal(geometry), tolerance, preserve_topology=True))


def smooth(geometry: BaseGeometry, radius: float | None = None) -> Polygon | MultiPolygon:
    """With rounded corners and the jitter of the hand gone; the area stays within 2 %.

    Each ring is sampled evenly and filtered with a Gaussian applied twice as 2G - GG, which, unlike one pass,
    does not shrink gentle curves; what is left of the change in area is taken out by scaling the ring.

    Args:
        geometry: an area, px.
        radius: sigma of the filter along the outline, px; features smaller than it go. The default is a
            twentieth of the square root of the area.
    """
    area = polygonal(geometry)
    if area.is_empty:
        return area
    sigma = math.sqrt(area.area) / 20 if radius is None else radius
    for _ in range(8):
        rings = [
            Polygon(
                _smooth_ring(part.exterior, sigma),
                [_smooth_ring(hole, sigma) for hole in part.interiors],
            )
            for part in shapely.get_parts(area)
        ]
        done = merge(outline_repaired(p) for p in rings)
        if abs(done.area - area.area) <= 0.02 * area.area:
            return done
        # Thin parts or holes ran into each other: a gentler filter keeps them.
        sigma /= 2
    return area


def outline_repaired(polygon: Polygon) -> Polygon | MultiPolygon:
    """A polygon whose rings may cross, made valid; holes stay holes."""
    if polygon.is_valid:
        return polygon
    return polygonal(shapely.make_valid(polygon, method="structure", keep_collapsed=False))


def _smooth_ring(ring: LinearRing, sigma: float) -> Coordinates:
    length = ring.length
    count = int(min(max(math.ceil(length / (sigma / 3)), 24), 20_000))
    step = length / count
    sampled = shapely.get_coordinates(shapely.line_interpolate_point(ring, np.arange(count) * step))
    z = sampled[:, 0] + 1j * sampled[:, 1]
    frequency = np.fft.fftfreq(count, d=step)
    gauss = np.exp(-2 * (np.pi * frequency * sigma) ** 2)
    smoothed = np.fft.ifft(np.fft.fft(z) * (2 * gauss - gauss**2))
    new = Polygon(np.column_stack([smoothed.real, smoothed.imag]))
    before, after = Polygon(ring).area, new.area
    if after > 0:
        factor = math.sqrt(before / after)
        new = scale(new, factor, factor, origin="centroid")
    return np.asarray(shapely.get_coordinates(shapely.simplify(new, step / 10))[:-1], dtype=np.float64)


# --- corners ---------------------------------------------------------------------------------------------------


def rings(geometry: BaseGeometry) -> list[tuple[int, int, Coordinates]]:
    """All rings of an area as (part, ring, (n, 2) px without the closing point); nothing for points and lines."""
    found = []
    for p, part in enumerate(shapely.get_parts(geometry)):
        if isinstance(part, Polygon) and not part.is_empty:
            for r, ring in enumerate([part.exterior, *part.interiors]):
                found.append((p, r, shapely.get_coordinates(ring)[:-1]))
    return found


def move_vertex(geometry: BaseGeometry, vertex: Vertex, x: float, y: float) -> Polygon | MultiPolygon:
    """With one corner at (x, y); an outline that then crosses itself is repaired.

    Raises:
        IndexError: there is no such corner.
    """

    def change(xy: Coordinates) -> Coordinates:
        new = xy.copy()
        new[vertex.corner] = (x, y)
        return new

    return _with_ring(geometry, vertex, change)


def insert_vertex(geometry: BaseGeometry, after: Vertex, x: float, y: float) -> Polygon | MultiPolygon:
    """With a new corner at (x, y) behind the corner ``after``.

    Raises:
        IndexError: there is no such corner.
    """
    return _with_ring(geometry, after, lambda xy: np.insert(xy, after.corner + 1, (x, y), axis=0))


def remove_vertex(geometry: BaseGeometry, vertex: Vertex) -> Polygon | MultiPolygon:
    """Without one corner. A triangle that loses one goes altogether: a hole is filled, a part is dropped.

    Removing from the only triangle there is gives an empty Polygon.

    Raises:
        IndexError: there is no such corner.
    """
    return _with_ring(geometry, vertex, lambda xy: np.delete(xy, vertex.corner, axis=0))


def nearest_vertex(geometry: BaseGeometry, x: float, y: float) -> tuple[Vertex, float] | None:
    """The corner nearest to a point and its distance in px; None where the geometry has no corners."""
    best: tuple[Vertex, float] | None = None
    for part, ring, xy in rings(geometry):
        distances = np.hypot(xy[:, 0] - x, xy[:, 1] - y)
        i = int(distances.argmin())
        if best is None or distances[i] < best[1]:
            best = (Vertex(part, ring, i), float(distances[i]))
    return best


def nearest_edge(geometry: BaseGeometry, x: float, y: float) -> EdgeHit | None:
    """The place on the outline nearest to a point; None where the geometry has no outline."""
    best: EdgeHit | None = None
    at = np.array([x, y])
    for part, ring, xy in rings(geometry):
        along = np.roll(xy, -1, axis=0) - xy
        squared = (along**2).sum(axis=1)
        share = ((at - xy) * along).sum(axis=1) / np.where(squared > 0, squared, 1.0)
        foot = xy + along * np.clip(share, 0.0, 1.0)[:, None]
        distances = np.hypot(*(foot - at).T)
        i = int(distances.argmin())
        if best is None or distances[i] < best.distance:
            best = EdgeHit(Vertex(part, ring, i), float(foot[i, 0]), float(foot[i, 1]), float(distances[i]))
    return best


def _with_ring(geometry: BaseGeometry, vertex: Vertex, change: Any) -> Polygon | MultiPolygon:
    parts: Sequence[Any] = list(shapely.get_parts(geometry))
    part = parts[vertex.part]
    holes = [shapely.get_coordinates(r)[:-1] for r in part.interiors]
    outer = shapely.get_coordinates(part.exterior)[:-1]
    old = outer if vertex.ring == 0 else holes[vertex.ring - 1]
    if not 0 <= vertex.corner < len(old):
        raise IndexError(f"Corner {vertex.corner} of {len(old)}.")
    new = change(old)
    if vertex.ring == 0:
        outer = new
    else:
        holes[vertex.ring - 1] = new
    kept = [hole for hole in holes if len(hole) >= 3]
    changed = [] if len(outer) < 3 else list(shapely.get_parts(outline_repaired(Polygon(outer, kept))))
    others = [*parts[: vertex.part], *changed, *parts[vertex.part + 1 :]]
    if not others:
        return Polygon()
    # A single valid polygon keeps its order of corners, so that a drag can go on with the same corner.
    whole = others[0] if len(others) == 1 else MultiPolygon(others)
    return whole if whole.is_valid else merge(others)
