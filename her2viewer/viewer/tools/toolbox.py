"""All tools of the canvas with the state they share: what the main window wires to keys, menus and toolbar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from her2viewer.domain.annotation import Role
from her2viewer.viewer.canvas.tool import Tool
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools import commands
from her2viewer.viewer.tools.brush import BrushTool
from her2viewer.viewer.tools.correct_cells import CorrectCellsTool
from her2viewer.viewer.tools.drawing_state import DrawingState
from her2viewer.viewer.tools.drawing_tool import DrawingTool, SessionTool
from her2viewer.viewer.tools.freehand import FreehandTool
from her2viewer.viewer.tools.mask_brush import MaskBrushTool
from her2viewer.viewer.tools.note import NoteTool
from her2viewer.viewer.tools.note_editor import NoteEditor
from her2viewer.viewer.tools.polygon import PolygonTool
from her2viewer.viewer.tools.preview import Previewer
from her2viewer.viewer.tools.rectangle import RectangleTool
from her2viewer.viewer.tools.select import SelectTool

if TYPE_CHECKING:
    from her2viewer.viewer.canvas.canvas import SlideCanvas
    from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer


class ToolBox(QObject):
    """Owns the tools, knows which one is in use, and gives it to the canvas."""

    tool_changed = Signal(str)
    """Id of the tool that is now in use."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.state = DrawingState(self)
        """Role, class, brush size; its signal ``message`` carries sentences for the status bar."""
        previewer = Previewer(session, self.state, self)
        self.select = SelectTool(session, self.state, previewer)
        self.mask_brushes = tuple(MaskBrushTool(session, self.state, adds=adds) for adds in (True, False))
        """Add to the tumour mask of a scorer, and remove from it."""
        self.correct_cells = CorrectCellsTool(session, self.state)
        """Says what cells are."""
        tools: tuple[Tool, ...] = (
            Tool(),
            self.select,
            PolygonTool(session, self.state, previewer),
            FreehandTool(session, self.state, previewer),
            RectangleTool(session, self.state, previewer),
            BrushTool(session, self.state, previewer),
            *self.mask_brushes,
            self.correct_cells,
            NoteTool(session, self.state, previewer),
        )
        self.tools: dict[str, Tool] = {tool.id: tool for tool in tools}
        """By id: pan, select, polygon, freehand, rectangle, brush, tumour_add, tumour_remove, correct_cells, note."""
        self.note_editor: NoteEditor | None = None
        self._canvas: SlideCanvas | None = None
        self._current: Tool = self.select
        self._last_drawing = "polygon"

    @property
    def current(self) -> Tool:
        """The tool in use."""
        return self._current

    def attach(self, canvas: SlideCanvas, layer: AnnotationLayer | None = None) -> None:
        """Work on this canvas: gives it the current tool and puts the note field on it.

        Args:
            canvas: of the window.
            layer: shows the annotations; while it is hidden nothing can be picked.
        """
        self._canvas = canvas
        self.select.layer = layer
        self.note_editor = NoteEditor(self.session, self.state, canvas)
        canvas.set_tool(self._current)

    def choose(self, tool_id: str) -> None:
        """Use another tool. Going back to selecting or panning ends drawing exclusions or control tissue."""
        tool = self.tools[tool_id]
        if isinstance(tool, DrawingTool):
            self._last_drawing = tool_id
        else:
            self.state.set_role(Role.ROI)
        if tool is self._current:
            return
        self._current = tool
        if self._canvas is not None:
            self._canvas.set_tool(tool)
        self.tool_changed.emit(tool_id)

    def toggle_role(self, role: Role, class_name: str | None = None) -> None:
        """The keys X and C: draw this role from now on; the same again goes back to the carcinoma.

        Takes up the drawing tool used last where the current tool does not draw.
        """
        again = self.state.role is role and class_name in (None, self.state.class_name)
        if again and isinstance(self._current, DrawingTool):
            self.state.set_role(Role.ROI)
            return
        if not isinstance(self._current, DrawingTool):
            self.choose(self._last_drawing)
        self.state.set_role(role, class_name)

    def delete(self) -> None:
        """The Delete key: a corner of the half-drawn polygon or under the pointer, else what is selected."""
        if isinstance(self._current, SessionTool) and self._current.delete():
            return
        self.report(commands.delete_selected(self.session))

    def finish(self) -> bool:
        """The Enter key: close the half-drawn polygon; False where there is none."""
        return isinstance(self._current, SessionTool) and self._current.finish()

    def settle(self) -> None:
        """Make an edit of what is as good as done (a closed outline, a move by keys): the window closes."""
        if isinstance(self._current, SessionTool) and self._canvas is not None:
            self._current.deactivate()
            self._current.activate(self._canvas)

    def cancel(self) -> bool:
        """The Esc key: drop what is half drawn, else stop drawing exclusions, else clear the selection.

        Returns:
            False where there was nothing to give up.
        """
        if isinstance(self._current, SessionTool) and self._current.cancel():
            return True
        if self.state.role is not Role.ROI:
            self.state.set_role(Role.ROI)
            return True
        if self.session.selection:
            self.session.select(())
            return True
        return False

    def report(self, reason: str | None) -> None:
        """Pass on why a command of ``tools.commands`` did nothing."""
        if reason:
            self.state.message.emit(reason)
