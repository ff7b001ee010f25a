"""The rows of the list of regions: how they look and what they take from the keyboard."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTreeWidget

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.viewer.overlays.annotation_texts import color_of
from her2viewer.viewer.theme import tokens

REVIEWED_TIP = (
    "How much of each region was on the screen at 20x or more, sharp, for half a second.\n"
    "Exclusions do not count. Tab goes through the fields, U to the next one not yet looked at."
)


class RegionTree(QTreeWidget):
    """Three columns: what it is, its area, how much of it was looked at."""

    delete_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Regions")
        self.setColumnCount(3)
        self.setHeaderLabels(["Region", "mm²", "Read"])
        self.headerItem().setToolTip(2, REVIEWED_TIP)
        self.headerItem().setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.headerItem().setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIndentation(0)
        self.setIconSize(QSize(14, 14))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionsClickable(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.setColumnHidden(2, True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_pressed.emit()
            return
        super().keyPressEvent(event)


def tabular(font: QFont) -> QFont:
    """The font with figures of one width, so that columns of numbers line up."""
    figures = QFont(font)
    if hasattr(figures, "setFeature") and hasattr(QFont, "Tag"):
        figures.setFeature(QFont.Tag("tnum"), 1)
    return figures


def swatch(annotation: Annotation, ratio: float) -> QIcon:
    """Colour and kind of an annotation in 14 px: filled, hatched, dashed or a dot."""
    mark = tokens().color("text").rgba()
    return _swatch(color_of(annotation).rgba(), annotation.role, annotation.locked, mark, ratio)


@lru_cache(maxsize=256)
def _swatch(rgba: int, role: Role, locked: bool, mark: int, ratio: float) -> QIcon:
    color = QColor.fromRgba(rgba)
    side = 14
    pixmap = QPixmap(round(side * ratio), round(side * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = painter.pen()
    pen.setColor(color)
    pen.setWidthF(1.5)
    if role is Role.NOTE:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawEllipse(3, 3, 8, 8)
    else:
        fill = QColor(color)
        fill.setAlpha(70)
        if role is Role.CONTROL:
            pen.setStyle(Qt.PenStyle.DotLine)
        painter.setPen(pen)
        painter.setBrush(fill if role is Role.ROI else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(2, 2, 10, 10, 2, 2)
        if role is Role.EXCLUDE:
            painter.drawLine(3, 11, 11, 3)
    if locked:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor.fromRgba(mark))
        painter.drawRect(8, 8, 5, 5)
    painter.end()
    return QIcon(pixmap)
