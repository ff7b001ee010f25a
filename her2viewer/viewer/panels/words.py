"""Labels of the panels: one way to make them, so that they look and wrap alike."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QLabel, QRadioButton, QSizePolicy, QWidget

from her2viewer.viewer import theme

AFTER_FIRST_PAINT_MS = 150
"""What is not needed for the first paint of the window waits this long."""


def label(text: str = "", role: str = "", *, wrap: bool = True, parent: QWidget | None = None) -> QLabel:
    """A plain-text label; ``role`` is a property that the style sheet knows ("muted", "amber", "heading")."""
    made = QLabel(text, parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        made.setProperty("role", role)
    return made


def say(target: QLabel, text: str, role: str | None = None) -> None:
    """Change a label in place; an empty text hides it."""
    if target.text() != text:
        target.setText(text)
    if role is not None:
        set_role(target, role)
    target.setVisible(bool(text))


def set_role(target: QWidget, role: str) -> None:
    """Change the role and let the style sheet look again."""
    if target.property("role") != role:
        target.setProperty("role", role)
        target.style().unpolish(target)
        target.style().polish(target)


class ElidedCheck(QCheckBox):
    """A check box that shortens its text with an ellipsis instead of pushing its column wider."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.full_text = text
        self.setAccessibleName(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        """The box and a few letters."""
        return QSize(60, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the text to the new width."""
        super().resizeEvent(event)
        room = self.width() - 26
        self.setText(self.fontMetrics().elidedText(self.full_text, Qt.TextElideMode.ElideRight, room))


class ElidedRadio(QRadioButton):
    """A radio button that shortens its text with an ellipsis instead of pushing its column wider."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.full_text = text
        self.setAccessibleName(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self._dress)
        self._dress()

    def minimumSizeHint(self) -> QSize:
        """The circle and a few letters."""
        return QSize(80, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the text to the new width."""
        super().resizeEvent(event)
        room = self.width() - 26
        self.setText(self.fontMetrics().elidedText(self.full_text, Qt.TextElideMode.ElideRight, room))

    def _dress(self, *_: object) -> None:
        t = theme.tokens()
        self.setStyleSheet(
            "QRadioButton { spacing: 8px; padding: 1px 0; }"
            f"QRadioButton:disabled {{ color: {t.muted}; }}"
            f"QRadioButton::indicator {{ width: 12px; height: 12px; border: 1px solid {t.muted};"
            f" border-radius: 7px; background: {t.field}; }}"
            f"QRadioButton::indicator:checked {{ border: 4px solid {t.accent}; width: 6px; height: 6px;"
            f" background: {t.on_accent}; }}"
            f"QRadioButton::indicator:disabled {{ border-color: {t.line}; }}"
            f"QRadioButton:focus {{ color: {t.accent}; }}"
        )
