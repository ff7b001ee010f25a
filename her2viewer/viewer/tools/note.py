"""Note: a click marks a place; its text is asked for by whoever listens to ``DrawingState.note_asked``."""

from __future__ import annotations

from PySide6.QtCore import Qt

from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.tools.drawing_tool import SessionTool


class NoteTool(SessionTool):
    """A point with a text, never part of the scored region."""

    id = "note"
    title = "Note"
    cursor = Qt.CursorShape.CrossCursor

    def press(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if self.refused():
            return True
        slide = self.session.slide
        if slide is not None and not (0 <= event.x <= slide.width and 0 <= event.y <= slide.height):
            self.state.message.emit("A note must lie on the slide.")
            return True
        self.state.note_asked.emit(event.x, event.y)
        return True

    def release(self, event: ToolEvent) -> bool:
        return event.button == Qt.MouseButton.LeftButton

    def double_click(self, event: ToolEvent) -> bool:
        return event.button == Qt.MouseButton.LeftButton
