"""A table of cells under the reader's corrections, followed edit by edit: only what an edit touches costs."""

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
        self.box = (
            (float(found.x.min()), float(found.y.min()), float(found.x.max()), float(found.y.max()))
            if len(found)
            else None
        )
        """Around all centres, level-0 px: left, top, right, bottom."""
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

    @property
    def fitted(self) -> NDArray[np.int64]:
        """(k,) numbers of the corrections that found a cell here."""
        return self._fit.correction

    def exact(self, corrections: CellCorrections) -> NDArray[np.bool_]:
        """(n,) which corrections speak of exactly the place of a cell of ``found``."""
        exact = self._around(corrections.x, corrections.y, 0.0)
        if exact.any():
            near = np.flatnonzero(exact)
            asked, _ = self.bins.at(corrections.x[near], corrections.y[near])
            exact[:] = False
            exact[near[asked]] = True
        return exact

    def set(self, corrections: CellCorrections, placed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Exactly these corrections from now on; returns the cells of ``found`` of which other things are said.

        Args:
            corrections: of the reader.
            placed: (n,) those whose cell is known, see ``CellCorrections.fit``.
        """
        none_here = not len(self.said) and not self._around(corrections.x, corrections.y, self._reach).any()
        if corrections is self.corrections or none_here:
            self.corrections = corrections
            return _NOTHING
        before, said_before = self.codes, self._fit.cell
        fit = corrections.fit(self.bins, self._reach, placed)
        codes = self.found.classes.copy()
        codes[fit.cell] = corrections.codes_in(self.found.scheme)[fit.correction]
        other = np.union1d(np.flatnonzero(codes != before), np.setxor1d(said_before, fit.cell))
        self.corrections, self._fit = corrections, fit
        if len(other):
            self.codes, self._table = codes, None
        return other

    def _around(self, x: NDArray[np.floating], y: NDArray[np.floating], reach: float) -> NDArray[np.bool_]:
        """(k,) which places lie no farther than ``reach`` from the box around all cells, level-0 px."""
        if self.box is None:
            return np.zeros(len(x), dtype=bool)
        x0, y0, x1, y1 = self.box
        return (x >= x0 - reach) & (x <= x1 + reach) & (y >= y0 - reach) & (y <= y1 + reach)

    def patch(self, cells: NDArray[np.int64]) -> CellTable:
        """Some cells of ``found`` as they are now, removed ones of class ``NO_CELL``: for whoever draws them."""
        keep = np.zeros(len(self.found), dtype=bool)
        keep[cells] = True
        of_scorer = np.full(len(self.found), NOT_SCORED, dtype=np.uint8)
        of_scorer[self._fit.cell] = self.found.classes[self._fit.cell]
        return replace(self.found, classes=self.codes, scorer_classes=of_scorer).selected(keep)

    def spoken(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
        """(k,) numbers of the corrections that speak of the cells exactly at these places, level-0 px."""
        if not len(self.said):
            return _NOTHING
        x, y = np.atleast_1d(np.asarray(x, np.float32)), np.atleast_1d(np.asarray(y, np.float32))
        _, cells = self.bins.at(x, y)
        return self._fit.correction[np.isin(self._fit.cell, cells)]

    def change(self, region: Region) -> CellChange:
        """What the reader changed among the cells of a region."""
        cells = self._fit.cell
        cells = cells[region.contains_points(self.found.x[cells], self.found.y[cells])]
        now, before = self.codes[cells], self.found.classes[cells]
        removed = now == NO_CELL
        return CellChange(
            reclassified=int((~removed & (now != before)).sum()),
            removed=int(removed.sum()),
            confirmed=int((now == before).sum()),
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
