"""What is said where something beside the answer could not be worked out, with the way to try it again."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from her2viewer.viewer.panels.words import label, say


class Trouble(QWidget):
    """Takes no room while there is nothing to say."""

    again = Signal()
    """The reader wants it tried again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trouble")
        self._words = label("", "amber")
        self.button = QPushButton("Try again")
        self.button.setObjectName("linkButton")
        self.button.clicked.connect(self.again)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._words)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    @property
    def text(self) -> str:
        """What is said; "" for nothing."""
        return self._words.text()

    def tell(self, sentence: str) -> None:
        """Say this; "" takes it away."""
        say(self._words, sentence)
        self.setVisible(bool(sentence))
