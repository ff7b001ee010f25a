"""The cells that the reader has chosen, on the tissue or in a plot: one selection for all who show or change it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QObject, Signal

from her2viewer.domain.evidence import CellTable, Evidence

_NONE: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
_NONE.flags.writeable = False


class CellSelection(QObject):
    """Some cells of the table that is shown. It ends with the table, unless the same cells come again in another."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table: CellTable | None = None
        self._indices = _NONE

    @property
    def table(self) -> CellTable | None:
        """The table as it is shown, of which ``indices`` speaks; None while nothing is chosen."""
        return self._table

    @property
    def indices(self) -> NDArray[np.int64]:
        """(k,) sorted, each once, into ``table``; read-only."""
        return self._indices

    def __len__(self) -> int:
        return len(self._indices)

    def set(self, table: CellTable, indices: ArrayLike) -> None:
        """Choose exactly these cells.

        Args:
            table: as it is shown.
            indices: (k,) integers or bool (n,), in any order; none of them clears the selection.

        Raises:
            IndexError: there is no such cell in the table.
        """
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else np.unique(chosen.astype(np.int64))
        if len(chosen) and (chosen[0] < 0 or chosen[-1] >= len(table)):
            raise IndexError(f"A table of {len(table)} cells has no cell {int(chosen[-1])}.")
        self._take(table if len(chosen) else None, chosen.astype(np.int64))

    def clear(self) -> None:
        """Choose none."""
        self._take(None, _NONE)

    def follow(self, table: CellTable | None) -> None:
        """Another table is shown from now on: chosen cells that lie in it at the same places stay chosen."""
        before = self._table
        if before is None or before is table:
            return
        if table is None:
            self.clear()
        elif same_places(before, table, begins=True):
            self._take(table, self._indices)
        else:
            found = _found_again(before, self._indices, table)
            self._take(table if len(found) else None, found)

    def _take(self, table: CellTable | None, indices: NDArray[np.int64]) -> None:
        if table is self._table and np.array_equal(indices, self._indices):
            return
        indices = indices.view()
        indices.flags.writeable = False
        self._table, self._indices = table, indices
        self.changed.emit()


def shown_cells(evidence: Iterable[Evidence]) -> CellTable | None:
    """The table of cells in what is shown; None without one, and while a run still adds parts to it."""
    tables = [e for e in evidence if isinstance(e, CellTable) and e.scheme.counted]
    return tables[0] if len(tables) == 1 else None


def same_places(one: CellTable, other: CellTable, *, begins: bool = False) -> bool:
    """Whether two tables hold the same cells in the same order, whatever their classes.

    Args:
        one: a table.
        other: another one.
        begins: more cells may follow in ``other``.
    """
    n = len(one)
    if len(other) < n or (len(other) > n and not begins):
        return False
    pairs = ((one.x, other.x), (one.y, other.y))
    return all(a is b or np.array_equal(a, b[:n]) for a, b in pairs)


def _found_again(before: CellTable, indices: NDArray[np.int64], table: CellTable) -> NDArray[np.int64]:
    wanted = np.unique(_places(before.x[indices], before.y[indices]))
    places = _places(table.x, table.y)
    at = np.minimum(np.searchsorted(wanted, places), max(0, len(wanted) - 1))
    return np.flatnonzero(wanted[at] == places).astype(np.int64) if len(wanted) else _NONE


def _places(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.complex128]:
    return x.astype(np.float64) + 1j * y.astype(np.float64)
