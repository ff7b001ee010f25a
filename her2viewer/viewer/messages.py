"""Calm messages over the canvas: what happened and what to do, never a window that must be clicked away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
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
_MARGIN = 12
_WIDEST = 720
_HINT_PAD = 10


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

    def __init__(self, canvas: QWidget, avoid: QWidget | None = None) -> None:
        """``avoid`` stands in the upper right of the canvas and is not covered."""
        super().__init__(canvas)
        self._canvas = canvas
        self._avoid = avoid
        if avoid is not None:
            avoid.installEventFilter(self)
        self._shown: list[Message] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
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
        # Shown before it is measured: a layout passes over what is hidden.
        message.show()
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
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide):
            self._place()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        # Placing lays out again and asks for this once more: only where the height has changed.
        if event.type() == QEvent.Type.LayoutRequest and self.isVisible() and self._height() != self.height():
            self._place()
        return super().event(event)

    def _height(self) -> int:
        column = self.layout()
        assert column is not None
        # The least height of a layout is that of its narrowest form, in which long sentences stand tall.
        return column.heightForWidth(self.width()) if column.hasHeightForWidth() else column.minimumSize().height()

    def _place(self) -> None:
        if not self._shown and not self._hint.text:
            self.hide()
            return
        taken = self._avoid.width() + 2 * _MARGIN if self._avoid is not None and not self._avoid.isHidden() else 0
        room = max(240, self._canvas.width() - 2 * _MARGIN - taken)
        wide = min(room, _WIDEST)
        self._hint.set_width(wide)
        if not self._shown:
            wide = min(wide, self._hint.sizeHint().width())
        self.setFixedWidth(wide)
        column = self.layout()
        assert column is not None
        column.invalidate()
        self.setFixedHeight(self._height())
        self.move(_MARGIN, _MARGIN)
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
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Maximum)
        column = QVBoxLayout(self)
        column.setContentsMargins(_HINT_PAD, 5, _HINT_PAD, 5)
        column.setSpacing(4)
        column.addWidget(self._label)
        column.addWidget(self._bar)
        self.hide()

    @property
    def text(self) -> str:
        return self._label.text()

    def set_width(self, most: int) -> None:
        """As wide as the sentence, at most ``most`` px; longer sentences take two lines."""
        needed = self._label.fontMetrics().horizontalAdvance(self._label.text()) + 4
        room = most - 2 * _HINT_PAD - 2
        self._label.setWordWrap(needed > room)
        self._label.setFixedWidth(min(needed, room))

    def set_text(self, text: str, busy: bool = False) -> None:
        self._label.setText(text)
        self._bar.setVisible(busy)
        self.setVisible(bool(text))
