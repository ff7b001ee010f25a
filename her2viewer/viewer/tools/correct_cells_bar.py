"""The small bar of the tool that corrects cells: what a key would speak of, and all classes with their keys.

Where the canvas is too narrow for one row, what is no HER2 class stands in a second one: no name is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from her2viewer.domain.cell_corrections import NO_CELL, count_text
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.palette import DEFAULT_PALETTE, class_colors
from her2viewer.viewer.tools.correct_cells import BACK_KEY, CorrectCellsTool, class_keys

_SWATCH = 12
_MARGIN, _GAP = 14, 8
_AROUND = 16
"""Beside the buttons of a row."""
_SCALE_BAR = 140, 44
"""Width and height of the lower left corner, where the scale bar stands, logical px."""
REMOVE, BACK = "Remove", "Back"
_TIPS = {REMOVE: "There is no cell", BACK: "Back to what the scorer said"}
_NO_CELL, _ONE = "No cell", "Cell:"


class CorrectCellsBar(QFrame):
    """Floats at the lower edge of the canvas while the tool is in use."""

    room_taken = Signal(int)
    """Logical px above the scale bar that it takes from whatever else stands at the left edge; 0 for none."""

    def __init__(self, canvas: QWidget, tool: CorrectCellsTool) -> None:
        super().__init__(canvas)
        self.setObjectName("messageBar")
        self.setAccessibleName("Correct cells")
        self._canvas, self._tool = canvas, tool
        self._scheme: ClassScheme | None = None
        self._palette = DEFAULT_PALETTE
        self._buttons: list[QToolButton] = []
        self._lesser: list[QToolButton] = []
        """Those that go into the second row."""
        self._rows = QHBoxLayout(), QHBoxLayout()
        self._two = False
        self._target, self._indent = QLabel(), QWidget()
        self._target.setObjectName("correctTarget")
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 6, 4)
        column.setSpacing(0)
        for row, first in zip(self._rows, (self._target, self._indent), strict=True):
            row.setSpacing(0)
            row.addWidget(first)
            row.addStretch(1)
            column.addLayout(row)
        self._indent.hide()
        canvas.installEventFilter(self)
        tool.target_changed.connect(self.refresh)
        self.hide()

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        self._palette, self._scheme = palette, None
        self.refresh()

    def refresh(self) -> None:
        """Show what the tool speaks of now; nothing while it is not in use or there are no cells."""
        scheme = self._tool.scheme
        if self._tool.canvas is None or scheme is None:
            self.hide()
            self.room_taken.emit(0)
            return
        if scheme != self._scheme:
            self._scheme = scheme
            self._fill(scheme)
        targets = self._tool.targets
        count = len(targets)
        # As wide as the widest of its texts: nothing moves under the pointer.
        texts = ("9,999 cells  ", *(f"{_ONE} {name}  " for name in scheme.names))
        width = max(self._target.fontMetrics().horizontalAdvance(text) for text in texts)
        self._target.setMinimumWidth(width)
        self._indent.setFixedWidth(width)
        words = count_text(count) if count else _NO_CELL
        self._target.setText(self._named(scheme, int(targets[0])) if count == 1 else words)
        for button in self._buttons:
            button.setEnabled(count > 0)
        self.show()
        self._place()

    def _named(self, scheme: ClassScheme, cell: int) -> str:
        """What one cell is now."""
        cells = self._tool.seen.cells()
        code = NO_CELL if cells is None else cells.class_of(cell)
        return f"{_ONE} {scheme.names[code]}" if code < len(scheme.names) else _NO_CELL

    def menu(self, parent: QWidget) -> QMenu:
        """The same as a menu, for the cells that are meant now."""
        tool, scheme = self._tool, self._tool.scheme
        menu = QMenu(parent)
        if scheme is None:
            return menu
        count = len(tool.targets)
        menu.addAction(count_text(count)).setEnabled(False)
        menu.addSeparator()
        for text, key, do, color in self._choices(scheme):
            if text == REMOVE:
                menu.addSeparator()
            action = menu.addAction(f"{text}\t{key}")
            if color is not None:
                action.setIcon(_swatch(color))
            action.triggered.connect(lambda _=False, do=do: do())
        return menu

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the size of the canvas."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _choices(self, scheme: ClassScheme) -> list[tuple[str, str, Callable[[], object], QColor | None]]:
        """Text, key, what it does and colour: HER2 classes first, then those that do not count."""
        tool = self._tool
        keys, colors = class_keys(scheme), class_colors(scheme, self._palette).tolist()
        order = [int(k) for k in np.argsort([code if code >= 0 else 4 for code in scheme.her2], kind="stable")]
        found: list[tuple[str, str, Callable[[], object], QColor | None]] = [
            (scheme.names[k], keys[k], partial(tool.say, k), QColor(*colors[k])) for k in order
        ]
        found.append((REMOVE, "Del", lambda: tool.say(None), None))
        found.append((BACK, BACK_KEY, tool.take_back, None))
        return found

    def _fill(self, scheme: ClassScheme) -> None:
        for old in self._buttons:
            for row in self._rows:
                row.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._buttons, self._lesser, self._two = [], [], False
        self._indent.hide()
        for text, key, do, color in self._choices(scheme):
            button = QToolButton()
            # The figure of a HER2 class is its key.
            button.setText(text if key.isdigit() else f"{text}  {key}")
            button.setToolTip(_TIPS.get(text, f"These are {text}").strip() + f" ({key})")
            button.setAccessibleName(text)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setAutoRaise(True)
            if color is not None:
                button.setIcon(_swatch(color))
                button.setIconSize(QSize(_SWATCH, _SWATCH))
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.clicked.connect(lambda _=False, do=do: do())
            _append(self._rows[0], button)
            self._buttons.append(button)
            if not key.isdigit():
                self._lesser.append(button)

    def _use_rows(self, room: int) -> None:
        """One row where ``room`` (logical px) is wide enough for it, else two."""
        around = self.contentsMargins()
        needed = self._target.minimumWidth() + around.left() + around.right() + _AROUND
        two = needed + sum(button.sizeHint().width() for button in self._buttons) > room
        if two == self._two:
            return
        self._two = two
        before, after = self._rows if two else self._rows[::-1]
        for button in self._lesser:
            before.removeWidget(button)
            _append(after, button)
        self._indent.setVisible(two)

    def _place(self) -> None:
        if self.isHidden():
            return
        room = self._canvas.width() - 2 * _MARGIN
        self._use_rows(room)
        self.adjustSize()
        width = min(self.width(), room)
        # To the right of the scale bar, or above it where there is no room beside it.
        raised = _SCALE_BAR[1] if width + _SCALE_BAR[0] > room else 0
        self.room_taken.emit(self.height() + _GAP if raised else 0)
        top = self._canvas.height() - self.height() - _MARGIN - raised
        self.setGeometry(self._canvas.width() - width - _MARGIN, top, width, self.height())
        self.raise_()


def _append(row: QHBoxLayout, button: QToolButton) -> None:
    # The last thing in a row is what takes the room that is left.
    row.insertWidget(row.count() - 1, button)


def _swatch(color: QColor) -> QIcon:
    picture = QPixmap(2 * _SWATCH, 2 * _SWATCH)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawRoundedRect(picture.rect().adjusted(1, 1, -1, -1), 5, 5)
    painter.end()
    icon = QIcon(picture)
    # Also while nothing is pointed at the colours say what the keys mean.
    icon.addPixmap(picture, QIcon.Mode.Disabled)
    return icon
