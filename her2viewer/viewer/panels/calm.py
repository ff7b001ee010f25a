"""Input fields that leave the wheel to the column around them until they are chosen."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSlider, QSpinBox, QWidget


def _leave(widget: QWidget, event: QWheelEvent) -> bool:
    """True where the event must go on to the scroll area: a value must never change in passing."""
    if widget.hasFocus():
        return False
    event.ignore()
    return True


class CalmCombo(QComboBox):
    """A combo box that does not change when the column is scrolled over it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not _leave(self, event):
            super().wheelEvent(event)


class CalmSpin(QSpinBox):
    """A field for whole numbers that does not change when the column is scrolled over it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not _leave(self, event):
            super().wheelEvent(event)


class CalmDoubleSpin(QDoubleSpinBox):
    """A field for numbers that does not change when the column is scrolled over it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not _leave(self, event):
            super().wheelEvent(event)


class CalmSlider(QSlider):
    """A horizontal slider that does not change when the column is scrolled over it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not _leave(self, event):
            super().wheelEvent(event)
