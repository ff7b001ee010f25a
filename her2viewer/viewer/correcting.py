"""Correction of cells in the window: tool, bar and menu, wired to what is shown; corrected cells as training data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QMenu, QMessageBox, QWidget

from her2viewer.domain.cell_corrections import count_text
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.desk import Desk, folder_dialog
from her2viewer.viewer.exporting import open_with_desktop
from her2viewer.viewer.overlays.cell_raster import CellView
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.tools.correct_cells import CorrectCellsTool
from her2viewer.viewer.tools.correct_cells_bar import CorrectCellsBar
from her2viewer.viewer.tools.toolbox import ToolBox

if TYPE_CHECKING:
    from her2viewer.training.corrected_set import WrittenSet


class CellCorrecting(QObject):
    """Lets the tool see the cells, and shows what it would speak of."""

    def __init__(
        self, parent: QObject, desk: Desk, *, toolbox: ToolBox, canvas: SlideCanvas, evidence: EvidenceLayers
    ) -> None:
        super().__init__(parent)
        self._evidence, self._canvas, self._toolbox, self._desk = evidence, canvas, toolbox, desk
        self.tool: CorrectCellsTool = toolbox.correct_cells
        self.tool.chosen = desk.chosen
        self.tool.seen.cells = lambda: desk.controller.cells
        self.tool.seen.shown = self._shown
        self.bar = CorrectCellsBar(canvas, self.tool)
        toolbox.tool_changed.connect(lambda _: self.bar.refresh())
        desk.chosen.changed.connect(self.bar.refresh)
        for signal in (
            desk.controller.evidence_added,
            desk.controller.evidence_changed,
            desk.controller.state_changed,
            desk.controller.cells_settled,
            desk.controller.result_changed,
        ):
            signal.connect(lambda *_: self._look_again())
        self.tool.target_changed.connect(self._read_out)
        desk.controller.cells_settled.connect(self._read_out)

    def menu_at(self, x: float, y: float, parent: QWidget) -> QMenu | None:
        """What can be done with the cell at a slide point (level-0 px) while the tool is in use; None without one."""
        if self._toolbox.current is not self.tool:
            return None
        self.tool.point_at(x, y, self._canvas.viewport)
        return self.bar.menu(parent) if len(self.tool.targets) else None

    # -- training data --------------------------------------------------------------------------------------------

    @property
    def obstacle(self) -> str:
        """Why there is no training data now, "" where there is."""
        if self._desk.session.slide is None:
            return "open a slide first"
        if self._desk.session.pixel_size is None:
            return "the pixel size is unknown; enter it first (File, Pixel size)"
        return "no cell was corrected yet" if self._desk.session.cell_corrections.empty else ""

    def ask_training_set(self, window: QWidget, *, native: bool) -> None:
        """Ask for the folder of a data set, then whether cells that were left as they were go with the corrected."""
        if reason := self.obstacle:
            self._desk.messages.show_message(f"There is no training data: {reason}.")
            return
        slide = self._desk.session.slide
        assert slide is not None
        title = "Folder of the data set (a new one, or one to add to)"
        folder_dialog(
            window, title, str(slide.path.parent), lambda f: self._ask_extent(window, f), native=native
        ).open()

    def _ask_extent(self, window: QWidget, folder: Path) -> None:
        question = QMessageBox(window)
        question.setObjectName("trainingExtent")
        question.setWindowTitle("Corrected cells as training data")
        question.setText("Which cells are to be learnt from?")
        question.setInformativeText(
            "All cells of the regions in which you corrected some: only if you looked at every cell there."
        )
        only = question.addButton("Corrected cells", QMessageBox.ButtonRole.AcceptRole)
        whole = question.addButton("All cells there", QMessageBox.ButtonRole.AcceptRole)
        question.addButton(QMessageBox.StandardButton.Cancel)
        question.setDefaultButton(only)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def chosen() -> None:
            if question.clickedButton() in (only, whole):
                self.write_training_set(folder, whole_regions=question.clickedButton() is whole)

        question.finished.connect(lambda _: chosen())
        question.open()

    def write_training_set(self, folder: Path, *, whole_regions: bool = False) -> None:
        """Add the open slide with its corrected cells to the data set in a folder."""
        session, keeper = self._desk.session, self._desk.keeper
        slide, size, cells = session.slide, session.pixel_size, self._desk.controller.cells
        if slide is None or size is None:
            return
        fields = {} if keeper.case is None else dict(keeper.case.fields)
        annotations, corrections = session.annotations, session.cell_corrections

        def work() -> WrittenSet:
            from her2viewer.training.corrected_set import CorrectedSlide, write_corrected_set

            table = None if cells is None else cells.table
            corrected = CorrectedSlide(slide.path, slide.identity, size, annotations, corrections, table, fields)
            return write_corrected_set(folder, corrected, whole_regions=whole_regions)

        def done(written: WrittenSet) -> None:
            keeper.log("training data exported", set=str(written.manifest), cells=sum(written.by_class.values()))
            outside = f" {count_text(written.outside)} outside the outlines left out." if written.outside else ""
            self._desk.messages.show_message(
                f"{count_text(sum(written.by_class.values()))} written to {written.manifest}.{outside}",
                "done",
                [("Show in folder", lambda: open_with_desktop(folder))],
            )

        self._desk.storage.submit("Writing the training data", work, done=done)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        """There are other cells than a moment ago, of a run that goes on or at its end."""
        self.tool.look_again()
        self.bar.refresh()

    def _read_out(self) -> None:
        """The cell under a pointer that rests is another one now: say so in the status bar."""
        at = self.tool.pointer
        if at is not None and self._toolbox.current is self.tool:
            self._canvas.cursor_moved.emit(*self._canvas.viewport.to_slide(at.x(), at.y()))

    def _shown(self, viewport: Viewport | None) -> NDArray[np.bool_] | None:
        layer = self._evidence.cells
        if layer is None or not layer.visible or self._canvas.overlays_hidden:
            return None
        if viewport is not None and layer.view(viewport) is CellView.DENSITY:
            return None
        return layer.shown
