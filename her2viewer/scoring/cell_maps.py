"""Where cells of one kind are dense, and where the tumour is mixed: heatmaps worked out of a table of cells.

Both count in windows that slide over a finer grid. A window that lies in part outside the region counts for the part
that lies inside, and gives no value where that is less than half of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import CellTable, Grid, Heatmap
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.scoring.aggregate import grid_cover
from her2viewer.scoring.coverage import coverage

DENSITY_MM2 = 0.015
"""Area that densities are given for, as figure 4 of Vandenberghe 2017 has it: a square of 122 um."""
DENSITY_UNIT = "cells / 0.015 mm²"
WINDOW_UM = 250.0
"""Side of the windows of the heterogeneity: one field at 40x, so that a mixed place can be seen at one look, and wide
enough for the hundred tumour cells or more that four shares need."""
LEAST_CELLS = 50
"""Tumour cells that a window needs: of fewer the entropy comes out too low, of 50 by 0.03 (3 / 2n)."""
MIXED = float(np.log(4))
"""The highest entropy of four shares."""

_DENSITY_STEPS = 3
_WINDOW_STEPS = 5
"""Steps of the grid in one window; odd, so that a window has a square in its middle."""
_LEAST_COVER = 0.5
_LOOKUP = 512
"""Squares along the longer side of a region, in which cells are looked up together."""


def density_map(
    table: CellTable, classes: Sequence[int], region: Region, pixel_size: PixelSize, name: str = "density"
) -> Heatmap | None:
    """Cells of some classes per 0.015 mm2, in windows of that area.

    Args:
        table: n cells.
        classes: of the scheme of the table; their cells are counted together.
        region: cells outside it are not counted, and there is no value there.
        pixel_size: of the slide.
        name: of the map.

    Returns:
        The map in cells per 0.015 mm2, from 0 to its 99th percentile; None for an empty region.
    """
    side_um = np.sqrt(DENSITY_MM2) * 1000
    grid = _grid(region, float(side_um) / pixel_size.mpp / _DENSITY_STEPS)
    if grid is None:
        return None
    chosen = np.isin(table.classes, np.asarray(classes, dtype=np.uint8)) & inside(table, region)
    counts = _histogram(table.x[chosen], table.y[chosen], grid)
    part = _part(region, grid, _DENSITY_STEPS)
    known = part >= _LEAST_COVER
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(known, _windows(counts, _DENSITY_STEPS) / part, np.nan).astype(np.float32)
    found = values[known & (values > 0)]
    high = float(np.ceil(np.percentile(found, 99))) if len(found) else 1.0
    return Heatmap(name, grid, values, DENSITY_UNIT, 0.0, max(1.0, high), "percentile")


def heterogeneity_map(
    table: CellTable, region: Region, pixel_size: PixelSize, name: str = "heterogeneity", least: int = LEAST_CELLS
) -> Heatmap | None:
    """Shannon entropy (natural logarithm) of the four classes of tumour cells, in windows of 0.25 mm.

    Args:
        table: n cells.
        region: cells outside it are not counted, and there is no value there.
        pixel_size: of the slide.
        name: of the map.
        least: tumour cells that a window must hold to have a value.

    Returns:
        The map from 0 (one class) to ln 4 (four equal shares); None for an empty region.
    """
    grid = _grid(region, WINDOW_UM / pixel_size.mpp / _WINDOW_STEPS)
    if grid is None:
        return None
    her2 = np.asarray(table.scheme.her2)[table.classes]
    here = inside(table, region) & (her2 >= 0)
    x, y, her2 = table.x[here], table.y[here], her2[here]
    counts = np.stack([_windows(_histogram(x[her2 == c], y[her2 == c], grid), _WINDOW_STEPS) for c in range(4)])
    total = counts.sum(axis=0)
    known = (total >= max(1, least)) & (_part(region, grid, _WINDOW_STEPS) >= _LEAST_COVER)
    values = np.where(known, entropies(counts), np.nan).astype(np.float32)
    return Heatmap(name, grid, values, "", 0.0, MIXED)


def entropies(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shannon entropy (natural logarithm) along the first axis of amounts, (classes, ...); 0 where all are 0."""
    share = counts / np.maximum(counts.sum(axis=0), 1e-300)
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=0) + 0.0, dtype=np.float64)


def inside(table: CellTable, region: Region) -> NDArray[np.bool_]:
    """Which cells have their centre in the region, (n,): exact, and fast for millions of them."""
    if region.empty or len(table) == 0:
        return np.zeros(len(table), dtype=bool)
    x0, y0, x1, y1 = region.bounds
    step = max(1.0, max(x1 - x0, y1 - y0) / _LOOKUP)
    # A square more on each side, so that no cell on the outline falls off the grid.
    grid = Grid(x0 - step, y0 - step, step, int((x1 - x0) // step) + 3, int((y1 - y0) // step) + 3)
    whole, crossed = grid_cover(region, grid)
    column, row, on_grid = _places(table.x, table.y, grid)
    place = np.where(on_grid, row * grid.columns + column, 0)
    unsure = np.flatnonzero(on_grid & crossed.ravel()[place])
    found = on_grid & whole.ravel()[place]
    found[unsure] = region.contains_points(table.x[unsure], table.y[unsure])
    return np.asarray(found, dtype=bool)


def _grid(region: Region, step: float) -> Grid | None:
    if region.empty:
        return None
    x0, y0, x1, y1 = region.bounds
    # On multiples of the step: the same place of the slide has the same windows, whatever the outline.
    left, top = np.floor(x0 / step), np.floor(y0 / step)
    columns, rows = int(np.floor(x1 / step) - left) + 1, int(np.floor(y1 / step) - top) + 1
    return Grid(float(left * step), float(top * step), step, columns, rows)


def _places(
    x: NDArray[np.float32], y: NDArray[np.float32], grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    column = np.floor((x.astype(np.float64) - grid.x) / grid.step).astype(np.int64)
    row = np.floor((y.astype(np.float64) - grid.y) / grid.step).astype(np.int64)
    return column, row, (column >= 0) & (row >= 0) & (column < grid.columns) & (row < grid.rows)


def _histogram(x: NDArray[np.float32], y: NDArray[np.float32], grid: Grid) -> NDArray[np.float64]:
    column, row, here = _places(x, y, grid)
    place = (row * grid.columns + column)[here]
    return np.bincount(place, minlength=grid.rows * grid.columns).reshape(grid.shape).astype(np.float64)


def _windows(values: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Sums over windows of ``steps`` x ``steps`` squares around each square; nothing lies beyond the grid."""
    import cv2

    summed = cv2.boxFilter(values, -1, (steps, steps), normalize=False, borderType=cv2.BORDER_CONSTANT)
    # Whole numbers, as counts are, come out of running sums whole; hairs below zero do not.
    return np.asarray(np.maximum(summed, 0.0), dtype=np.float64)


def _part(region: Region, grid: Grid, steps: int) -> NDArray[np.float64]:
    """Part 0 to 1 of the window around each square that lies in the region; 0 where the square lies outside."""
    own = coverage(region, grid)
    return np.where(own > 0, _windows(own, steps) / steps**2, 0.0)
