"""A panel of a side column: a heading that folds it away, and its content."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QMoveEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from her2viewer.viewer.icons import set_icon


class CollapsiblePanel(QWidget):
    """Heading in small capitals, content below; the heading is a button."""

    toggled = Signal(bool)
    """Open or folded."""

    def __init__(self, title: str, content: QWidget, *, is_open: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.title = title
        self.content = content
        self._header = QToolButton()
        self._header.setObjectName("panelHeader")
        self._header.setText(title.upper())
        self._header.setAccessibleName(title)
        self._header.setCheckable(True)
        self._header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setIconSize(QSize(12, 12))
        self._header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._header.toggled.connect(self.set_open)
        self._corner = QHBoxLayout()
        self._corner.setContentsMargins(0, 0, 0, 0)
        self._corner.setSpacing(2)
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 4, 0)
        top.setSpacing(0)
        top.addWidget(self._header, 1)
        top.addLayout(self._corner)
        line = QFrame()
        line.setObjectName("line")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 8, 8)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(content, 1)
        column.addWidget(line)
        self._header.setChecked(is_open)
        self.set_open(is_open)

    @property
    def is_open(self) -> bool:
        return self._header.isChecked()

    def add_corner(self, widget: QWidget) -> None:
        """A small button at the right end of the heading."""
        self._corner.addWidget(widget)

    def set_open(self, is_open: bool) -> None:
        """Fold or unfold."""
        self._header.setChecked(is_open)
        self._header.setToolTip(f"{'Fold' if is_open else 'Unfold'} {self.title}")
        set_icon(self._header, "chevron-down" if is_open else "chevron-right", "muted")
        self.content.setVisible(is_open)
        self.toggled.emit(is_open)


class SideColumn(QScrollArea):
    """Panels one below the other; scrolls when they are taller than the window."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sideColumn")
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._panels: list[CollapsiblePanel] = []
        self._least = 0
        self._held: tuple[QWidget, int] | None = None
        """Panel that is to stay where it was on the screen, px below the top of the column."""
        body = QWidget()
        body.setObjectName("sideColumnBody")
        self._column = QVBoxLayout(body)
        self._column.setContentsMargins(0, 4, 0, 8)
        self._column.setSpacing(4)
        self._column.addStretch(1)
        self.setWidget(body)
        body.installEventFilter(self)

    def add(self, panel: CollapsiblePanel, *, grows: bool = False, holds: bool = False) -> None:
        """Below what is there.

        Args:
            panel: heading and content.
            grows: it takes the room that is left while it is open.
            holds: it stays where it is on the screen while the reader works in it, even where what is chosen there
                makes the panels above it taller or shorter.
        """
        self._column.insertWidget(self._column.count() - 1, panel)
        self._panels.append(panel)
        if holds:
            panel.installEventFilter(self)
        if grows:
            self._grow(panel)
            panel.toggled.connect(lambda _: self._grow(panel))

    def settle(self) -> None:
        """Lay out at once what has changed. Left to itself Qt does so from the inside out, one event after the other,
        and what is painted in between has rows on top of one another."""
        body = self.widget()
        if body is None:
            return
        # Parents come before their children.
        for widget in (*reversed(body.findChildren(QWidget)), body):
            layout = widget.layout()
            if layout is not None:
                layout.activate()
        # This is how the area learns of the new height.
        QApplication.sendEvent(self, QEvent(QEvent.Type.LayoutRequest))

    def set_least(self, width: int) -> None:
        """Never narrower than this, nor than its panels need beside the scroll bar: what is cut off is lost."""
        self._least = width
        content = self.widget()
        needed = (
            0 if content is None else content.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        )
        self.setMinimumWidth(max(width, needed))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.widget():
            if event.type() == QEvent.Type.LayoutRequest:
                self.set_least(self._least)
            return super().eventFilter(watched, event)
        if isinstance(event, QMoveEvent) and isinstance(watched, QWidget) and self._held is None:
            focus = QApplication.focusWidget()
            if focus is not None and watched.isAncestorOf(focus):
                self._held = (watched, event.oldPos().y() - self.verticalScrollBar().value())
                # The bar learns only after the layout how tall the panels are now.
                QTimer.singleShot(0, self, self._hold)
        return super().eventFilter(watched, event)

    def _hold(self) -> None:
        if self._held is not None:
            panel, on_screen = self._held
            self.verticalScrollBar().setValue(panel.y() - on_screen)
            self._held = None

    def _grow(self, panel: CollapsiblePanel) -> None:
        self._column.setStretchFactor(panel, 1 if panel.is_open else 0)
        self._column.setStretch(self._column.count() - 1, 0 if panel.is_open else 1)

    @property
    def any_shown(self) -> bool:
        """False when every panel was hidden: then the whole column goes."""
        return any(not panel.isHidden() for panel in self._panels)
