"""Shares of a region from the evidence of a scorer: the core counts, so that an edited ROI costs no new scoring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, Grid
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import RASTER_SHIFT, Region
from her2viewer.domain.shares import CountedUnit, Shares

Counts = Literal["cells", "surface", "nothing"]

_CELLS_PER_BIN = 8


def grid_cover(region: Region, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells of a grid the region covers, and which ones its outline may cross.

    Returns two bool arrays (rows, columns): ``inside`` holds where ``crossed`` does not; a crossed cell must be
    looked at exactly. Rasterised, so the cost follows the grid, not the number of cells times vertices.
    """
    import cv2

    inside = np.zeros(grid.shape, dtype=np.uint8)
    crossed = np.zeros(grid.shape, dtype=np.uint8)
    for rings in region.rings_on(grid.x, grid.y, grid.step, grid.columns, grid.rows):
        cv2.fillPoly(inside, rings, 1, lineType=cv2.LINE_8, shift=RASTER_SHIFT)
        # Three cells wide: a cell that the outline touches is never missed by the rounding of the line.
        cv2.polylines(crossed, rings, True, 1, thickness=3, lineType=cv2.LINE_8, shift=RASTER_SHIFT)
    return inside.astype(bool), crossed.astype(bool)


class CellCounter:
    """Counts the cells of a table by class inside a region, again and again while the region is edited.

    Cells are sorted into square bins once; a region then takes whole bins, and looks at single cells only in the
    bins that its outline crosses.
    """

    def __init__(self, table: CellTable) -> None:
        self._classes = len(table.scheme.names)
        self._her2 = np.asarray(table.scheme.her2)
        n = len(table)
        if n == 0:
            self._grid = Grid(0, 0, 1, 1, 1)
            order = np.zeros(0, dtype=np.int64)
            bins = order
        else:
            x0, y0 = float(table.x.min()), float(table.y.min())
            width, height = float(table.x.max()) - x0 + 1, float(table.y.max()) - y0 + 1
            step = max(1.0, float(np.sqrt(width * height * _CELLS_PER_BIN / n)))
            # A few far cells must not make millions of empty bins.
            step = max(step, width / 2048, height / 2048)
            self._grid = Grid(x0, y0, step, int(width // step) + 1, int(height // step) + 1)
            column = ((table.x - x0) / step).astype(np.int64)
            row = ((table.y - y0) / step).astype(np.int64)
            bins = row * self._grid.columns + column
            order = np.argsort(bins, kind="stable")
        self._x = table.x[order]
        self._y = table.y[order]
        self._class = table.classes[order]
        count = self._grid.rows * self._grid.columns
        self._starts = np.searchsorted(bins[order], np.arange(count + 1))
        self._histogram = np.bincount(bins * self._classes + table.classes, minlength=count * self._classes).reshape(
            count, self._classes
        )

    def counts(self, region: Region) -> NDArray[np.int64]:
        """Cells by class of the scheme with their centre in the region, (classes,)."""
        inside, crossed = grid_cover(region, self._grid)
        total = self._histogram[(inside & ~crossed).ravel()].sum(axis=0)
        bins = np.flatnonzero(crossed.ravel())
        lengths = self._starts[bins + 1] - self._starts[bins]
        if lengths.sum():
            ends = np.cumsum(lengths)
            picked = np.arange(ends[-1]) + np.repeat(self._starts[bins] - (ends - lengths), lengths)
            hit = region.contains_points(self._x[picked], self._y[picked])
            total = total + np.bincount(self._class[picked][hit], minlength=self._classes)
        return np.asarray(total, dtype=np.int64)

    def shares(self, region: Region) -> Shares:
        """Shares of the tumour cells in the region; cells of classes that do not count are ``excluded``."""
        counts = self.counts(region)
        amounts = [float(counts[self._her2 == c].sum()) for c in range(4)]
        return Shares(
            (amounts[0], amounts[1], amounts[2], amounts[3]),
            CountedUnit.CELLS,
            excluded=float(counts[self._her2 < 0].sum()),
        )


class SurfaceCounter:
    """Adds up the tumour surface of a class map by class inside a region."""

    def __init__(self, class_map: ClassMap, pixel_size: PixelSize) -> None:
        self._map = class_map
        self._patch_mm2 = pixel_size.mm2(class_map.grid.step**2)

    def shares(self, region: Region) -> Shares:
        """Shares of the tumour surface in mm2; patches on the outline count with the part that lies inside."""
        grid = self._map.grid
        inside, crossed = grid_cover(region, grid)
        cover = (inside & ~crossed).astype(np.float64)
        scored = self._map.shown
        rows, columns = np.nonzero(crossed & scored)
        if len(rows):
            x, y = grid.x + columns * grid.step, grid.y + rows * grid.step
            patches = shapely.box(x, y, x + grid.step, y + grid.step)
            shapely.prepare(region.geometry)
            cover[rows, columns] = shapely.area(shapely.intersection(patches, region.geometry)) / grid.step**2
        weight = np.where(scored, self._map.weight.astype(np.float64), 0.0) * cover
        her2 = np.asarray((*self._map.scheme.her2, *[-1] * (256 - len(self._map.scheme.her2))))
        code = her2[self._map.classes]
        amounts = [float(weight[code == c].sum()) * self._patch_mm2 for c in range(4)]
        excluded = float(weight[(code < 0) & scored].sum()) * self._patch_mm2
        return Shares((amounts[0], amounts[1], amounts[2], amounts[3]), CountedUnit.SURFACE, excluded=excluded)


@dataclass
class ShareCounter:
    """Shares from all the evidence of a result; build once, ask for each edit of the region."""

    counter: CellCounter | SurfaceCounter | None

    @classmethod
    def of(cls, evidence: Iterable[Evidence], counts: Counts, pixel_size: PixelSize) -> ShareCounter:
        """For a scorer that counts ``counts``; a counter of nothing where there is no such evidence."""
        for item in evidence:
            if counts == "cells" and isinstance(item, CellTable):
                return cls(CellCounter(item))
            if counts == "surface" and isinstance(item, ClassMap) and item.scheme.counted:
                return cls(SurfaceCounter(item, pixel_size))
        return cls(None)

    def shares(self, region: Region) -> Shares | None:
        """Shares in the region, or None for a scorer that gives none."""
        return None if self.counter is None else self.counter.shares(region)


def shares_of(evidence: Iterable[Evidence], region: Region, counts: Counts, pixel_size: PixelSize) -> Shares | None:
    """Shares of one region, once. For repeated questions keep a ``ShareCounter``."""
    return ShareCounter.of(evidence, counts, pixel_size).shares(region)
