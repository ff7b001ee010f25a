"""The cells of one slide as the reader corrects them, also while a scorer is still finding more of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from her2viewer.domain.cell_bins import CellBins
from her2viewer.domain.cell_corrections import (
    NO_CELL,
    NO_CELL_CORRECTIONS,
    CellChange,
    CellCorrections,
    SaidClass,
    recoded,
)
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import CellTable, concatenated
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.scoring.corrected_cells import CorrectedCells

Changed = list[tuple[CorrectedCells, NDArray[np.int64]]]
"""Parts, and the cells of each of which other things are said."""


class CellParts:
    """One part for each table that came. Cells are numbered part after part, so a new part renumbers none."""

    def __init__(self, pixel_size: PixelSize, corrections: CellCorrections = NO_CELL_CORRECTIONS) -> None:
        self._pixel_size = pixel_size
        self.corrections = corrections
        self.parts: list[CorrectedCells] = []
        self._starts: list[int] = [0]
        self._boxes: NDArray[np.float64] = np.zeros((0, 4))
        """(parts, 4) around the cells of each; nowhere for a part without any."""
        self._placed: NDArray[np.bool_] = np.zeros(len(corrections), dtype=bool)
        """(corrections,) which of them lie exactly on a cell of some part."""
        self._table: CellTable | None = None
        self._of: list[NDArray[np.uint8]] = []
        """The codes that ``_table`` was made of, part by part."""

    def __len__(self) -> int:
        """Cells as the scorer gave them, removed ones too."""
        return self._starts[-1]

    def add(self, found: CellTable, bins: CellBins | None = None) -> CorrectedCells:
        """One more part, under the corrections. ``bins`` of its table, where somebody has them."""
        part = CorrectedCells(found, self._pixel_size, bins)
        if not self.corrections.empty:
            self._placed = self._placed | part.exact(self.corrections)
            part.set(self.corrections, self._placed)
        box = part.box or (np.inf, np.inf, -np.inf, -np.inf)
        self._boxes = np.concatenate([self._boxes, [box]])
        self.parts.append(part)
        self._starts.append(self._starts[-1] + len(found))
        return part

    def set(self, corrections: CellCorrections) -> Changed:
        """Exactly these corrections from now on; returns what is another for them."""
        self.corrections = corrections
        # A word on a cell of one part must not be taken for one on its neighbour beyond the border.
        placed = np.zeros(len(corrections), dtype=bool)
        for part in self.parts:
            placed |= part.exact(corrections)
        self._placed = placed
        return [(part, other) for part in self.parts if len(other := part.set(corrections, placed))]

    # -- cells by number ------------------------------------------------------------------------------------------

    @property
    def scheme(self) -> ClassScheme | None:
        """Of all parts; None where there are none, or where they differ: then no cell can be corrected."""
        first = self.parts[0].found.scheme if self.parts else None
        return first if all(part.found.scheme == first for part in self.parts) else None

    def centres(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x and y of cells by number, (k,) level-0 px each."""
        x, y = np.zeros(len(cells), np.float32), np.zeros(len(cells), np.float32)
        for start, end, part in zip(self._starts, self._starts[1:], self.parts, strict=False):
            here = (cells >= start) & (cells < end)
            if here.any():
                x[here], y[here] = part.found.x[cells[here] - start], part.found.y[cells[here] - start]
        return x, y

    def class_of(self, cell: int) -> int:
        """Class of a cell now, an index into ``scheme``; ``NO_CELL`` where it is removed."""
        at = int(np.searchsorted(self._starts, cell, side="right")) - 1
        return int(self.parts[at].codes[cell - self._starts[at]])

    def contour(self, cell: int) -> NDArray[np.float32]:
        """(m, 2) outline of a cell, level-0 px; empty where the scorer gave none."""
        at = int(np.searchsorted(self._starts, cell, side="right")) - 1
        return self.parts[at].found.contour(cell - self._starts[at])

    def nearest(self, x: float, y: float, reach: float, shown: NDArray[np.bool_]) -> int | None:
        """Number of the cell nearest to a place; see ``CorrectedCells.nearest``."""
        best, least = None, np.inf
        left, top, right, bottom = self._boxes.T
        near = (x >= left - reach) & (x <= right + reach) & (y >= top - reach) & (y <= bottom + reach)
        for k in np.flatnonzero(near).tolist():
            start, part = self._starts[k], self.parts[k]
            found = part.nearest(x, y, reach, shown)
            if found is not None:
                distance = float(np.hypot(part.found.x[found] - x, part.found.y[found] - y))
                if distance < least:
                    best, least = start + found, distance
        return best

    @property
    def removed(self) -> NDArray[np.int64]:
        """(k,) numbers of the cells that the reader removed, sorted."""
        gone = [start + part.removed for start, part in zip(self._starts, self.parts, strict=False)]
        return np.concatenate([np.zeros(0, np.int64), *gone])

    # -- the table ------------------------------------------------------------------------------------------------

    @property
    def table(self) -> CellTable | None:
        """All cells as corrected, made when it is asked for; None without any or where their schemes differ.

        While there are several parts outlines and probabilities are left out: they are most of what would be copied.
        """
        if self.scheme is None:
            return None
        if len(self.parts) == 1:
            self._table = self.parts[0].table
        elif self._table is None or not self._holds(len(self.parts)):
            self._table = concatenated([_bare(part.found, part.codes, part.said) for part in self.parts])
        self._of = [part.codes for part in self.parts]
        return self._table

    def joined(self) -> Callable[[], CellTable | None]:
        """Makes what ``table`` would be now; may be called in another thread while more parts come."""
        if self.scheme is None:
            return lambda: None
        parts = [(part.found, part.codes, part.said) for part in self.parts]
        return lambda: concatenated([_bare(*part) for part in parts])

    def is_table(self, table: CellTable | None) -> bool:
        """Whether numbers of that table's cells are still known: it is ``table``, or was before more parts came."""
        return table is not None and table is self._table and self._holds(len(self._of))

    def in_parts(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of cells by their indices into ``table``: removed cells have no place in the table."""
        removed = self.removed
        if not len(removed):
            return indices
        alive = np.ones(len(self), dtype=bool)
        alive[removed] = False
        return np.flatnonzero(alive)[indices]

    def in_table(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into ``table`` of cells by number that are not removed."""
        return cells - np.searchsorted(self.removed, cells)

    def _holds(self, parts: int) -> bool:
        known = zip(self._of, self.parts, strict=False)
        return len(self._of) == parts and all(codes is part.codes for codes, part in known)

    # -- the reader's word ----------------------------------------------------------------------------------------

    def after(self, x: ArrayLike, y: ArrayLike, said: SaidClass | None) -> CellCorrections:
        """The corrections with one more word on the cells at these places; None removes them."""
        return self.unsaid(x, y).after(x, y, said)

    def unsaid(self, x: ArrayLike, y: ArrayLike) -> CellCorrections:
        """The corrections without what was said of the cells at these places, also where it was said nearby."""
        keep = np.ones(len(self.corrections), dtype=bool)
        for part in self.parts:
            keep[part.spoken(x, y)] = False
        return self.corrections.chosen(keep)

    def change(self, region: Region, seen: Region | None = None) -> CellChange:
        """What the reader changed among the cells of a region, and what was said of cells that are not found.

        Args:
            region: of the reader.
            seen: what the scorer has looked at, None for all; of other places nothing can be known yet.
        """
        if self.corrections.empty or not self.parts:
            return CellChange()
        changes = [part.change(region) for part in self.parts if len(part.said)]
        open_ones = np.ones(len(self.corrections), dtype=bool)
        for part in self.parts:
            open_ones[part.fitted] = False
        # A removed cell that is no longer found is as the reader wants it.
        open_ones &= self.corrections.codes_in(self.parts[0].found.scheme) != NO_CELL
        x, y = self.corrections.x[open_ones], self.corrections.y[open_ones]
        lost = region.contains_points(x, y)
        if seen is not None and lost.any():
            lost &= seen.contains_points(x, y)
        return CellChange(
            reclassified=sum(c.reclassified for c in changes),
            removed=sum(c.removed for c in changes),
            confirmed=sum(c.confirmed for c in changes),
            unfit=int(lost.sum()),
        )


def _bare(found: CellTable, codes: NDArray[np.uint8], said: NDArray[np.int64]) -> CellTable:
    return recoded(replace(found, contours=None, contour_starts=None, probabilities=None), codes, said)
