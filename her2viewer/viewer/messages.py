"""Calm messages over the canvas: what happened and what to do, never a window that must be clicked away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from her2viewer.viewer.icons import set_icon

Kind = Literal["info", "warning", "error", "done"]
_ICONS = {
    "info": ("info", "accent"),
    "warning": ("warning", "amber"),
    "error": ("error", "red"),
    "done": ("check", "green"),
}
_SECONDS = {"info": 8, "done": 12, "warning": 0, "error": 0}
_MOST = 3


class Message(QFrame):
    """One message with its buttons. Errors stay until closed; the rest goes by itself."""

    def __init__(
        self,
        text: str,
        kind: Kind,
        buttons: Sequence[tuple[str, Callable[[], None]]],
        seconds: int,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("messageBar")
        self.setProperty("kind", kind)
        self.text = text
        mark = QToolButton()
        set_icon(mark, *_ICONS[kind])
        mark.setEnabled(True)
        mark.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        mark.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        label = QLabel(text)
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 6, 6, 6)
        row.setSpacing(8)
        row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(label, 1)
        for title, action in buttons:
            button = QPushButton(title)
            button.clicked.connect(action)
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        close = QToolButton()
        set_icon(close, "cancel", "muted")
        close.setToolTip("Close this message")
        close.setAccessibleName("Close this message")
        close.clicked.connect(self.dismiss)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        if seconds:
            timer = QTimer(self)
            timer.setSingleShot(True)
            timer.timeout.connect(self.dismiss)
            timer.start(seconds * 1000)

    def dismiss(self) -> None:
        """Take it away."""
        self.hide()
        self.deleteLater()
        parent = self.parentWidget()
        if isinstance(parent, Messages):
            parent.removed(self)


class Messages(QWidget):
    """The newest three messages, in the upper left of the canvas; takes no room where there are none."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._shown: list[Message] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.margin_right = 0
        """Kept free for what else stands in the upper right, logical px."""
        self._hint = Hint(self)
        column.addWidget(self._hint, 0, Qt.AlignmentFlag.AlignLeft)
        canvas.installEventFilter(self)
        self.hide()

    @property
    def shown(self) -> tuple[Message, ...]:
        """What is on screen, newest last."""
        return tuple(self._shown)

    def show_message(
        self,
        text: str,
        kind: Kind = "info",
        buttons: Sequence[tuple[str, Callable[[], None]]] = (),
    ) -> Message:
        """Show a sentence; the same sentence is not shown twice at a time."""
        for old in [m for m in self._shown if m.text == text]:
            old.dismiss()
        while len(self._shown) >= _MOST:
            self._shown[0].dismiss()
        message = Message(text, kind, buttons, _SECONDS[kind], self)
        self._shown.append(message)
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertWidget(layout.count() - 1, message)
        self._place()
        return message

    def set_hint(self, text: str, busy: bool = False) -> None:
        """The sentence that says what to do next, empty for none; ``busy`` with a bar that moves."""
        self._hint.set_text(text, busy)
        self._place()

    @property
    def hint(self) -> str:
        """The sentence on screen."""
        return self._hint.text

    def clear(self) -> None:
        """Take all messages away, for another slide."""
        for message in list(self._shown):
            message.dismiss()

    def removed(self, message: Message) -> None:
        """A message took itself away."""
        if message in self._shown:
            self._shown.remove(message)
        layout = self.layout()
        if layout is not None:
            layout.removeWidget(message)
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        if not self._shown and not self._hint.text:
            self.hide()
            return
        room = QSize(max(240, self._canvas.width() - 24 - self.margin_right), self._canvas.height())
        wide = min(room.width(), 720)
        self.setMaximumWidth(wide)
        if self._shown:
            self.setFixedWidth(wide)
            tall = self.layout().heightForWidth(wide) if self.layout().hasHeightForWidth() else 0
            self.setGeometry(12, 12, wide, max(tall, self.sizeHint().height()))
        else:
            self._hint.setMaximumWidth(wide)
            size = self._hint.sizeHint()
            wide = min(wide, size.width())
            self.setFixedWidth(wide)
            self.setGeometry(12, 12, wide, max(size.height(), self._hint.heightForWidth(wide)))
        self.show()
        self.raise_()


class Hint(QFrame):
    """What to do next, in one sentence."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("hintBar")
        # A click on the sentence is meant for the tissue under it.
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._label = QLabel()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(4)
        self._bar.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 5, 10, 5)
        column.setSpacing(4)
        column.addWidget(self._label)
        column.addWidget(self._bar)
        self.hide()

    @property
    def text(self) -> str:
        return self._label.text()

    def set_text(self, text: str, busy: bool = False) -> None:
        self._label.setText(text)
        self._bar.setVisible(busy)
        self.setVisible(bool(text))
