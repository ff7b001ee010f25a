"""Where the cells of a table lie: a grid index for drawing and for the read-out, and counts for far views.

Plain numpy. What a worker reads is immutable (``CellChunk`` and the tuple that holds the chunks); only the counts of
``CellDensity`` grow in place, and what a worker has read too early is drawn again with the new cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import CellTable, concatenated

BUCKET_PX = 256.0
"""Side of a bucket of the index, level-0 px: some tens of cells at 0.25 um/px."""
MERGE_LIMIT = 65_536
"""Chunks are joined up to this many cells: joining costs the main thread, more chunks cost each query."""

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
        count = np.bincount(key, minlength=len(self.counts) * h * w).reshape(len(self.counts), h, w)
        return r0, c0, count.astype(np.uint32)

    def add(self, counted: tuple[int, int, NDArray[np.uint32]]) -> None:
        """Add what ``counted`` gave; main thread only."""
        r0, c0, count = counted
        block = self.counts[:, r0 : r0 + count.shape[1], c0 : c0 + count.shape[2]]
        block += np.minimum(count, 65535 - block.astype(np.uint32)).astype(np.uint16)


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
        self.counts = self.counts + np.bincount(chunk.classes, minlength=len(self.counts))
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
            found = found[shown[chunk.classes[found]]]
            if len(found) == 0:
                continue
            distance = (chunk.x[found] - x) ** 2 + (chunk.y[found] - y) ** 2
            at = int(np.argmin(distance))
            if distance[at] <= least:
                least = float(distance[at])
                best = (chunk.table, int(chunk.order[found[at]]))
        return best
