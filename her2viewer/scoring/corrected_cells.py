"""A scorer's cells under the reader's corrections, followed edit by edit: only what an edit touches costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from her2viewer.domain.cell_bins import CellBins
from her2viewer.domain.cell_corrections import (
    NO_CELL,
    NO_CELL_CORRECTIONS,
    CellChange,
    CellCorrections,
    Fit,
    SaidClass,
    recoded,
)
from her2viewer.domain.evidence import NOT_SCORED, CellTable, Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region

REACH_UM = 3.0
"""A cell that another run finds within this distance is the one that was meant; evaluation pairs cells as far."""
_NOTHING: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


class CorrectedCells:
    """One table as the scorer gave it, and what the reader made of it."""

    def __init__(self, found: CellTable, pixel_size: PixelSize, bins: CellBins | None = None) -> None:
        """``bins`` of the table, where somebody has them."""
        self.found = found
        self.corrections = NO_CELL_CORRECTIONS
        self.codes: NDArray[np.uint8] = found.classes
        """(n,) class of each cell now, ``NO_CELL`` where removed. Each change makes a new array."""
        self._reach = REACH_UM / pixel_size.mpp
        self._bins = bins
        self._fit = Fit(_NOTHING, _NOTHING)
        self._table: CellTable | None = found

    @property
    def table(self) -> CellTable:
        """The corrected table; made when it is first asked for."""
        if self._table is None:
            self._table = recoded(self.found, self.codes, self._fit.cell)
        return self._table

    def nearest(self, x: float, y: float, reach: float, shown: NDArray[np.bool_]) -> int | None:
        """Index into ``found`` of the cell nearest to a place; None where none of a class to be shown is in reach.

        Args:
            x: level-0 px.
            y: level-0 px.
            reach: level-0 px.
            shown: bool (classes,).
        """
        every = np.zeros(NO_CELL + 1, dtype=bool)
        every[: len(shown)] = shown
        _, cells, distance = self.bins.near(np.array([x]), np.array([y]), reach)
        visible = every[self.codes[cells]]
        cells, distance = cells[visible], distance[visible]
        return int(cells[np.argmin(distance)]) if len(cells) else None

    def in_found(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into ``table`` as such into ``found``: removed cells are not in the table."""
        return indices if not len(self.removed) else np.flatnonzero(self.codes != NO_CELL)[indices]

    def in_table(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into ``found`` of cells that are not removed, as such into ``table``."""
        return cells - np.searchsorted(self.removed, cells)

    def is_table(self, table: CellTable | None) -> bool:
        """Whether that is ``table``, without making it."""
        return table is not None and table is self._table

    @property
    def bins(self) -> CellBins:
        """Of ``found``."""
        if self._bins is None:
            self._bins = CellBins(self.found.x, self.found.y)
        return self._bins

    def use(self, bins: CellBins) -> None:
        """Somebody has sorted the same table already."""
        if self._bins is None:
            self._bins = bins

    @property
    def removed(self) -> NDArray[np.int64]:
        """(k,) cells of ``found`` that the reader removed, sorted."""
        return np.sort(self.said[self.codes[self.said] == NO_CELL])

    @property
    def said(self) -> NDArray[np.int64]:
        """(k,) cells of ``found`` that the reader spoke of."""
        return self._fit.cell

    def set(self, corrections: CellCorrections) -> NDArray[np.int64]:
        """Exactly these corrections from now on; returns the cells of ``found`` of which other things are said."""
        if corrections is self.corrections or (corrections.empty and self.corrections.empty):
            self.corrections = corrections
            return _NOTHING
        before, said_before = self.codes, self._fit.cell
        fit = corrections.fit(self.bins, self._reach)
        codes = self.found.classes.copy()
        codes[fit.cell] = corrections.codes_in(self.found.scheme)[fit.correction]
        other = np.union1d(np.flatnonzero(codes != before), np.setxor1d(said_before, fit.cell))
        self.corrections, self._fit = corrections, fit
        if len(other):
            self.codes, self._table = codes, None
        return other

    def patch(self, cells: NDArray[np.int64]) -> CellTable:
        """Some cells of ``found`` as they are now, removed ones of class ``NO_CELL``: for whoever draws them."""
        keep = np.zeros(len(self.found), dtype=bool)
        keep[cells] = True
        of_scorer = np.full(len(self.found), NOT_SCORED, dtype=np.uint8)
        of_scorer[self._fit.cell] = self.found.classes[self._fit.cell]
        return replace(self.found, classes=self.codes, scorer_classes=of_scorer).selected(keep)

    def after(self, x: ArrayLike, y: ArrayLike, said: SaidClass | None) -> CellCorrections:
        """The corrections with one more word on the cells at these places of the table; None removes them."""
        return self.unsaid(x, y).after(x, y, said)

    def unsaid(self, x: ArrayLike, y: ArrayLike) -> CellCorrections:
        """The corrections without what was said of the cells at these places, also where it was said nearby."""
        x, y = np.atleast_1d(np.asarray(x, np.float32)), np.atleast_1d(np.asarray(y, np.float32))
        _, cells = self.bins.at(x, y)
        keep = np.ones(len(self.corrections), dtype=bool)
        keep[self._fit.correction[np.isin(self._fit.cell, cells)]] = False
        return self.corrections.chosen(keep)

    def change(self, region: Region) -> CellChange:
        """What the reader changed among the cells of a region, and what was said of cells that are not found."""
        if self.corrections.empty:
            return CellChange()
        cells = self._fit.cell
        cells = cells[region.contains_points(self.found.x[cells], self.found.y[cells])]
        now, before = self.codes[cells], self.found.classes[cells]
        removed = now == NO_CELL
        # A removed cell that is no longer found is as the reader wants it.
        open_ones = self.corrections.codes_in(self.found.scheme) != NO_CELL
        open_ones[self._fit.correction] = False
        lost = np.flatnonzero(open_ones)
        inside = region.contains_points(self.corrections.x[lost], self.corrections.y[lost])
        return CellChange(
            reclassified=int((~removed & (now != before)).sum()),
            removed=int(removed.sum()),
            confirmed=int((now == before).sum()),
            unfit=int(inside.sum()),
        )


def corrected_cells(
    evidence: Iterable[Evidence], corrections: CellCorrections, pixel_size: PixelSize
) -> tuple[Evidence, ...]:
    """The same evidence with its cells as the reader corrected them; once, for reports and commands."""
    items = tuple(evidence)
    if corrections.empty:
        return items
    reach = REACH_UM / pixel_size.mpp
    return tuple(corrections.applied(e, reach) if isinstance(e, CellTable) else e for e in items)
