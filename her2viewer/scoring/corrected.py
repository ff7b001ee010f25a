"""A scorer's tumour mask and class map under the reader's corrections: only what a stroke touches is counted anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.corrections import Bounds, Corrections, MaskChange
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Evidence, Grid, TissueMask
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region, polygonal
from her2viewer.scoring.aggregate import grid_cover

Window = tuple[slice, slice]
"""Rows and columns of an array."""


class CorrectedSurface:
    """The mask and the map as they are now. Each change makes new arrays: whoever holds the old ones keeps them."""

    def __init__(self, mask: TissueMask, class_map: ClassMap, corrections: Corrections | None = None) -> None:
        self._found_mask, self._found_map = mask, class_map
        self.mask, self.class_map = mask, class_map
        cells, patches = mask.grid, class_map.grid
        self._rows = _starts(cells.y, cells.rows, cells.step, patches.y, patches.rows, patches.step)
        self._columns = _starts(cells.x, cells.columns, cells.step, patches.x, patches.columns, patches.step)
        self._added = np.zeros(class_map.grid.shape, dtype=np.int32)
        self._removed = np.zeros(class_map.grid.shape, dtype=np.int32)
        if corrections is not None and not corrections.empty:
            self.set(corrections)

    def paint(self, area: BaseGeometry, tumour: bool) -> bool:
        """One more piece of a stroke, level-0 px; False where it changes nothing here."""
        window = self._window(area.bounds) if not area.is_empty else None
        if window is None:
            return False
        hit = covered_cells(area, _part(self.mask.grid, window))
        value = np.uint8(1 if tumour else 0)
        if not (hit & (self.mask.values[window] != value)).any():
            return False
        values = self.mask.values.copy()
        values[window][hit] = value
        self._take(values, window)
        return True

    def set(self, corrections: Corrections, within: Bounds | None = None) -> bool:
        """The mask under exactly these corrections; False where nothing is another than before.

        Args:
            corrections: all of them.
            within: only inside this box, level-0 px, can anything be another than before.
        """
        window = self._window(within if within is not None else self._reach(corrections))
        if window is None:
            return False
        grid = _part(self.mask.grid, window)
        part = self._found_mask.values[window].copy()
        for area, value in ((corrections.added, 1), (corrections.removed, 0)):
            if not area.is_empty:
                part[covered_cells(area, grid)] = value
        if np.array_equal(part, self.mask.values[window]):
            return False
        values = self.mask.values.copy()
        values[window] = part
        self._take(values, window)
        return True

    def change(self, cover: NDArray[np.float64], pixel_size: PixelSize) -> MaskChange:
        """How much was added and removed in the patches that a region reaches.

        Args:
            cover: (rows, columns) of the class map: the part of each patch inside the region.
            pixel_size: of the slide.
        """
        inside = cover > 0
        cell = pixel_size.mm2(self.mask.grid.step**2)
        return MaskChange(float(self._added[inside].sum()) * cell, float(self._removed[inside].sum()) * cell)

    def _take(self, values: NDArray[np.uint8], window: Window) -> None:
        self.mask = replace(self.mask, values=values)
        rows, columns = _touched(self._rows, window[0]), _touched(self._columns, window[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        patches = (rows, columns)
        starts = (self._rows[rows.start : rows.stop + 1], self._columns[columns.start : columns.stop + 1])
        cells = (slice(starts[0][0], starts[0][-1]), slice(starts[1][0], starts[1][-1]))
        now, found = values[cells], self._found_mask.values[cells]

        def count(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
            return _sums(flags, starts[0] - starts[0][0], starts[1] - starts[1][0])

        added, removed = count((now == 1) & (found != 1)), count((now != 1) & (found == 1))
        self._added[patches], self._removed[patches] = added, removed
        tumour, known = count(now == 1), count(now != NOT_SCORED)
        # A patch that nobody touched keeps the weight that the scorer gave it, which is finer than the mask.
        share = tumour / np.maximum(known, 1)
        weight = self.class_map.weight.copy()
        weight[patches] = np.where((added > 0) | (removed > 0), share, self._found_map.weight[patches])
        self.class_map = replace(self.class_map, weight=weight)

    def _reach(self, corrections: Corrections) -> Bounds:
        """A box around all that is corrected, or was before."""
        areas = [a for a in (corrections.added, corrections.removed) if not a.is_empty]
        rows, columns = np.nonzero((self._added > 0) | (self._removed > 0))
        if len(rows):
            grid = self.class_map.grid
            x0, y0 = grid.x + columns.min() * grid.step, grid.y + rows.min() * grid.step
            x1, y1 = grid.x + (columns.max() + 1) * grid.step, grid.y + (rows.max() + 1) * grid.step
            areas.append(shapely.box(x0, y0, x1, y1))
        if not areas:
            return (0.0, 0.0, -1.0, -1.0)
        x0, y0, x1, y1 = shapely.total_bounds(areas)
        return (float(x0), float(y0), float(x1), float(y1))

    def _window(self, bounds: Bounds) -> Window | None:
        grid = self.mask.grid
        if bounds[2] < bounds[0] or bounds[3] < bounds[1]:
            return None
        c0, r0 = int((bounds[0] - grid.x) // grid.step), int((bounds[1] - grid.y) // grid.step)
        c1, r1 = int((bounds[2] - grid.x) // grid.step) + 1, int((bounds[3] - grid.y) // grid.step) + 1
        c0, r0, c1, r1 = max(0, c0), max(0, r0), min(grid.columns, c1), min(grid.rows, r1)
        return (slice(r0, r1), slice(c0, c1)) if c0 < c1 and r0 < r1 else None


def surface_of(evidence: Iterable[Evidence], corrections: Corrections | None = None) -> CorrectedSurface | None:
    """The mask and the class map of a scorer that gives both; None for other evidence."""
    items = tuple(evidence)
    mask = next((e for e in items if isinstance(e, TissueMask)), None)
    found = next((e for e in items if isinstance(e, ClassMap) and e.scheme.counted), None)
    return None if mask is None or found is None else CorrectedSurface(mask, found, corrections)


def corrected(evidence: Iterable[Evidence], corrections: Corrections) -> tuple[Evidence, ...]:
    """The same evidence, its tumour mask and the weights of its class map as the reader corrected them."""
    items = tuple(evidence)
    surface = None if corrections.empty else surface_of(items, corrections)
    return items if surface is None else with_surface(items, surface)


def with_surface(evidence: Iterable[Evidence], surface: CorrectedSurface) -> tuple[Evidence, ...]:
    """The evidence with this mask and this class map in the places of its own."""
    return tuple(
        surface.mask
        if isinstance(e, TissueMask) and e.name == surface.mask.name
        else surface.class_map
        if isinstance(e, ClassMap) and e.name == surface.class_map.name
        else e
        for e in evidence
    )


def covered_cells(area: BaseGeometry, grid: Grid) -> NDArray[np.bool_]:
    """(rows, columns): the cells of a grid whose centre lies in an area, exactly."""
    region = Region(polygonal(area))
    inside, crossed = grid_cover(region, grid)
    rows, columns = np.nonzero(crossed)
    if len(rows):
        x, y = grid.x + (columns + 0.5) * grid.step, grid.y + (rows + 0.5) * grid.step
        shapely.prepare(region.geometry)
        inside[rows, columns] = shapely.contains_xy(region.geometry, x, y)
    return inside


def _part(grid: Grid, window: Window) -> Grid:
    r0, r1, _ = window[0].indices(grid.rows)
    c0, c1, _ = window[1].indices(grid.columns)
    return Grid(grid.x + c0 * grid.step, grid.y + r0 * grid.step, grid.step, c1 - c0, r1 - r0)


def _starts(  # noqa: PLR0917
    origin: float, count: int, step: float, patch_origin: float, patches: int, patch_step: float
) -> NDArray[np.int64]:
    """Where the mask cells of each row (or column) of patches begin, (patches + 1,)."""
    # A hair is added: centres never lie on an edge of a patch, rounding must not put them there.
    of_patch = np.floor((origin + (np.arange(count) + 0.5) * step - patch_origin) / patch_step + 1e-9)
    return np.searchsorted(of_patch, np.arange(patches + 1), side="left").astype(np.int64)


def _touched(starts: NDArray[np.int64], cells: slice) -> slice:
    """Patches that hold any of the mask cells."""
    first, last, _ = cells.indices(int(starts[-1]))
    low = int(np.searchsorted(starts, first, side="right")) - 1
    high = int(np.searchsorted(starts, last, side="left"))
    return slice(max(0, low), min(len(starts) - 1, high))


def _sums(flags: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sums of the rectangles between row and column starts, (len(rows) - 1, len(columns) - 1)."""
    import cv2

    table = cv2.integral(flags.astype(np.uint8))
    corners = table[np.ix_(rows, columns)]
    return np.asarray(np.diff(np.diff(corners, axis=0), axis=1), dtype=np.int32)
