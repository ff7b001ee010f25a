"""Where the cells of a table lie: a grid index for drawing and for the read-out, and counts for far views.

Plain numpy. What a worker reads is immutable (``CellChunk`` and the tuple that holds the chunks); only the counts of
``CellDensity`` grow in place, and what a worker has read too early is drawn again with the new cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, CellTable, concatenated

BUCKET_PX = 256.0
"""Side of a bucket of the index, level-0 px: some tens of cells at 0.25 um/px."""
MERGE_LIMIT = 65_536
"""Chunks are joined up to this many cells: joining costs the main thread, more chunks cost each query."""

Places = NDArray[np.int64]
Column = NDArray[np.float32]
Codes = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in level-0 px."""


@dataclass(frozen=True)
class CellChunk:
    """Some cells, sorted by bucket so that a row of buckets is one slice."""

    table: CellTable
    order: NDArray[np.int64]
    """(n,) index into ``table`` of the sorted cells."""
    x: NDArray[np.float32]
    """(n,) sorted, level-0 px."""
    y: NDArray[np.float32]
    classes: NDArray[np.uint8]
    """(n,) sorted."""
    left: float
    top: float
    columns: int
    rows: int
    starts: NDArray[np.int64]
    """(rows * columns + 1,) where each bucket begins in the sorted arrays."""

    @classmethod
    def of(cls, table: CellTable) -> CellChunk:
        """Index a table of at least one cell."""
        x = np.ascontiguousarray(table.x, dtype=np.float32)
        y = np.ascontiguousarray(table.y, dtype=np.float32)
        left, top = float(x.min()), float(y.min())
        column = ((x - left) / BUCKET_PX).astype(np.int64)
        row = ((y - top) / BUCKET_PX).astype(np.int64)
        columns, rows = int(column.max()) + 1, int(row.max()) + 1
        key = row * columns + column
        # Sixteen-bit keys get numpy's radix sort; a wide slide needs more.
        narrow = key.astype(np.uint16) if rows * columns < 1 << 16 else key
        order = np.argsort(narrow, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=rows * columns))]).astype(np.int64)
        return cls(table, order, x[order], y[order], table.classes[order], left, top, columns, rows, starts)

    @cached_property
    def box(self) -> Box:
        """Smallest rectangle around the centres."""
        return (float(self.x.min()), float(self.y.min()), float(self.x.max()), float(self.y.max()))

    def inside(self, box: Box) -> NDArray[np.int64]:
        """Positions (in the sorted arrays) of the cells whose centre lies in ``box``, edges included."""
        x0, y0, x1, y1 = box
        c0 = max(0, int((x0 - self.left) // BUCKET_PX))
        c1 = min(self.columns - 1, int((x1 - self.left) // BUCKET_PX))
        r0 = max(0, int((y0 - self.top) // BUCKET_PX))
        r1 = min(self.rows - 1, int((y1 - self.top) // BUCKET_PX))
        if c0 > c1 or r0 > r1 or x1 < self.left or y1 < self.top:
            return np.zeros(0, dtype=np.int64)
        if c0 == 0 and c1 == self.columns - 1:
            picked = np.arange(self.starts[r0 * self.columns], self.starts[(r1 + 1) * self.columns])
        else:
            rows = np.arange(r0, r1 + 1) * self.columns
            spans = zip(self.starts[rows + c0].tolist(), self.starts[rows + c1 + 1].tolist(), strict=True)
            picked = np.concatenate([np.arange(a, b) for a, b in spans])
        px, py = self.x[picked], self.y[picked]
        return np.asarray(picked[(px >= x0) & (px <= x1) & (py >= y0) & (py <= y1)])


class CellDensity:
    """Cells per class in bins that cover the whole slide: what a far view is drawn from."""

    def __init__(self, width: float, height: float, classes: int) -> None:
        """Bins over a slide of that size in level-0 px, at most about two million of them."""
        side = 32.0
        while (width / side) * (height / side) > 2_000_000:
            side *= 2
        self.bin = side
        """Side of a bin, level-0 px."""
        self.columns = max(1, int(np.ceil(width / side)))
        self.rows = max(1, int(np.ceil(height / side)))
        self.counts = np.zeros((classes, self.rows, self.columns), dtype=np.uint16)

    def counted(self, chunk: CellChunk) -> tuple[int, int, NDArray[np.uint32]]:
        """Cells of a chunk per bin: first row, first column, counts (classes, rows, columns). For any thread."""
        # Cells outside the slide are counted at its edge.
        column = np.clip((chunk.x / self.bin).astype(np.int64), 0, self.columns - 1)
        row = np.clip((chunk.y / self.bin).astype(np.int64), 0, self.rows - 1)
        r0, c0 = int(row.min()), int(column.min())
        h, w = int(row.max()) - r0 + 1, int(column.max()) - c0 + 1
        key = (chunk.classes.astype(np.int64) * h + (row - r0)) * w + (column - c0)
        # Removed cells are there to be marked, not to be counted.
        key = key[chunk.classes < len(self.counts)]
        count = np.bincount(key, minlength=len(self.counts) * h * w).reshape(len(self.counts), h, w)
        return r0, c0, count.astype(np.uint32)

    def add(self, counted: tuple[int, int, NDArray[np.uint32]]) -> None:
        """Add what ``counted`` gave; main thread only."""
        r0, c0, count = counted
        block = self.counts[:, r0 : r0 + count.shape[1], c0 : c0 + count.shape[2]]
        block += np.minimum(count, 65535 - block.astype(np.uint32)).astype(np.uint16)

    def move(self, x: Column, y: Column, before: Codes, after: Codes) -> None:
        """Cells at these places have other classes; main thread only. Codes beyond the classes are not counted."""
        column = np.clip((x / self.bin).astype(np.int64), 0, self.columns - 1)
        row = np.clip((y / self.bin).astype(np.int64), 0, self.rows - 1)
        for codes, step in ((before, -1), (after, 1)):
            known = codes < len(self.counts)
            at = (codes[known], row[known], column[known])
            cells, which = np.unique(np.stack(at), axis=1, return_inverse=True)
            changed = np.bincount(which.ravel(), minlength=cells.shape[1]) * step
            place = tuple(cells)
            self.counts[place] = np.clip(self.counts[place] + changed, 0, 65535).astype(np.uint16)


@dataclass(frozen=True)
class IndexedCells:
    """Some cells, ready to be added to a store; made in any thread."""

    chunk: CellChunk
    counted: tuple[int, int, NDArray[np.uint32]]


class CellStore:
    """All cells of one scheme, growing while a scorer runs."""

    def __init__(self, scheme: ClassScheme, width: float, height: float) -> None:
        """``width`` and ``height`` of the slide in level-0 px."""
        self.scheme = scheme
        self.chunks: tuple[CellChunk, ...] = ()
        self.density = CellDensity(width, height, len(scheme.names))
        self.counts = np.zeros(len(scheme.names), dtype=np.int64)
        """(classes,) cells of each class."""

    def __len__(self) -> int:
        return int(self.counts.sum())

    def prepared(self, table: CellTable) -> IndexedCells | None:
        """Index a table, in any thread; None for an empty one."""
        if len(table) == 0:
            return None
        chunk = CellChunk.of(table)
        return IndexedCells(chunk, self.density.counted(chunk))

    def append(self, cells: IndexedCells) -> Box:
        """Add cells; gives the rectangle they lie in."""
        chunk = cells.chunk
        self.density.add(cells.counted)
        self.counts = self.counts + np.bincount(chunk.classes, minlength=len(self.counts))[: len(self.counts)]
        box = chunk.box
        chunks = list(self.chunks)
        # As in a binary counter, so that n cells are joined log n times at most.
        while chunks and len(chunks[-1].table) <= len(chunk.table) and len(chunk.table) < MERGE_LIMIT:
            try:
                chunk = CellChunk.of(concatenated([chunks[-1].table, chunk.table]))
            except ValueError:
                break
            chunks.pop()
        self.chunks = (*chunks, chunk)
        return box

    def correct(self, patch: CellTable) -> Box | None:
        """Cells as they are from now on, told by their places; cells that are not known are added. Main thread only.

        Returns:
            The rectangle in which something is another than before; None where nothing is.
        """
        if len(patch) == 0:
            return None
        x, y = patch.x.astype(np.float32), patch.y.astype(np.float32)
        order = np.argsort(_places(x, y), kind="stable")
        wanted = _places(x, y)[order]
        box = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
        known = np.zeros(len(patch), dtype=bool)
        chunks = []
        for chunk in self.chunks:
            at = chunk.inside(box)
            places = _places(chunk.x[at], chunk.y[at])
            nearest = np.minimum(np.searchsorted(wanted, places), len(wanted) - 1)
            hit = wanted[nearest] == places
            at, of = at[hit], order[nearest[hit]]
            known[of] = True
            chunks.append(self._recoded(chunk, at, patch, of) if len(at) else chunk)
        self.chunks = tuple(chunks)
        if not known.all():
            new = self.prepared(patch.selected(~known))
            if new is not None:
                self.append(new)
        return box

    def _recoded(self, chunk: CellChunk, at: Places, patch: CellTable, of: Places) -> CellChunk:
        """The chunk with the classes of some cells as the patch has them: ``at`` sorted, ``of`` in the patch."""
        before, after = chunk.classes[at], patch.classes[of]
        self.density.move(chunk.x[at], chunk.y[at], before, after)
        n = len(self.counts)
        change = [np.bincount(codes[codes < n], minlength=n) for codes in (before, after)]
        self.counts = self.counts - change[0] + change[1]
        rows, table = chunk.order[at], chunk.table
        classes, of_table = chunk.classes.copy(), table.classes.copy()
        classes[at], of_table[rows] = after, after
        scorers = table.scorer_classes
        scorers = np.full(len(table), NOT_SCORED, dtype=np.uint8) if scorers is None else scorers.copy()
        scorers[rows] = NOT_SCORED if patch.scorer_classes is None else patch.scorer_classes[of]
        return replace(chunk, classes=classes, table=replace(table, classes=of_table, scorer_classes=scorers))

    def typical_size(self) -> float:
        """Diameter of a cell in level-0 px: from the outlines, else from how densely the cells lie."""
        for chunk in self.chunks:
            table = chunk.table
            if table.contour_starts is not None and table.contours is not None and len(table.contours):
                some = range(0, len(table), max(1, len(table) // 64))
                spans = [np.ptp(table.contour(i), axis=0).mean() for i in some if len(table.contour(i))]
                if spans:
                    return float(np.median(spans))
        occupied = np.count_nonzero(self.density.counts.any(axis=0)) * self.density.bin**2
        return float(np.sqrt(occupied / max(1, len(self)))) * 0.8 or 1.0

    def nearest(self, x: float, y: float, within: float, shown: NDArray[np.bool_]) -> tuple[CellTable, int] | None:
        """Table and index of the cell nearest to a point, no farther than ``within`` level-0 px.

        Args:
            x: level-0 px.
            y: level-0 px.
            within: level-0 px.
            shown: bool (classes,), the classes to look among.
        """
        best: tuple[CellTable, int] | None = None
        least = within * within
        for chunk in self.chunks:
            found = chunk.inside((x - within, y - within, x + within, y + within))
            found = found[among_all(shown)[chunk.classes[found]]]
            if len(found) == 0:
                continue
            distance = (chunk.x[found] - x) ** 2 + (chunk.y[found] - y) ** 2
            at = int(np.argmin(distance))
            if distance[at] <= least:
                least = float(distance[at])
                best = (chunk.table, int(chunk.order[found[at]]))
        return best


def among_all(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(256,) the same for any code: those beyond the classes, of removed cells, are not shown."""
    every = np.zeros(256, dtype=bool)
    every[: len(shown)] = shown
    return every


def _places(x: Column, y: Column) -> NDArray[np.complex128]:
    return x.astype(np.float64) + 1j * y.astype(np.float64)
