"""From cell to cell: a click on the tissue chooses one, keys go through the chosen ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject, Signal

from her2viewer.domain.evidence import CellTable
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.cell_selection import CellSelection
from her2viewer.viewer.overlays.chosen_cells import ChosenCellsLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.shown_cells import ShownCells

_REACH_PX = 14.0
"""How far from the pointer a cell is still meant, logical screen px."""
_REACH_UM = 12.0
_CLOSE_LOOK = 40.0
"""Magnification at which a cell is shown, where the view is coarser."""


class CellBrowsing(QObject):
    """Keeps the cell that is looked at among the chosen ones, and shows them on the tissue."""

    current_changed = Signal()

    def __init__(
        self,
        shown: ShownCells,
        canvas: SlideCanvas,
        evidence: EvidenceLayers,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._shown, self._canvas, self._evidence = shown, canvas, evidence
        self.wanted: Callable[[], bool] = lambda: True
        """Whether a click on the tissue chooses cells now."""
        self.chosen: CellSelection = shown.chosen
        self._at: int | None = None
        """Place of the current cell among the chosen ones."""
        self.layer = ChosenCellsLayer(self.chosen, self)
        canvas.add_layer(self.layer)
        self.chosen.changed.connect(self._on_chosen)

    @property
    def current(self) -> int | None:
        """Index of the cell that is looked at into the table of the selection."""
        return None if self._at is None else int(self.chosen.indices[self._at])

    @property
    def place(self) -> int | None:
        """The how manieth of the chosen cells that is, from 0 on."""
        return self._at

    def look_at(self, index: int) -> None:
        """Look at one of the chosen cells."""
        at = int(np.searchsorted(self.chosen.indices, index))
        if at < len(self.chosen) and self.chosen.indices[at] == index:
            self._set(at)

    def step(self, direction: int) -> bool:
        """Go to the next (1) or previous (-1) chosen cell, round at the ends; False where none is chosen.

        The first one is that which lies nearest to the middle of the view.
        """
        table, indices = self.chosen.table, self.chosen.indices
        if table is None:
            return False
        if self._at is None or len(indices) == 1:
            view = self._canvas.viewport
            x, y = table.x[indices], table.y[indices]
            self._set(int(np.argmin((x - view.cx) ** 2 + (y - view.cy) ** 2)))
        else:
            self._set((self._at + direction) % len(indices))
        self.show()
        return True

    def show(self) -> None:
        """Bring the cell that is looked at to the middle, close enough to judge it."""
        table, index = self.chosen.table, self.current
        if table is None or index is None:
            return
        view, size = self._canvas.viewport, self._shown.pixel_size
        downsample = view.downsample if size is None else min(view.downsample, size.magnification / _CLOSE_LOOK)
        middle = view.zoomed(downsample, view.width / view.dpr / 2, view.height / view.dpr / 2)
        self._canvas.set_viewport(middle.centred(float(table.x[index]), float(table.y[index])))

    def click(self, x: float, y: float, viewport: Viewport, add: bool = False) -> None:
        """The tissue was clicked at a place in level-0 px: choose the cell there, or none.

        Args:
            x: level-0 px.
            y: level-0 px.
            viewport: in which it was clicked.
            add: to what is chosen, or take it out again.
        """
        table = self._shown.choosable if self.wanted() else None
        if table is None:
            return
        self.chosen.follow(table)
        found = self.cell_at(table, x, y, viewport)
        if add and self.chosen.table is table and found is not None:
            self.chosen.set(table, np.setxor1d(self.chosen.indices, [found]))
        elif found is not None:
            self.chosen.set(table, [found])
        elif not add:
            self.chosen.clear()
        if found is not None:
            self.look_at(found)

    def cell_at(self, table: CellTable, x: float, y: float, viewport: Viewport) -> int | None:
        """The cell of a class that is drawn nearest to a place, or None where none is near."""
        layer = self._evidence.cells
        if layer is None or not layer.visible:
            return None
        size = self._shown.pixel_size
        reach = _REACH_PX / viewport.scale
        if size is not None:
            reach = min(reach, _REACH_UM / size.mpp)
        near = np.flatnonzero((np.abs(table.x - x) <= reach) & (np.abs(table.y - y) <= reach))
        near = near[layer.shown[table.classes[near]]]
        if not len(near):
            return None
        distance = np.hypot(table.x[near] - x, table.y[near] - y)
        best = int(np.argmin(distance))
        return int(near[best]) if distance[best] <= reach else None

    def stop(self) -> None:
        """The window closes."""
        self.layer.stop()

    def _on_chosen(self) -> None:
        table, indices, before = self.chosen.table, self.chosen.indices, self.layer.current
        at = 0 if len(indices) == 1 else None
        if at is None and table is not None and before is not None:
            # The same cell may go by another number now: others were removed, or more were chosen.
            same = np.flatnonzero((table.x[indices] == before[0]) & (table.y[indices] == before[1]))
            at = int(same[0]) if len(same) else None
        self._set(at)

    def _set(self, at: int | None) -> None:
        self._at = at
        table, index = self.chosen.table, self.current
        if table is None or index is None:
            self.layer.set_current(None)
        else:
            self.layer.set_current((float(table.x[index]), float(table.y[index])))
        self.current_changed.emit()
