"""Lets the active tool have events of the canvas before shortcuts and menus take them."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QWheelEvent


class Claims(Protocol):
    """What a tool says about an event that something else would take."""

    def wants_key(self, event: QKeyEvent) -> bool:
        """Whether this key press is for the tool although it is a shortcut of the window."""

    def control_wheel(self, notches: float) -> bool:
        """Ctrl + wheel; True where the tool used it."""

    def takes_menu(self) -> bool:
        """Whether the right click that asks for a context menu was the tool's own."""


class CanvasFilter(QObject):
    """Event filter of the canvas on behalf of its tool."""

    def __init__(self, tool: Claims) -> None:
        super().__init__()
        self._tool = tool

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            # Accepted, the key arrives as a key press instead of setting off the shortcut.
            if self._tool.wants_key(event):
                event.accept()
                return True
        elif kind == QEvent.Type.Wheel and isinstance(event, QWheelEvent):
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                return self._tool.control_wheel(event.angleDelta().y() / 120)
        elif kind == QEvent.Type.ContextMenu and isinstance(event, QContextMenuEvent):
            return event.reason() == QContextMenuEvent.Reason.Mouse and self._tool.takes_menu()
        return False
