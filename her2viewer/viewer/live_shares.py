"""Shares of the region from evidence that still grows, fast enough to follow the pointer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, concatenated
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares
from her2viewer.scoring.aggregate import Counts, ShareCounter

_JOIN_LIMIT = 200_000
"""Cells; above it tables are no longer joined on the way: a join would be felt."""


class LiveShares:
    """Counters of parts, joined now and then, so that neither a new part nor an edit of the region costs much."""

    def __init__(self, counts: Counts, pixel_size: PixelSize) -> None:
        self._counts: Counts = counts
        self._pixel_size = pixel_size
        self._parts: list[tuple[Evidence | None, int, ShareCounter]] = []

    def add(self, evidence: Iterable[Evidence]) -> None:
        """Take in the evidence of one more part."""
        for item in evidence:
            if self._counts == "cells" and isinstance(item, CellTable):
                self._add_cells(item)
            elif self._counts == "surface" and isinstance(item, ClassMap) and item.scheme.counted:
                self._parts.append((None, 0, self._counter(item)))

    def set_whole(self, counter: ShareCounter) -> None:
        """Replace all parts by a counter of the whole evidence, made in another thread."""
        self._parts = [(None, 1 << 62, counter)] if counter.counter is not None else []

    def shares(self, region: Region) -> Shares | None:
        """Shares of what is known inside the region; None where nothing is counted."""
        found = [s for _, _, counter in self._parts if (s := counter.shares(region)) is not None]
        if not found:
            return None
        first = found[0]
        if len(found) == 1:
            return first
        a, b, c, d = (sum(column) for column in zip(*(s.amounts for s in found), strict=True))
        return Shares((a, b, c, d), first.unit, excluded=sum(s.excluded for s in found))

    def _add_cells(self, table: CellTable) -> None:
        # Outlines are not counted: without them joining is a matter of few arrays.
        bare = replace(table, contours=None, contour_starts=None, features={}, probabilities=None)
        parts = self._parts
        while parts:
            last, size, _ = parts[-1]
            if not isinstance(last, CellTable) or size > len(bare) or size + len(bare) > _JOIN_LIMIT:
                break
            bare = concatenated([last, bare])
            parts.pop()
        parts.append((bare, len(bare), self._counter(bare)))

    def _counter(self, item: Evidence) -> ShareCounter:
        return ShareCounter.of((item,), self._counts, self._pixel_size)
