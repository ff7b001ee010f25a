"""A region on a raster of squares over the slide, measured anew only where it was edited."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.domain.region import RASTER_SHIFT, Region

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in level-0 px."""


@dataclass(frozen=True)
class Raster:
    """Squares from the upper left corner of a slide on."""

    step: float
    """Side of a square, level-0 px."""
    rows: int
    columns: int


@dataclass(frozen=True, eq=False)
class RegionSquares:
    """The squares of a region: worked out once for a region, compared with what was seen after each look."""

    rows: slice
    columns: slice
    inside: NDArray[np.bool_]
    """(rows, columns) of the window."""

    @classmethod
    def of(cls, region: Region, on: Raster) -> RegionSquares | None:
        """The squares whose middle lies in a region; one of them at least. None for an empty region."""
        window = _window(region, on)
        return None if window is None else _measured(region, on, *window, None)

    def updated(self, before: Region, region: Region, on: Raster) -> RegionSquares | None:
        """The same as ``of`` for an edited region, measured only where it differs from the one ``before``.

        Args:
            before: the region that these squares are of.
            region: the region now.
            on: the raster that both lie on.
        """
        if self.inside.size == 1:
            # It may be the one square that a region has that holds the middle of none.
            return self.of(region, on)
        window = _window(region, on)
        return None if window is None else _measured(region, on, *window, (self, region.changed_from(before)))

    def unseen_in(self, seen: NDArray[np.bool_], step: float, boxes: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many squares of the region were not looked at, for each of many rectangles.

        Args:
            seen: which squares of the raster were, (rows, columns).
            step: of the raster, level-0 px.
            boxes: x0, y0, x1, y1 in level-0 px, (n, 4).
        """
        missing = self.inside & ~seen[self.rows, self.columns]
        sums = np.zeros((missing.shape[0] + 1, missing.shape[1] + 1), dtype=np.int64)
        sums[1:, 1:] = missing.cumsum(axis=0).cumsum(axis=1)
        # A square belongs to the rectangle that holds its middle.
        edges = np.ceil(boxes / step - 0.5).astype(np.int64)
        x0, x1 = (np.clip(edges[:, i] - self.columns.start, 0, missing.shape[1]) for i in (0, 2))
        y0, y1 = (np.clip(edges[:, i] - self.rows.start, 0, missing.shape[0]) for i in (1, 3))
        return np.asarray(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0])

    def share(self, seen: NDArray[np.bool_]) -> float:
        """How many of them were looked at, 0 to 1; ``seen`` is bool (rows, columns) of the raster."""
        return int((seen[self.rows, self.columns] & self.inside).sum()) / int(self.inside.sum())


def _window(region: Region, on: Raster) -> tuple[slice, slice] | None:
    """Rows and columns of the raster that a region may cover; None for an empty region."""
    if region.empty:
        return None
    return _squares_of(region.bounds, on)


def _squares_of(bounds: Bounds, on: Raster) -> tuple[slice, slice]:
    count_y, count_x = on.rows, on.columns
    x0, y0, x1, y1 = (v / on.step for v in bounds)
    rows = slice(_within(math.floor(y0), count_y - 1), _within(math.ceil(y1), count_y, 1))
    columns = slice(_within(math.floor(x0), count_x - 1), _within(math.ceil(x1), count_x, 1))
    return rows, columns


def _measured(
    region: Region,
    on: Raster,
    rows: slice,
    columns: slice,
    known: tuple[RegionSquares, Bounds | None] | None,
) -> RegionSquares:
    """The squares of a region; with ``known`` only those of the bounds that changed are looked at."""
    if known is None:
        inside = _raster(region, on, rows, columns)
    else:
        squares, changed = known
        inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        r0, r1 = max(rows.start, squares.rows.start), min(rows.stop, squares.rows.stop)
        c0, c1 = max(columns.start, squares.columns.start), min(columns.stop, squares.columns.stop)
        if r1 > r0 and c1 > c0:
            old = squares.inside[r0 - squares.rows.start : r1 - squares.rows.start]
            old = old[:, c0 - squares.columns.start : c1 - squares.columns.start]
            inside[r0 - rows.start : r1 - rows.start, c0 - columns.start : c1 - columns.start] = old
        if changed is not None:
            some_rows, some_columns = _squares_of(changed, on)
            some_rows = slice(max(some_rows.start, rows.start), min(some_rows.stop, rows.stop))
            some_columns = slice(max(some_columns.start, columns.start), min(some_columns.stop, columns.stop))
            if some_rows.stop > some_rows.start and some_columns.stop > some_columns.start:
                at = np.s_[
                    some_rows.start - rows.start : some_rows.stop - rows.start,
                    some_columns.start - columns.start : some_columns.stop - columns.start,
                ]
                inside[at] = _raster(region, on, some_rows, some_columns)
    if inside.any():
        return RegionSquares(rows, columns, inside)
    point = shapely.point_on_surface(region.geometry)
    row = _within(int(point.y / on.step), on.rows - 1)
    column = _within(int(point.x / on.step), on.columns - 1)
    return RegionSquares(slice(row, row + 1), slice(column, column + 1), np.ones((1, 1), dtype=bool))


def _raster(region: Region, on: Raster, rows: slice, columns: slice) -> NDArray[np.bool_]:
    """Which squares of a window have their middle in a region."""
    # Not with the window's first paint, which waits for every import of this module.
    import cv2

    shape = (rows.stop - rows.start, columns.stop - columns.start)
    filled = np.zeros(shape, dtype=np.uint8)
    crossed = np.zeros(shape, dtype=np.uint8)
    rings = region.all_rings_on(columns.start * on.step, rows.start * on.step, on.step, shape[1], shape[0])
    cv2.fillPoly(filled, rings, 1, lineType=cv2.LINE_8, shift=RASTER_SHIFT)
    # Three squares wide: none that the outline touches is missed by the rounding of the line.
    cv2.polylines(crossed, rings, True, 1, thickness=3, lineType=cv2.LINE_8, shift=RASTER_SHIFT)
    inside = filled.astype(bool)
    # OpenCV's raster is rough along the outline: there the middle of each square decides.
    y, x = np.nonzero(crossed)
    middle = ((columns.start + x + 0.5) * on.step, (rows.start + y + 0.5) * on.step)
    inside[y, x] = region.contains_points(*middle)
    return inside


def _within(value: int, most: int, least: int = 0) -> int:
    return min(max(value, least), most)
