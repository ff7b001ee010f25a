"""What the window does with cells beyond drawing them: choose, go to, cluster. Puts the parts together."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.cell_browsing import CellBrowsing
from her2viewer.viewer.cell_maps import CellMaps
from her2viewer.viewer.desk import Desk
from her2viewer.viewer.overlays.cluster_outlines import ClusterLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.panels.cells_panel import CellsPanel
from her2viewer.viewer.shown_cells import ShownCells
from her2viewer.viewer.tools.select import SelectTool


class CellEvidence(QObject):
    """Owned by the window; its panel stands in the right column."""

    def __init__(self, parent: QObject, desk: Desk, *, canvas: SlideCanvas, evidence: EvidenceLayers) -> None:
        super().__init__(parent)
        self._messages = desk.messages
        self.shown = ShownCells(desk.session, desk.controller, desk.chosen, self)
        self.browsing = CellBrowsing(self.shown, canvas, evidence, self)
        self.outlines = ClusterLayer(self)
        canvas.add_layer(self.outlines)
        self.maps = CellMaps(self.shown, evidence, self)
        self.panel = CellsPanel(self.shown, self.browsing, self.outlines)
        self.panel.place_wanted.connect(canvas.fit_region)
        # A click means cells only to whoever looks at them.
        self.browsing.wanted = self.panel.isVisible
        desk.session.slide_changed.connect(lambda _: desk.chosen.clear())

    def follow_clicks(self, tool: SelectTool) -> None:
        """Clicks of this tool choose cells."""

        def clicked(event: ToolEvent) -> None:
            add = bool(event.modifiers & Qt.KeyboardModifier.ControlModifier)
            self.browsing.click(event.x, event.y, event.viewport, add)

        tool.clicked = clicked

    def step(self, direction: int) -> None:
        """The next or previous chosen cell, or what to do first."""
        if not self.browsing.step(direction):
            self._messages.show_message(
                "No cell is chosen: click one on the tissue while the panel Cells is open, or draw around points in "
                "its plot."
            )

    def cancel(self) -> bool:
        """Choose none; False where none is chosen."""
        chosen = self.browsing.chosen
        some = len(chosen) > 0
        chosen.clear()
        return some

    def stop(self) -> None:
        """The window closes."""
        self.panel.stop()
        self.maps.stop()
        self.browsing.stop()
        self.outlines.stop()
        self.shown.stop()
