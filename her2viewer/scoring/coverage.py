"""How much of each cell of a grid a region covers: exactly, and at a cost that follows the length of its outline."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.domain.evidence import Grid
from her2viewer.domain.region import Region

ROUNDING = 1e-9
"""Shares of a cell; less is what sums of floats leave over."""


def coverage(region: Region, grid: Grid) -> NDArray[np.float64]:
    """The part 0 to 1 of each cell that lies inside the region, (rows, columns) float64.

    Each ring is cut where it crosses a line of the grid. A piece then lies in one cell: it covers what lies to the
    right of it there, and all cells to the right in the same row, with the sign of its direction. Sums along the rows
    give the area, as renderers of fonts have it.
    """
    start, way, sign = _edges(region, grid)
    end = start + way
    # What lies above, below or to the right covers nothing here.
    near = np.maximum(start[:, 1], end[:, 1]) > 0
    near &= np.minimum(start[:, 1], end[:, 1]) < grid.rows
    near &= np.minimum(start[:, 0], end[:, 0]) < grid.columns
    start, way, sign = start[near], way[near], sign[near]
    whole: NDArray[np.float64] = np.zeros(grid.rows * grid.columns)
    rest: NDArray[np.float64] = whole
    if len(start):
        first, last, edge = _cut(start, way)
        middle = (first + last) / 2
        height = sign[edge] * (last[:, 1] - first[:, 1])
        column, row = np.floor(middle).astype(np.int64).T
        here = (row >= 0) & (row < grid.rows) & (column < grid.columns) & (height != 0)
        column, row, height, x = column[here], row[here], height[here], middle[here, 0]
        # A piece to the left of the grid covers whole rows.
        right = np.where(column < 0, 1.0, column + 1 - x)
        place = row * grid.columns + np.maximum(column, 0)
        count = len(whole)
        whole = np.asarray(np.bincount(place, height, minlength=count), dtype=np.float64)
        rest = np.asarray(np.bincount(place, height * right, minlength=count), dtype=np.float64)
    table = whole.reshape(grid.rows, grid.columns)
    cover: NDArray[np.float64] = np.cumsum(table, axis=1) - table + rest.reshape(table.shape)
    cover[cover < ROUNDING] = 0
    cover[cover > 1 - ROUNDING] = 1
    return cover


def _edges(region: Region, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of all rings where each edge begins and its way, (n, 2) in cells of the grid, and its sign, (n,).

    With the sign outer rings go round one way and holes the other, however they were drawn.
    """
    rings, polygon = shapely.get_rings(shapely.get_parts(region.geometry), return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    points = (points - (grid.x, grid.y)) / grid.step
    same = ring[1:] == ring[:-1]
    start, way, ring = points[:-1][same], np.diff(points, axis=0)[same], ring[:-1][same]
    # Positive height has the inside to its right where a ring goes round against the clock, y upwards.
    turn = start[:, 0] * way[:, 1] - start[:, 1] * way[:, 0]
    doubled = np.bincount(ring, turn, minlength=len(rings))
    outer = np.diff(polygon, prepend=-1) != 0
    sign = np.where(outer, -1.0, 1.0) * np.sign(doubled)
    return start, way, sign[ring]


def _cut(
    start: NDArray[np.float64], way: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Edges cut at whole numbers of x and y: where each piece begins and ends, (n, 2), and its edge, (n,)."""
    numbers, shares = [np.arange(len(start))] * 2, [np.zeros(len(start)), np.ones(len(start))]
    for axis in (0, 1):
        a, b = start[:, axis], start[:, axis] + way[:, axis]
        low, high = np.floor(np.minimum(a, b)).astype(np.int64) + 1, np.ceil(np.maximum(a, b)).astype(np.int64)
        count = np.maximum(high - low, 0)
        edge = np.repeat(np.arange(len(start)), count)
        line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
        numbers.append(edge)
        shares.append((line - a[edge]) / way[edge, axis])
    number, share = np.concatenate(numbers), np.clip(np.concatenate(shares), 0, 1)
    order = np.lexsort((share, number))
    number, share = number[order], share[order]
    at = start[number] + share[:, None] * way[number]
    piece = np.flatnonzero(number[1:] == number[:-1])
    return at[piece], at[piece + 1], number[piece]
