"""Correction of cells in the window: the tool, its bar and its menu, wired to what is shown and counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu, QWidget

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.desk import Desk
from her2viewer.viewer.overlays.cell_raster import CellView
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.tools.correct_cells import CorrectCellsTool
from her2viewer.viewer.tools.correct_cells_bar import CorrectCellsBar
from her2viewer.viewer.tools.toolbox import ToolBox


class CellCorrecting(QObject):
    """Lets the tool see the cells, and shows what it would speak of."""

    def __init__(
        self, parent: QObject, desk: Desk, *, toolbox: ToolBox, canvas: SlideCanvas, evidence: EvidenceLayers
    ) -> None:
        super().__init__(parent)
        self._evidence, self._canvas, self._toolbox = evidence, canvas, toolbox
        self.tool: CorrectCellsTool = toolbox.correct_cells
        self.tool.chosen = desk.chosen
        self.tool.seen.cells = lambda: desk.controller.cells
        self.tool.seen.shown = self._shown
        self.bar = CorrectCellsBar(canvas, self.tool)
        toolbox.tool_changed.connect(lambda _: self.bar.refresh())
        desk.chosen.changed.connect(self.bar.refresh)
        for signal in (
            desk.controller.evidence_changed,
            desk.controller.state_changed,
            desk.controller.cells_settled,
            desk.controller.result_changed,
        ):
            signal.connect(lambda *_: self.bar.refresh())

    def menu_at(self, x: float, y: float, parent: QWidget) -> QMenu | None:
        """What can be done with the cell at a slide point (level-0 px) while the tool is in use; None without one."""
        if self._toolbox.current is not self.tool:
            return None
        self.tool.point_at(x, y, self._canvas.viewport)
        return self.bar.menu(parent) if len(self.tool.targets) else None

    def _shown(self, viewport: Viewport | None) -> NDArray[np.bool_] | None:
        layer = self._evidence.cells
        if layer is None or not layer.visible or self._canvas.overlays_hidden:
            return None
        if viewport is not None and layer.view(viewport) is CellView.DENSITY:
            return None
        return layer.shown
