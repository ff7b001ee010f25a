"""A small field on the canvas in which the text of a note is typed, so that no dialog gets in the way."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from her2viewer.viewer.session import Session
from her2viewer.viewer.tools import commands
from her2viewer.viewer.tools.drawing_state import DrawingState


class NoteEditor(QLineEdit):
    """Appears beside the pointer; Enter or a click elsewhere keeps the text, Esc drops it."""

    def __init__(self, session: Session, state: DrawingState, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("noteEditor")
        self.setPlaceholderText("Note - Enter keeps it, Esc drops it")
        self.setFixedWidth(280)
        self.setMaxLength(500)
        self._session = session
        self._state = state
        self._point: tuple[float, float] | None = None
        self._editing: str | None = None
        self.hide()
        state.note_asked.connect(self._ask)
        state.note_edit_asked.connect(self._ask_again)
        self.returnPressed.connect(self.finish)
        session.slide_changed.connect(self.drop)
        session.locked_changed.connect(self.drop)

    def finish(self) -> None:
        """Keep the text as a note."""
        point, editing, text = self._point, self._editing, self.text().strip()
        self.drop()
        reason = None
        if editing is not None and text:
            reason = commands.rename(self._session, editing, text)
        elif point is not None and text:
            reason = commands.add_note(self._session, *point, text)
        if reason:
            self._state.message.emit(reason)

    def drop(self, _changed: object = None) -> None:
        """Close without keeping."""
        had_focus = self.hasFocus()
        self._point, self._editing = None, None
        self.clear()
        self.hide()
        canvas = self.parentWidget()
        if had_focus and canvas is not None:
            canvas.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.drop()
            return
        super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        # Letters typed here are text, not the keys of tools and commands.
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if self.isVisible() and event.reason() in (Qt.FocusReason.MouseFocusReason, Qt.FocusReason.TabFocusReason):
            self.finish()

    def _ask(self, x: float, y: float) -> None:
        if self.isVisible():
            self.finish()
        self._point, self._editing = (x, y), None
        self._open("")

    def _ask_again(self, annotation_id: str) -> None:
        annotation = self._session.annotations.get(annotation_id)
        if annotation is not None:
            self._point, self._editing = None, annotation_id
            self._open(annotation.text)

    def _open(self, text: str) -> None:
        canvas = self.parentWidget()
        if canvas is None:
            return
        pointer = canvas.mapFromGlobal(self.cursor().pos())
        if not canvas.rect().contains(pointer):
            pointer = canvas.rect().center()
        x = min(max(8, pointer.x() + 12), max(8, canvas.width() - self.width() - 8))
        y = min(max(8, pointer.y() - self.sizeHint().height() // 2), max(8, canvas.height() - 40))
        self.move(x, y)
        self.setText(text)
        self.show()
        self.raise_()
        self.setFocus()
        self.selectAll()
