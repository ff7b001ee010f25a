"""A tool of the canvas: one handler class each, fed by the canvas with slide coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QPainter

from her2viewer.viewer.canvas.viewport import Viewport

if TYPE_CHECKING:
    from her2viewer.viewer.canvas.canvas import SlideCanvas


@dataclass(frozen=True)
class ToolEvent:
    """A pointer event on the canvas."""

    x: float
    y: float
    """Level-0 px."""
    screen: QPointF
    """Logical px on the canvas."""
    button: Qt.MouseButton
    """The button that changed (press, release), else NoButton."""
    buttons: Qt.MouseButton
    modifiers: Qt.KeyboardModifier
    viewport: Viewport


class Tool:
    """Does nothing by itself: the canvas pans. Handlers return True when they used the event."""

    id = "pan"
    title = "Pan"
    cursor = Qt.CursorShape.OpenHandCursor

    def activate(self, canvas: SlideCanvas) -> None:
        """The tool is now the canvas's own."""

    def deactivate(self) -> None:
        """Another tool takes over; finish or drop what is half drawn."""

    def press(self, event: ToolEvent) -> bool:
        return False

    def move(self, event: ToolEvent) -> bool:
        """Pointer moved, with or without a button."""
        return False

    def release(self, event: ToolEvent) -> bool:
        return False

    def double_click(self, event: ToolEvent) -> bool:
        return False

    def key(self, event: QKeyEvent) -> bool:
        return False

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        """What is half drawn, in logical screen coordinates, above all layers."""

    def readout(self) -> str | None:
        """Area in mm2 and the like while drawing, shown beside the pointer."""
        return None
