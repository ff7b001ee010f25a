"""Shares of a region from the evidence of a scorer: the core counts, so that an edited ROI costs no new scoring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.cell_bins import CellBins
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, Grid
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import RASTER_SHIFT, Region
from her2viewer.domain.shares import CountedUnit, Interval, Shares
from her2viewer.scoring.coverage import coverage
from her2viewer.scoring.intervals import BlockTable

Counts = Literal["cells", "surface", "nothing"]


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

    def __init__(self, table: CellTable, pixel_size: PixelSize | None = None, bins: CellBins | None = None) -> None:
        """Without a pixel size no blocks of tissue are known, and so no intervals; ``bins`` where they are known."""
        self._classes = len(table.scheme.names)
        self._names = table.scheme.names
        # One class more for cells that the reader has removed.
        self._her2 = np.asarray((*table.scheme.her2, -1))
        self.bins = CellBins(table.x, table.y) if bins is None else bins
        self._grid, self._starts = self.bins.grid, self.bins.starts
        self._class = np.minimum(table.classes, self._classes)[self.bins.order]
        wide = self._classes + 1
        self._histogram = np.bincount(
            self.bins.bins * wide + np.minimum(table.classes, self._classes), minlength=self.bins.count * wide
        ).reshape(self.bins.count, wide)

        self._blocks: BlockTable | None = None
        self._amounts = np.zeros((0, 4))
        """(bins, 4): cells by HER2 class."""
        self._mpp = None if pixel_size is None else pixel_size.mpp

    def recoded(self, cells: NDArray[np.int64], codes: NDArray[np.uint8]) -> CellCounter:
        """A counter of the same cells, some of them of other classes; costs little, however many cells there are.

        Args:
            cells: (k,) index into the table, each once.
            codes: (k,) class of each from now on; ``NO_CELL`` for one that is removed.
        """
        other = CellCounter.__new__(CellCounter)
        other.__dict__.update(self.__dict__)
        places = self.bins.places[cells]
        new = np.minimum(codes, self._classes)
        other._class, other._histogram = self._class.copy(), self._histogram.copy()
        bins = self.bins.bins[cells]
        np.subtract.at(other._histogram, (bins, self._class[places]), 1)
        np.add.at(other._histogram, (bins, new), 1)
        other._class[places] = new
        other._amounts = other._by_grade()
        return other

    def counts(self, region: Region) -> NDArray[np.int64]:
        """Cells by class of the scheme with their centre in the region, (classes,)."""
        return self._count(*self._inside(region))

    def shares(self, region: Region, interval: bool = False) -> Shares:
        """Shares of the tumour cells in the region; cells of classes that do not count are ``excluded``."""
        bins, cells = self._inside(region)
        counts = self._count(bins, cells)
        her2 = self._her2[: self._classes]
        amounts = [float(counts[her2 == c].sum()) for c in range(4)]
        return Shares(
            (amounts[0], amounts[1], amounts[2], amounts[3]),
            CountedUnit.CELLS,
            excluded=float(counts[her2 < 0].sum()),
            interval=self._interval(bins, cells) if interval else None,
            left_out=tuple((name, float(counts[k])) for k, name in enumerate(self._names) if self._her2[k] < 0),
        )

    def _inside(self, region: Region) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the bins that lie inside, and of the single cells inside in bins that the outline crosses."""
        inside, crossed = grid_cover(region, self._grid)
        bins = np.flatnonzero(crossed.ravel())
        cells = np.zeros(0, dtype=np.int64)
        lengths = self._starts[bins + 1] - self._starts[bins]
        if lengths.sum():
            ends = np.cumsum(lengths)
            cells = np.arange(ends[-1]) + np.repeat(self._starts[bins] - (ends - lengths), lengths)
            cells = cells[region.contains_points(self.bins.x[cells], self.bins.y[cells])]
        return np.flatnonzero((inside & ~crossed).ravel()), cells

    def _count(self, bins: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
        total = self._histogram[bins].sum(axis=0)
        if len(cells):
            total = total + np.bincount(self._class[cells], minlength=self._classes + 1)
        return np.asarray(total[: self._classes], dtype=np.int64)

    def _interval(self, bins: NDArray[np.int64], cells: NDArray[np.int64]) -> Interval | None:
        if self._mpp is None:
            return None
        if self._blocks is None:
            gx, gy = self._grid.centres()
            self._blocks = BlockTable(gx.ravel(), gy.ravel(), self._mpp)
            self._amounts = self._by_grade()
        sums = self._blocks.sums_by_class(bins, self._amounts[bins])
        # A cell lies in the block of its bin, which is much smaller.
        of_cell = np.searchsorted(self._starts, cells, side="right") - 1
        her2 = self._her2[self._class[cells]]
        counted = her2 >= 0
        sums += self._blocks.sums(of_cell[counted], her2[counted], np.ones(int(counted.sum())))
        return self._blocks.interval(sums)

    def _by_grade(self) -> NDArray[np.float64]:
        by_class = [self._histogram[:, self._her2 == c].sum(axis=1) for c in range(4)]
        return np.stack(by_class, axis=1).astype(np.float64)


class SurfaceCounter:
    """Adds up the tumour surface of a class map by class inside a region, again and again while either is edited."""

    def __init__(self, class_map: ClassMap, pixel_size: PixelSize) -> None:
        self._map = class_map
        self._patch_mm2 = pixel_size.mm2(class_map.grid.step**2)
        self._cover: tuple[Region, NDArray[np.float64]] | None = None
        gx, gy = class_map.grid.centres()
        self._blocks = BlockTable(gx.ravel(), gy.ravel(), pixel_size.mpp)

    def of(self, class_map: ClassMap) -> SurfaceCounter:
        """A counter of other weights on the same grid; what is known of the region is kept.

        Raises:
            ValueError: the grid is another one.
        """
        if class_map.grid != self._map.grid:
            raise ValueError("Weights of another grid need a counter of their own.")
        other = SurfaceCounter.__new__(SurfaceCounter)
        other._map, other._patch_mm2 = class_map, self._patch_mm2
        other._cover, other._blocks = self._cover, self._blocks
        return other

    def cover(self, region: Region) -> NDArray[np.float64]:
        """(rows, columns): the part 0 to 1 of each patch that lies inside the region."""
        if self._cover is not None and self._cover[0] is region:
            return self._cover[1]
        cover = coverage(region, self._map.grid)
        self._cover = (region, cover)
        return cover

    def shares(self, region: Region, interval: bool = False) -> Shares:
        """Shares of the tumour surface in mm2; patches on the outline count with the part that lies inside."""
        surface = (self._map.weight * self.cover(region) * self._patch_mm2).ravel()
        # Only what lies inside: a region may be a small part of the map.
        places = np.flatnonzero(surface > 0)
        surface = surface[places]
        shown = self._map.shown.ravel()[places]
        her2 = np.asarray((*self._map.scheme.her2, *[-1] * (256 - len(self._map.scheme.her2))))
        code = her2[self._map.classes.ravel()[places]]
        counted = shown & (code >= 0)
        places, her2_of, amounts = places[counted], code[counted], surface[counted]
        sums = np.bincount(her2_of, amounts, minlength=4)
        return Shares(
            (float(sums[0]), float(sums[1]), float(sums[2]), float(sums[3])),
            CountedUnit.SURFACE,
            excluded=float(surface[shown & (code < 0)].sum()),
            unclassified=float(surface[~shown].sum()),
            interval=self._blocks.interval(self._blocks.sums(places, her2_of, amounts)) if interval else None,
        )


@dataclass
class ShareCounter:
    """Shares from all the evidence of a result; build once, ask for each edit of the region."""

    counter: CellCounter | SurfaceCounter | None

    @classmethod
    def of(cls, evidence: Iterable[Evidence], counts: Counts, pixel_size: PixelSize) -> ShareCounter:
        """For a scorer that counts ``counts``; a counter of nothing where there is no such evidence."""
        for item in evidence:
            if counts == "cells" and isinstance(item, CellTable):
                return cls(CellCounter(item, pixel_size))
            if counts == "surface" and isinstance(item, ClassMap) and item.scheme.counted:
                return cls(SurfaceCounter(item, pixel_size))
        return cls(None)

    def shares(self, region: Region, interval: bool = True) -> Shares | None:
        """Shares in the region, or None for a scorer that gives none.

        Args:
            region: of the reader.
            interval: with the interval of each share, where there is enough tissue for one.
        """
        return None if self.counter is None else self.counter.shares(region, interval)


def shares_of(evidence: Iterable[Evidence], region: Region, counts: Counts, pixel_size: PixelSize) -> Shares | None:
    """Shares of one region, once. For repeated questions keep a ``ShareCounter``."""
    return ShareCounter.of(evidence, counts, pixel_size).shares(region)
