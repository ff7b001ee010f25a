"""The strip over a view: what is shown, how large, and whether it moves with the others."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from her2viewer.viewer.icons import set_icon

HEIGHT = 26
_ICON = QSize(16, 16)
_SHORTEST_NAME = 60


class _Title(QLabel):
    """A name and a remark; cut where there is no room, never widens the view. The tip gives both whole."""

    def __init__(self) -> None:
        super().__init__()
        self._name, self._remark = "", ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    @property
    def whole(self) -> str:
        return f"{self._name}: {self._remark}" if self._remark else self._name

    def set_words(self, name: str, remark: str) -> None:
        if (name, remark) != (self._name, self._remark):
            self._name, self._remark = name, remark
            self.setToolTip(self.whole)
            self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self.width()
        if room > 0:
            # The remark says what to do: it is the name that gives way.
            metrics = self.fontMetrics()
            rest = f"  {self._remark}" if self._remark else ""
            least = max(_SHORTEST_NAME, room - metrics.horizontalAdvance(rest))
            name = metrics.elidedText(self._name, Qt.TextElideMode.ElideMiddle, least)
            self.setText(metrics.elidedText(name + rest, Qt.TextElideMode.ElideRight, room))


class ViewHeader(QFrame):
    """Name and remark on the left, zoom and buttons on the right."""

    close_clicked = Signal()
    flip_clicked = Signal()
    link_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None, *, main: bool = False) -> None:
        """``main``: of the main view, which can neither be closed nor unlinked."""
        super().__init__(parent)
        self.setObjectName("viewHeader")
        self.setFixedHeight(HEIGHT)
        self._title = _Title()
        self._zoom = QLabel()
        self._zoom.setProperty("role", "muted")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 4, 0)
        row.setSpacing(4)
        row.addWidget(self._title, 1)
        row.addWidget(self._zoom)
        self.flip = self._button("flip", "Flip this slide: it was mounted face down", self.flip_clicked.emit)
        self.link = self._button("link", "", self._toggle_link)
        self.link.setCheckable(True)
        self.close_button = self._button("cancel", "Close this view", self.close_clicked.emit)
        for button in (self.flip, self.link, self.close_button):
            row.addWidget(button)
            button.setVisible(not main and button is not self.flip)
        self.set_linked(True)

    @property
    def text(self) -> str:
        """Name and remark, whole."""
        return self._title.whole

    @property
    def zoom(self) -> str:
        """As shown."""
        return self._zoom.text()

    def set_text(self, name: str, remark: str = "") -> None:
        """What is shown, and how it was aligned."""
        self._title.set_words(name, remark)

    def set_zoom(self, text: str) -> None:
        """How large the tissue is."""
        if text != self._zoom.text():
            self._zoom.setText(text)

    def set_linked(self, linked: bool) -> None:
        """Whether this view moves with the others."""
        self.link.setChecked(linked)
        self.link.setToolTip("Moves with the main view; click to move it alone" if linked else "Moves alone; link it")

    def _toggle_link(self) -> None:
        self.link_toggled.emit(self.link.isChecked())

    def _button(self, icon: str, tip: str, clicked: Callable[[], None]) -> QToolButton:
        button = QToolButton()
        set_icon(button, icon, "muted")
        button.setIconSize(_ICON)
        button.setToolTip(tip)
        button.setAccessibleName(tip or "Linked with the main view")
        button.setAutoRaise(True)
        # Keys go on to the slide.
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda _=False: clicked())
        return button


def zoom_text(magnification: float | None, downsample: float) -> str:
    """``12.5x``, or the ratio of pixels where the pixel size is unknown."""
    if magnification is None:
        return f"1 : {downsample:.3g}"
    return f"{magnification:.3g}x"
