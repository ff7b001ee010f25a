"""Shares of the region from evidence that still grows, fast enough to follow the pointer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.cell_bins import CellBins
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, CellChange, CellCorrections
from her2viewer.domain.corrections import NO_CORRECTIONS, Bounds, Corrections, MaskChange
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, TissueMask, concatenated
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares
from her2viewer.scoring.aggregate import CellCounter, Counts, ShareCounter, SurfaceCounter
from her2viewer.scoring.cell_parts import CellParts
from her2viewer.scoring.corrected import CorrectedSurface, surface_of
from her2viewer.scoring.corrected_cells import CorrectedCells

_JOIN_LIMIT = 200_000
"""Cells; above it tables are no longer joined on the way: a join would be felt."""


@dataclass
class _Part:
    counter: ShareCounter
    cells: CellTable | None = None
    """As the scorer gave them: what may still be joined with the next part."""
    size: int = 0
    surface: CorrectedSurface | None = None
    """Tumour mask and class map under the corrections of the reader."""
    found: tuple[TissueMask, ClassMap] | None = None
    """The two as the scorer gave them."""
    of: tuple[CorrectedCells, ...] = ()
    """The tables of cells that are counted here, one after another."""
    _counted: tuple[Region, ShareCounter, bool, Shares | None] | None = None
    _changed: tuple[Region, ShareCounter, MaskChange] | None = None

    def shares(self, region: Region, interval: bool) -> Shares | None:
        """Shares in the region. Known while neither is another one: a new part does not make all others count."""
        known = self._counted
        # Regions and counters do not change: other ones take their place.
        if known is None or known[0] is not region or known[1] is not self.counter or known[2] is not interval:
            known = (region, self.counter, interval, self.counter.shares(region, interval=interval))
            self._counted = known
        return known[3]

    def change(self, region: Region, pixel_size: PixelSize) -> MaskChange | None:
        """How much of the mask the reader changed in the region; None where there is none."""
        if self.surface is None or not isinstance(self.counter.counter, SurfaceCounter):
            return None
        known = self._changed
        # A mask that is corrected has another counter, see ``follow``.
        if known is None or known[0] is not region or known[1] is not self.counter:
            change = self.surface.change(self.counter.counter.cover(region), pixel_size)
            self._changed = known = (region, self.counter, change)
        return known[2]

    def follow(self) -> None:
        """Count the class map as it is now."""
        if self.surface is not None and isinstance(self.counter.counter, SurfaceCounter):
            self.counter = ShareCounter(self.counter.counter.of(self.surface.class_map))

    def recode(self, cells: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Count some cells, by their place among all of this part, as others."""
        if isinstance(self.counter.counter, CellCounter) and len(cells):
            self.counter = ShareCounter(self.counter.counter.recoded(cells, codes))

    @property
    def said(self) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]:
        """The cells that the reader spoke of, by their place among all of this part, as they are and as found."""
        starts = np.cumsum([0, *(len(one.found) for one in self.of)]).tolist()
        none = np.zeros(0, np.uint8)
        return (
            np.concatenate([np.zeros(0, np.int64), *(a + one.said for a, one in zip(starts, self.of, strict=False))]),
            np.concatenate([none, *(one.codes[one.said] for one in self.of)]),
            np.concatenate([none, *(one.found.classes[one.said] for one in self.of)]),
        )


class LiveShares:
    """Counters of parts, joined now and then, so that neither a new part nor an edit costs much."""

    def __init__(
        self,
        counts: Counts,
        pixel_size: PixelSize,
        corrections: Corrections = NO_CORRECTIONS,
        cell_corrections: CellCorrections = NO_CELL_CORRECTIONS,
    ) -> None:
        self._counts: Counts = counts
        self._pixel_size = pixel_size
        self._corrections, self._cell_corrections = corrections, cell_corrections
        self._parts: list[_Part] = []
        self._known: tuple[Region, list[ShareCounter], Shares | None] | None = None
        """Shares that were counted last: all parts of the window ask for those of one region."""
        self._tables: dict[int, CorrectedCells] = {}
        """By ``id`` of what the scorer gave: all tables of cells with what the reader made of them."""
        self._cell_parts = CellParts(pixel_size, cell_corrections)

    def add(self, evidence: Iterable[Evidence], counter: ShareCounter | None = None) -> None:
        """Take in the evidence of one more part, with the counter of its class map where somebody has made one."""
        items = tuple(evidence)
        if counter is not None and counter.counter is None:
            counter = None
        if self._counts == "surface" and self._add_surface(items, counter):
            return
        for item in items:
            if self._counts == "cells" and isinstance(item, CellTable):
                self._add_cells(self._hold(item))
            elif self._counts == "surface" and isinstance(item, ClassMap) and item.scheme.counted:
                self._parts.append(_Part(counter or self._counter(item)))

    def set_whole(self, counter: ShareCounter | None, evidence: Iterable[Evidence] = ()) -> None:
        """Replace all parts by the whole evidence.

        Args:
            counter: of it, made in another thread; None where it is to be made here.
            evidence: the whole; needed where it holds a tumour mask that the reader may correct.
        """
        items = tuple(evidence)
        self._parts = []
        bins = counter.counter.bins if counter is not None and isinstance(counter.counter, CellCounter) else None
        self.hold(items, bins)
        if self._counts == "surface" and self._add_surface(items, counter):
            return
        whole = counter if counter is not None else ShareCounter.of(items, self._counts, self._pixel_size)
        if whole.counter is not None:
            self._parts = [_Part(whole, size=1 << 62)]
            if isinstance(whole.counter, CellCounter) and self._tables:
                self._parts[0] = self._linked(whole.counter, next(iter(self._tables.values())))

    def hold(self, evidence: Iterable[Evidence], bins: CellBins | None = None) -> None:
        """Speak of these tables of cells from now on, not of those before; what was counted stays.

        Args:
            evidence: all of it.
            bins: of its first table, where somebody has them.
        """
        self._tables = {}
        self._cell_parts = CellParts(self._pixel_size, self._cell_corrections)
        for item in evidence:
            if isinstance(item, CellTable) and self._counts == "cells":
                self._hold(item, bins if not self._tables else None)

    def shares(self, region: Region) -> Shares | None:
        """Shares of what is known inside the region; None where nothing is counted. Intervals come with the whole."""
        counters = [part.counter for part in self._parts]
        known = self._known
        # Regions and counters do not change: other ones take their place.
        if known is None or known[0] is not region or not _same(known[1], counters):
            one = len(counters) == 1 and self._parts[0].cells is None
            shares = _added([part.shares(region, one) for part in self._parts])
            self._known = known = (region, counters, shares)
        return known[2]

    # -- corrections of the tumour mask ---------------------------------------------------------------------------

    @property
    def correctable(self) -> bool:
        """Whether there is a tumour mask."""
        return any(part.surface is not None for part in self._parts)

    @property
    def surface(self) -> tuple[Evidence, ...]:
        """All masks and class maps as they are now, part by part."""
        return tuple(e for p in self._parts if p.surface is not None for e in (p.surface.mask, p.surface.class_map))

    def paint(self, area: BaseGeometry, tumour: bool) -> bool:
        """A piece of a stroke that is still being drawn, level-0 px; False where it changes nothing."""
        return sum(self._painted(part, area, tumour) for part in self._parts) > 0

    def correct(self, corrections: Corrections, within: Bounds | None = None) -> bool:
        """Exactly these corrections from now on; ``within`` holds all that can differ. False where nothing does."""
        self._corrections = corrections
        changed = False
        for part in self._parts:
            if part.surface is not None and part.surface.set(corrections, within):
                part.follow()
                changed = True
        return changed

    def change(self, region: Region) -> MaskChange:
        """How much of the mask the reader changed in a region."""
        changes = [c for part in self._parts if (c := part.change(region, self._pixel_size)) is not None]
        return MaskChange(sum(c.added for c in changes), sum(c.removed for c in changes))

    def current(self, item: Evidence) -> Evidence:
        """A mask, class map or table of cells as corrected; all other evidence as it is."""
        if isinstance(item, CellTable):
            cells = self._tables.get(id(item))
            return item if cells is None else cells.table
        for part in self._parts:
            if part.found is not None and part.surface is not None:
                if item is part.found[0]:
                    return part.surface.mask
                if item is part.found[1]:
                    return part.surface.class_map
        return item

    @staticmethod
    def _painted(part: _Part, area: BaseGeometry, tumour: bool) -> bool:
        if part.surface is None or not part.surface.paint(area, tumour):
            return False
        part.follow()
        return True

    def _add_surface(self, items: tuple[Evidence, ...], counter: ShareCounter | None = None) -> bool:
        surface = surface_of(items)
        if surface is None:
            return False
        found = (surface.mask, surface.class_map)
        part = _Part(counter or self._counter(found[1]), size=1 << 62, surface=surface, found=found)
        if not self._corrections.empty and surface.set(self._corrections):
            part.follow()
        self._parts.append(part)
        return True

    # -- cells ----------------------------------------------------------------------------------------------------

    @property
    def cells(self) -> CellParts | None:
        """The cells that may be corrected, also while parts of them come in; None where there are none."""
        return None if self._cell_parts.scheme is None else self._cell_parts

    def correct_cells(self, corrections: CellCorrections) -> list[CellTable]:
        """Exactly these corrections from now on; returns the cells of which other things are said (see ``patch``)."""
        self._cell_corrections = corrections
        changed = self._cell_parts.set(corrections)
        at = {id(cells): (part, k) for part in self._parts for k, cells in enumerate(part.of)}
        if all(id(cells) in at for cells, _ in changed):
            for cells, other in changed:
                part, k = at[id(cells)]
                part.recode(sum(len(one.found) for one in part.of[:k]) + other, cells.codes[other])
        else:
            # What was counted are the parts of a run that was stopped: from now on the tables that are held.
            tables = self._tables.values()
            self._parts = [self._linked(CellCounter(cells.found, self._pixel_size), cells) for cells in tables]
        return [cells.patch(other) for cells, other in changed]

    def shares_as_found(self, region: Region) -> Shares | None:
        """As ``shares``, of the cells as the scorer gave them."""
        counters = []
        for part in self._parts:
            counter, (cells, _, found) = part.counter, part.said
            if isinstance(counter.counter, CellCounter) and len(cells):
                counter = ShareCounter(counter.counter.recoded(cells, found))
            counters.append(counter)
        one = len(counters) == 1 and self._parts[0].cells is None
        return _added([counter.shares(region, interval=one) for counter in counters])

    @property
    def corrected_cells(self) -> list[CellTable]:
        """All cells that the reader spoke of (see ``CorrectedCells.patch``)."""
        return [patch for item in self._tables.values() if (patch := self.patch_of(item.found)) is not None]

    def patch_of(self, item: Evidence) -> CellTable | None:
        """The cells of one table that the reader spoke of; None where there are none."""
        cells = self._tables.get(id(item))
        return cells.patch(cells.said) if cells is not None and len(cells.said) else None

    def cell_change(self, region: Region, seen: Region) -> CellChange:
        """How many cells of a region the reader made others than the scorer said; it has looked at ``seen``."""
        return self._cell_parts.change(region, seen)

    def _hold(self, table: CellTable, bins: CellBins | None = None) -> CorrectedCells:
        counted = table.scheme.counted
        cells = self._cell_parts.add(table, bins) if counted else CorrectedCells(table, self._pixel_size, bins)
        self._tables[id(table)] = cells
        return cells

    @staticmethod
    def _linked(counter: CellCounter, cells: CorrectedCells) -> _Part:
        cells.use(counter.bins)
        part = _Part(ShareCounter(counter), size=1 << 62, of=(cells,))
        part.recode(*part.said[:2])
        return part

    def _add_cells(self, cells: CorrectedCells) -> None:
        # Outlines are not counted: without them joining is a matter of few arrays.
        bare = replace(cells.found, contours=None, contour_starts=None, features={}, probabilities=None)
        parts = self._parts
        of: tuple[CorrectedCells, ...] = (cells,)
        while parts:
            last = parts[-1]
            if last.cells is None or last.size > len(bare) or last.size + len(bare) > _JOIN_LIMIT:
                break
            bare, of = concatenated([last.cells, bare]), last.of + of
            parts.pop()
        parts.append(_Part(self._counter(bare), bare, len(bare), of=of))
        parts[-1].recode(*parts[-1].said[:2])

    def _counter(self, item: Evidence) -> ShareCounter:
        return ShareCounter.of((item,), self._counts, self._pixel_size)


def _same(before: list[ShareCounter], now: list[ShareCounter]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _added(shares: list[Shares | None]) -> Shares | None:
    """Shares of several parts together."""
    found = [each for each in shares if each is not None]
    if not found:
        return None
    first = found[0]
    if len(found) == 1:
        return first
    a, b, c, d = (sum(column) for column in zip(*(s.amounts for s in found), strict=True))
    excluded, unclassified = sum(s.excluded for s in found), sum(s.unclassified for s in found)
    left_out: dict[str, float] = {}
    for name, amount in (pair for s in found for pair in s.left_out):
        left_out[name] = left_out.get(name, 0.0) + amount
    return Shares(
        (a, b, c, d),
        first.unit,
        excluded=excluded,
        unclassified=unclassified,
        left_out=tuple(left_out.items()),
    )
