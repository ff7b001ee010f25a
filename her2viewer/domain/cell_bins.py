"""The places of many cells sorted into square bins, so that some of them are found without looking at all."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import Grid

_PER_BIN = 8

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Numbers of asked places, and of the cell that each was paired with."""


class CellBins:
    """Cells in bins of about eight. Made once for a table; a million cells take a tenth of a second."""

    def __init__(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        """``x`` and ``y`` are (n,) level-0 px."""
        n = len(x)
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        if n == 0:
            self.grid = Grid(0, 0, 1, 1, 1)
            bins = np.zeros(0, dtype=np.int64)
        else:
            x0, y0 = float(x.min()), float(y.min())
            width, height = float(x.max()) - x0 + 1, float(y.max()) - y0 + 1
            step = max(1.0, float(np.sqrt(width * height * _PER_BIN / n)))
            # A few far cells must not make millions of empty bins.
            step = max(step, width / 2048, height / 2048)
            self.grid = Grid(x0, y0, step, int(width // step) + 1, int(height // step) + 1)
            bins = self._row(y) * self.grid.columns + self._column(x)
        self.bins: NDArray[np.int64] = bins
        """(n,) bin of each cell, row by row."""
        self.order: NDArray[np.int64] = np.argsort(bins, kind="stable")
        """(n,) cells sorted by bin."""
        self.x: NDArray[np.float32] = x[self.order]
        self.y: NDArray[np.float32] = y[self.order]
        """(n,) sorted by bin."""
        self.starts: NDArray[np.int64] = np.searchsorted(bins[self.order], np.arange(self.count + 1)).astype(np.int64)
        """(bins + 1,) where each bin begins in what is sorted."""

    def __len__(self) -> int:
        return len(self.order)

    @property
    def count(self) -> int:
        """Number of bins."""
        return self.grid.rows * self.grid.columns

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(n,) where each cell stands in what is sorted."""
        places = np.empty(len(self), dtype=np.int64)
        places[self.order] = np.arange(len(self))
        return places

    def at(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> Pairs:
        """All cells that lie exactly at the places asked for, (k,) level-0 px each; several may lie at one."""
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        asked, at = self._members(self._column(x), self._row(y))
        same = (self.x[at] == x[asked]) & (self.y[at] == y[asked])
        return asked[same], self.order[at[same]]

    def near(
        self, x: NDArray[np.float32], y: NDArray[np.float32], reach: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """All cells no farther than ``reach`` (level-0 px) from each place: place, cell and distance of each pair."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        first_c, first_r = self._column(x - reach), self._row(y - reach)
        wide = int((self._column(x + reach) - first_c).max(initial=-1)) + 1
        high = int((self._row(y + reach) - first_r).max(initial=-1)) + 1
        found = [self._members(first_c + c, first_r + r) for r in range(high) for c in range(wide)]
        asked = np.concatenate([np.zeros(0, np.int64), *(pair[0] for pair in found)])
        at = np.concatenate([np.zeros(0, np.int64), *(pair[1] for pair in found)])
        distance = np.hypot(self.x[at] - x[asked], self.y[at] - y[asked])
        close = distance <= reach
        return asked[close], self.order[at[close]], distance[close]

    def _column(self, x: NDArray[np.floating]) -> NDArray[np.int64]:
        return np.floor((np.asarray(x, np.float64) - self.grid.x) / self.grid.step).astype(np.int64)

    def _row(self, y: NDArray[np.floating]) -> NDArray[np.int64]:
        return np.floor((np.asarray(y, np.float64) - self.grid.y) / self.grid.step).astype(np.int64)

    def _members(self, column: NDArray[np.int64], row: NDArray[np.int64]) -> Pairs:
        """All cells of the bin of each asked place, as places in what is sorted."""
        grid = self.grid
        known = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
        asked = np.flatnonzero(known)
        bins = row[asked] * grid.columns + column[asked]
        begin, lengths = self.starts[bins], self.starts[bins + 1] - self.starts[bins]
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        at = np.arange(total, dtype=np.int64) + np.repeat(begin - (ends - lengths), lengths)
        return np.repeat(asked, lengths), at
